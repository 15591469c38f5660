package file

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"parley/internal/core"
)

const (
	linkSetting = "file.link_key"
	linkKey     = 32 // bytes
	// linkProof is how many bytes of the sum prove a link: it stands in texts that people see.
	linkProof = 16
	// linkStep is what ends of links are multiples of, so that a file has the same link all day and caches know it again.
	linkStep = 24 * time.Hour
)

// Link is the right to read one file as it is now, or its thumbnail, for whoever has it.
type Link struct {
	File      core.FileID
	Thumbnail bool
	Expires   time.Time // to the second
	Proof     string    // that the server has made it
}

// Link returns a link to a file that is good for life at least, and for a day more at most. Whoever has read the file may
// give it away, so nobody is asked. Of the file it takes the number and the sum: with other content it needs another link.
func (s *Service) Link(f core.File, thumbnail bool, life time.Duration) Link {
	end := time.Now().Add(life + linkStep - 1).UTC().Truncate(linkStep)
	l := Link{File: f.ID, Thumbnail: thumbnail, Expires: end}
	l.Proof = s.prove(l, f.SHA256)
	return l
}

// prove returns the proof of a link to a file of that sum.
func (s *Service) prove(l Link, sum [32]byte) string {
	mac := hmac.New(sha256.New, s.linkKey)
	fmt.Fprintf(mac, "file %d %t %d %x", l.File, l.Thumbnail, l.Expires.Unix(), sum)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:linkProof])
}

// OpenLink is Open for whoever has a link. A link that was never made, or to what is no longer there, is
// core.ErrFileNotFound; one that has expired is core.ErrForbidden.
func (s *Service) OpenLink(ctx context.Context, l Link) (core.File, io.ReadSeekCloser, error) {
	l.Thumbnail = false
	f, r, err := s.open(ctx, s.linked(l))
	if err != nil {
		return core.File{}, nil, fmt.Errorf("open a link: %w", err)
	}
	return f.File, r, nil
}

// OpenThumbnailLink is Thumbnail for whoever has a link to it.
func (s *Service) OpenThumbnailLink(ctx context.Context, l Link) (core.File, io.ReadSeekCloser, error) {
	l.Thumbnail = true
	f, r, err := s.thumbnailOf(ctx, s.linked(l))
	if err != nil {
		return core.File{}, nil, fmt.Errorf("open a link to a thumbnail: %w", err)
	}
	return f.File, r, nil
}

// linked finds the file of a link, if the link is good.
func (s *Service) linked(l Link) finder {
	return func(ctx context.Context) (stored, error) {
		f, err := s.byID(ctx, l.File)
		switch {
		case err != nil:
			return stored{}, err
		case subtle.ConstantTimeCompare([]byte(s.prove(l, f.SHA256)), []byte(l.Proof)) == 0:
			return stored{}, core.ErrFileNotFound
		case !time.Now().Before(l.Expires):
			return stored{}, fmt.Errorf("the link has expired: %w", core.ErrForbidden)
		}
		return f, nil
	}
}

// readLinkKey returns the installation's key for links, which is made when it is first needed.
func (s *Service) readLinkKey(ctx context.Context) (key []byte, err error) {
	var text string
	read := func(ctx context.Context) error {
		return s.db.QueryRow(ctx, `SELECT value FROM setting WHERE name = ?`, []any{linkSetting}, &text)
	}
	if err = read(ctx); errors.Is(err, sql.ErrNoRows) {
		fresh := make([]byte, linkKey)
		_, _ = rand.Read(fresh)
		err = s.db.Update(ctx, func(ctx context.Context) error {
			_, err := s.db.Exec(ctx, `INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING`, linkSetting, hex.EncodeToString(fresh))
			if err != nil {
				return err
			}
			return read(ctx)
		})
	}
	if err == nil {
		key, err = hex.DecodeString(text)
	}
	if err == nil && len(key) != linkKey {
		err = fmt.Errorf("%d bytes in place of %d", len(key), linkKey)
	}
	if err != nil {
		return nil, fmt.Errorf("the key for links to files: %w", err)
	}
	return key, nil
}
