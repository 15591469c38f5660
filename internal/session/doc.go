// Package session knows who is online: live connections, what each has still to get, fan-out, kicks and silence.
//
// Three rules hold everywhere in it:
//   - no lock is held during I/O, and after a session's lock only that of gathering is taken;
//   - whoever queues the first frame starts the writer, which ends when nothing is left to write;
//   - the last of a connection's reader and writer to leave closes the socket.
package session
