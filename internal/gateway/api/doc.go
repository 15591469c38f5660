// Package api is the gateway of document 002, the meeting system: JSON over HTTP under /api/v1. It is also what Parley's own
// web client speaks.
//
// The protocol is described in docs/protocols/api.md. The routes stand in routes.go, and the OpenAPI document is made from
// that table and from the Go types that the routes take and give.
package api
