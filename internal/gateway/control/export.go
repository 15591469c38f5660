package control

import (
	"context"
	"time"
)

// Archives writes archives of the server and reads them. The paths are absolute, and the server's own process opens them.
type Archives interface {
	Export(ctx context.Context, in Export, progress func(Progress)) (Exported, error)
	Restore(ctx context.Context, in Restore, progress func(Progress)) (Restored, error)
}

// Export asks for an archive of everything, or of one person.
type Export struct {
	File  string `json:"file"`
	User  string `json:"user,omitzero"`  // uid, name, e-mail address or phone number; "" for everything
	Force bool   `json:"force,omitzero"` // an existing file is replaced
}

// Exported is what an archive holds.
type Exported struct {
	File    string   `json:"file"`
	Size    int64    `json:"size"`
	Counts  []Count  `json:"counts"`
	LeftOut []string `json:"left_out"` // what could not be read, a sentence each
}

// Count is how many things of a kind there are.
type Count struct {
	What string `json:"what"`
	N    int64  `json:"n"`
}

// Restore asks to import an archive, or, with DryRun, what that would do.
type Restore struct {
	File   string `json:"file"`
	DryRun bool   `json:"dry_run,omitzero"`
}

// Restored is what an import of an archive has brought, or would bring.
type Restored struct {
	Kind    string    `json:"kind"`          // everything or person
	User    string    `json:"user,omitzero"` // whose archive it is
	Created time.Time `json:"created"`       // when the archive was written
	Counts  []Count   `json:"counts"`
	Notes   []string  `json:"notes"`   // what will be otherwise than it was, a sentence each
	Clashes []string  `json:"clashes"` // why it cannot be imported here, a sentence each
}

// ServeArchives adds the commands for archives.
func (g *Gateway) ServeArchives(a Archives) {
	g.mux.HandleFunc("POST /export", stream(g, a.Export))
	g.mux.HandleFunc("POST /import/parley", stream(g, a.Restore))
}

// Export has an archive written.
func (c *Client) Export(ctx context.Context, in Export, progress func(Progress)) (Exported, error) {
	return follow[Exported](ctx, c, "/export", in, progress)
}

// Restore has an archive imported.
func (c *Client) Restore(ctx context.Context, in Restore, progress func(Progress)) (Restored, error) {
	return follow[Restored](ctx, c, "/import/parley", in, progress)
}
