package dpc

import (
	"context"
	"errors"
	"io"

	"parley/internal/core"
	"parley/internal/file"
)

// verify finds out who asks; from now on the connection ends with what that proves.
func (c *fileConn) verify(ctx context.Context, who credentials) (core.Actor, error) {
	actor, err := c.gw.verify(ctx, c.from, who)
	if err == nil {
		err = c.gw.transfers.claim(c, actor)
	}
	return actor, err
}

// begin starts an upload: docs/protocols/dpc.md#upload.
func (c *fileConn) begin(in fileRequest) (*file.Writer, int64, error) {
	u := file.Upload{Area: core.Lobby, Name: string(in.Name), Size: in.Size.size()}
	kind, ok := in.Type.number()
	switch {
	case !ok, kind != typeFile && kind != typeFolder, u.Size < 0:
		return nil, 0, core.ErrInvalid
	case kind == typeFolder && in.Dir == "":
		return nil, 0, core.ErrInvalidFileName
	case kind == typeFolder:
		u.Folder = string(in.Dir)
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	actor, err := c.verify(ctx, in.Args)
	if err != nil {
		return nil, 0, err
	}
	w, err := c.gw.Files.Begin(ctx, actor, c.from, u)
	c.inFolder = kind == typeFolder && err == nil
	return w, u.Size, err
}

// receive stores the bytes of an upload, which follow its request.
func (c *fileConn) receive(w *file.Writer, size int64) error {
	defer w.Abort()
	_, err := w.ReadFrom(io.LimitReader(c.in, size))
	switch {
	case c.fail != nil && !errors.Is(c.fail, io.EOF):
		return errors.Join(errBroken, c.fail)
	case err != nil:
		return err
	case c.allowed.Err() != nil: // all bytes had come before the connection was cut
		return errors.Join(errBroken, c.allowed.Err())
	}
	if _, err = w.Commit(c.allowed); c.allowed.Err() != nil {
		return errors.Join(errBroken, err)
	}
	return err
}

// list answers with what is at the top of the lobby's files: docs/protocols/dpc.md#list.
func (c *fileConn) list(in fileRequest) (more bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	var files []core.File
	actor, err := c.verify(ctx, in.Args)
	if err == nil {
		files, err = c.gw.Files.List(ctx, actor, core.Lobby, 0)
	}
	if err != nil {
		return false, c.send(result(opDownload, c.gw.code(listCodes, err)))
	}
	return true, c.send(list(files))
}

// download sends a file or a folder: docs/protocols/dpc.md#download. Its end is the end of the connection.
func (c *fileConn) download(in fileRequest) (more bool, err error) {
	actor, f, err := c.find(in)
	switch {
	case err != nil:
	case f.Kind == core.Folder:
		err = c.sendFolder(actor, f)
	default:
		err = c.sendFile(actor, f, fileHeader)
	}
	if err == nil || errors.Is(err, errBroken) {
		return false, err
	}
	if code := c.gw.code(downloadCodes, err); code != codeMissing {
		return false, c.send(result(opDownload, code))
	}
	return true, c.send(missing())
}

func (c *fileConn) find(in fileRequest) (core.Actor, core.File, error) {
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	actor, err := c.verify(ctx, in.Args)
	if err != nil {
		return actor, core.File{}, err
	}
	f, err := c.gw.Files.Find(ctx, actor, core.Lobby, string(in.Name))
	return actor, f, err
}

// sendFile sends a header and the bytes of a file. Unless it is errBroken, an error comes before anything is sent.
func (c *fileConn) sendFile(actor core.Actor, f core.File, header func(core.File) []byte) error {
	f, r, err := c.gw.Files.Open(context.Background(), actor, f.ID)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := c.send(header(f)); err != nil {
		return err
	}
	err = c.copyFile(r, f.Size)
	if errors.Is(err, io.EOF) {
		c.gw.Log.Error("a file is shorter than it should be", "gateway", gateway, "file", int64(f.ID))
	}
	return err
}

// sendFolder sends what is in a folder, without what is deleted meanwhile.
func (c *fileConn) sendFolder(actor core.Actor, folder core.File) error {
	files, err := c.gw.Files.Tree(context.Background(), actor, folder.ID)
	if err != nil {
		return err
	}
	for _, f := range files {
		err := c.sendFile(actor, f, func(f core.File) []byte { return recordHeader(folder.Name, f) })
		switch {
		case err == nil, errors.Is(err, core.ErrFileNotFound):
		case errors.Is(err, errBroken):
			return err
		default:
			c.gw.code(downloadCodes, err)
			return errors.Join(errBroken, err)
		}
	}
	return nil
}
