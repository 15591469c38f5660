package dpc

import (
	"context"
	"errors"
)

// command works on one message and returns its answer, nil if there is none now.
type command func(ctx context.Context, c *conn, message []byte) []byte

// commands are the requests that a port takes, by their op.
type commands map[int]command

var authCommands = commands{
	opLogin:    handle(opLogin, (*conn).login, loginCodes),          // docs/protocols/dpc.md#login
	opSendCode: handle(opSendCode, (*conn).sendCode, sendCodeCodes), // docs/protocols/dpc.md#code
	opRegister: handle(opRegister, (*conn).register, registerCodes), // docs/protocols/dpc.md#register
}

var chatCommands = commands{
	opSay: func(ctx context.Context, c *conn, message []byte) []byte { return c.say(ctx, message) }, // docs/protocols/dpc.md#say
}

// handle makes a command of a function that takes a request and whose error is the answer.
func handle[In any](op int, run func(*conn, context.Context, In) error, codes table) command {
	return func(ctx context.Context, c *conn, message []byte) []byte {
		var in In
		if decode(message, &in) != nil {
			c.refuse(op)
			return nil
		}
		return result(op, c.gw.code(codes, run(c, ctx, in)))
	}
}

// fileCommands are the requests of the file port. They report whether another request may follow.
var fileCommands = map[int]func(*fileConn, fileRequest) (more bool, err error){
	opUpload:   (*fileConn).upload, // docs/protocols/dpc.md#upload
	opDownload: (*fileConn).look,   // docs/protocols/dpc.md#list, #download
}

// upload stores one file, alone or of a folder. A refusal ends the connection, since nobody knows what the bytes that follow mean.
func (c *fileConn) upload(in fileRequest) (more bool, err error) {
	w, size, err := c.begin(in)
	if err == nil {
		err = c.receive(w, size)
	}
	switch {
	case errors.Is(err, errBroken):
		return false, err
	case err != nil:
		return false, c.send(result(opUpload, c.gw.code(uploadCodes, err)))
	}
	return c.inFolder, nil
}

// look tells which files there are, or sends one.
func (c *fileConn) look(in fileRequest) (more bool, err error) {
	switch look, ok := in.Look.number(); {
	case ok && look == lookList:
		return c.list(in)
	case ok && look == lookGet:
		return c.download(in)
	}
	return false, c.send(result(opDownload, codeRefused))
}
