package api

import (
	"time"

	"parley/internal/admin"
	"parley/internal/core"
	"parley/internal/outbox"
	"parley/internal/session"
)

// statistics is the server in numbers.
type statistics struct {
	Version       string             `json:"version"`
	StartedAt     time.Time          `json:"started_at"`
	Uptime        int64              `json:"uptime_s" doc:"in seconds"`
	Users         int                `json:"users"`
	Online        int                `json:"online" doc:"users with a live connection"`
	Conversations int64              `json:"conversations"`
	Rooms         int64              `json:"rooms"`
	Messages      int64              `json:"messages"`
	Files         int64              `json:"files"`
	FileBytes     int64              `json:"file_bytes"`
	Connections   []gatewayStatistic `json:"connections"`
	DatabaseBytes int64              `json:"database_bytes"`
	Goroutines    int                `json:"goroutines"`
	Memory        int64              `json:"memory_bytes" doc:"what the program has of the system"`
}

type gatewayStatistic struct {
	Gateway     core.Gateway `json:"gateway" doc:"the family of clients"`
	Connections int          `json:"connections"`
}

// docs/protocols/api.md#inspection.
func showStatistics(c *call, _ nothing) (statistics, error) {
	st, err := c.gw.Admin.Statistics(c.ctx(), c.actor)
	f := st.Figures
	return statistics{
		Version: st.Version, StartedAt: st.Started.UTC(), Uptime: int64(st.Uptime.Seconds()), Users: f.Users, Online: st.Online,
		Conversations: f.Conversations, Rooms: f.Rooms, Messages: f.Messages, Files: f.Files, FileBytes: f.FileBytes,
		Connections:   listOf(st.Connections, func(n admin.Count) gatewayStatistic { return gatewayStatistic{n.Gateway, n.Connections} }).Items,
		DatabaseBytes: st.DatabaseBytes, Goroutines: st.Goroutines, Memory: st.Memory,
	}, err
}

// connection is a live connection of a client.
type connection struct {
	ConnectionID int64        `json:"connection_id"`
	Gateway      core.Gateway `json:"gateway" doc:"the family of clients"`
	UserID       core.UserID  `json:"user_id,omitzero" doc:"absent before login"`
	Username     string       `json:"username,omitzero"`
	DeviceID     int64        `json:"device_id,omitzero"`
	IP           string       `json:"ip"`
	Online       bool         `json:"online" doc:"its user is logged in"`
	Since        time.Time    `json:"since"`
}

func connectionOf(c session.Connection) connection {
	v := connection{
		ConnectionID: c.ID, Gateway: c.Gateway, UserID: c.User, Username: c.Name, DeviceID: c.Device, Online: c.Online, Since: c.Since.UTC(),
	}
	if c.IP.IsValid() {
		v.IP = c.IP.String()
	}
	return v
}

type connectionsRequest struct {
	paging
	UserID  core.UserID `json:"-" query:"user_id" doc:"only this user's"`
	Gateway string      `json:"-" query:"gateway" doc:"only those of a family of clients"`
}

type connectionRequest struct {
	ConnectionID int64 `json:"-" path:"connection_id"`
}

// docs/protocols/api.md#inspection.
func listConnections(c *call, in connectionsRequest) (page[connection], error) {
	skip, most, err := in.span()
	if err != nil {
		return page[connection]{}, err
	}
	list, total, err := c.gw.Admin.Connections(c.ctx(), c.actor, admin.Filter{User: in.UserID, Gateway: core.Gateway(in.Gateway)}, skip, most)
	return pageOf(list, total, skip, most, connectionOf), err
}

// docs/protocols/api.md#inspection.
func disconnect(c *call, in connectionRequest) (nothing, error) {
	return nothing{}, c.gw.Admin.Disconnect(c.ctx(), c.actor, c.from, in.ConnectionID)
}

// unsentCode is a code that lies in the server's outbox.
type unsentCode struct {
	CodeID    string    `json:"code_id"`
	To        string    `json:"to"`
	Kind      string    `json:"kind" doc:"mail or sms"`
	Code      string    `json:"code,omitzero" doc:"absent in the list"`
	CreatedAt time.Time `json:"created_at"`
}

func unsentOf(m outbox.Unsent) unsentCode {
	v := unsentCode{CodeID: m.ID, To: m.To, Kind: "mail", Code: m.Code, CreatedAt: m.At.UTC()}
	if m.Kind == outbox.SMS {
		v.Kind = "sms"
	}
	return v
}

type codeRequest struct {
	CodeID string `json:"-" path:"code_id"`
}

// docs/protocols/api.md#inspection.
func listCodes(c *call, _ nothing) (items[unsentCode], error) {
	list, err := c.gw.Admin.Codes(c.ctx(), c.actor)
	return listOf(list, unsentOf), err
}

// docs/protocols/api.md#inspection.
func showCode(c *call, in codeRequest) (unsentCode, error) {
	m, err := c.gw.Admin.Code(c.ctx(), c.actor, c.from, in.CodeID)
	return unsentOf(m), err
}

// docs/protocols/api.md#inspection.
func dropCode(c *call, in codeRequest) (nothing, error) {
	return nothing{}, c.gw.Admin.DropCode(c.ctx(), c.actor, c.from, in.CodeID)
}
