// Package control carries the operator's commands over a socket in the data folder that only the server's own user can
// open, so that a command and the running server act on the same live state.
package control
