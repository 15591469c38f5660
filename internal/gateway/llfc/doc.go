// Package llfc serves the llfc clients: the HTTP gate for accounts, and framed JSON over TCP for everything
// after login. The protocol is described in docs/protocols/llfc.md; the code cites its sections.
package llfc
