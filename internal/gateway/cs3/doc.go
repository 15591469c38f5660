// Package cs3 serves the clients of the CS3 protocol: JSON objects on a socket without framing, and HTTP.
// docs/protocols/cs3.md describes the protocol; the commands cite its sections.
package cs3
