// Package dpc serves the clients of the DPC protocol: JSON behind a header of fixed width on three ports, for accounts, for
// chat and for files. docs/protocols/dpc.md describes the protocol; the commands cite its sections.
package dpc
