package control

import "context"

// Imports brings people along from other kinds of server. The paths are absolute, and the server's own process opens them.
type Imports interface {
	Import(ctx context.Context, in Import, progress func(Progress)) (Imported, error)
}

// Import asks to bring people along, or, with DryRun, what that would do.
type Import struct {
	Kind     string `json:"kind"`
	Source   string `json:"source"`
	Password string `json:"password,omitzero"` // of the database's user
	As       string `json:"as,omitzero"`       // tells a second server of the same kind from the first
	Avatars  string `json:"avatars,omitzero"`
	Files    string `json:"files,omitzero"`
	DryRun   bool   `json:"dry_run,omitzero"`
}

// Imported is what an import has brought, or would bring.
type Imported struct {
	Kind   string  `json:"kind"`
	DryRun bool    `json:"dry_run"`
	Counts []Count `json:"counts"`
	Notes  []Note  `json:"notes"` // what somebody should know
}

// Note is something about one thing that was imported.
type Note struct {
	Kind    string `json:"kind"`
	Foreign string `json:"foreign"` // what the thing was called on the other server
	UID     int64  `json:"uid,omitzero"`
	Text    string `json:"text"`
}

// ServeImports adds the command for other kinds of server.
func (g *Gateway) ServeImports(i Imports) { g.mux.HandleFunc("POST /import", stream(g, i.Import)) }

// Import has people brought along from another kind of server.
func (c *Client) Import(ctx context.Context, in Import, progress func(Progress)) (Imported, error) {
	return follow[Imported](ctx, c, "/import", in, progress)
}
