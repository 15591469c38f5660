package dpc

import (
	"errors"

	"parley/internal/chat"
	"parley/internal/core"
	"parley/internal/session"
)

// What a request wants, by the port that it comes to.
const (
	opLogin    = 0 // auth: docs/protocols/dpc.md#login
	opSendCode = 1 // #code
	opRegister = 2 // #register

	opSay = 0 // chat: #say

	opUpload   = 0 // files: #upload
	opDownload = 1 // #list, #download

	lookList = 0 // #list
	lookGet  = 1 // #download

	typeFile   = 0
	typeFolder = 1
)

// What is answered: docs/protocols/dpc.md#results.
const (
	codeOK         = 0
	codeRefused    = 1
	codeNameTaken  = 1 // in the answer to a registration
	codePhone      = 2
	codePhoneTaken = 3 // in the answer to a request for a code
	codeWrong      = 3 // in the answer to a registration

	codeMissing = 400 // in place of a file's name
)

// table says what a request is answered for each error: first by the error, then by its kind, then at all.
type table struct {
	byError []errorCode
	byKind  map[core.Kind]int
	other   int
}

type errorCode struct {
	err  error
	code int
}

var (
	loginCodes    = table{other: codeRefused}
	sendCodeCodes = table{
		byError: []errorCode{
			{core.ErrInvalidPhone, codePhone},
			{core.ErrPhoneTaken, codePhoneTaken},
		},
		other: codeRefused,
	}
	registerCodes = table{
		byError: []errorCode{
			{core.ErrNameTaken, codeNameTaken},
			{core.ErrInvalidPhone, codePhone},
			{core.ErrCodeNotSent, codePhone},
			{core.ErrPhoneTaken, codePhone},
			{core.ErrCodeWrong, codeWrong},
			{core.ErrCodeExpired, codeWrong},
		},
		other: codeRefused,
	}
	sayCodes      = table{other: codeRefused}
	uploadCodes   = table{other: codeRefused}
	listCodes     = table{other: codeRefused}
	downloadCodes = table{
		byError: []errorCode{{core.ErrInvalidFileName, codeMissing}},
		byKind:  map[core.Kind]int{core.NotFound: codeMissing},
		other:   codeRefused,
	}
)

func (t table) find(err error) int {
	if err == nil {
		return codeOK
	}
	for _, c := range t.byError {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	if code, ok := t.byKind[core.KindOf(err)]; ok {
		return code
	}
	return t.other
}

// code returns what an error is answered with, and logs one that the client did not cause.
func (g *Gateway) code(codes table, err error) int {
	if err != nil && core.KindOf(err) == core.Internal {
		g.Log.Error("request failed", "gateway", gateway, "err", err)
	}
	return codes.find(err)
}

// farewell is what a chat connection is told before it is closed: docs/protocols/dpc.md#notices.
func farewell(reason session.Reason, _ core.UserID) []byte {
	switch reason {
	case session.Stopping:
		return appendNews(nil, chat.NoticeName, "the server is shutting down")
	case session.Revoked:
		return appendNews(nil, chat.NoticeName, "password changed or account disabled")
	}
	return nil
}
