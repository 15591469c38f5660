// Package transfer moves people, and what is theirs, between servers: from other kinds of server, and by Parley's own archives.
package transfer
