package api

import (
	"time"

	"parley/internal/core"
	"parley/internal/report"
)

// complaint is what those who administer see of what somebody has reported.
type complaint struct {
	ReportID       int64               `json:"report_id"`
	Reporter       author              `json:"reporter"`
	About          author              `json:"about" doc:"who wrote the message, or who was reported"`
	ConversationID core.ConversationID `json:"conversation_id,omitzero" doc:"absent if it is about the user"`
	Seq            core.Seq            `json:"seq,omitzero"`
	Text           string              `json:"text" doc:"of the message when it was reported"`
	Reason         string              `json:"reason"`
	CreatedAt      time.Time           `json:"created_at"`
	State          string              `json:"state" doc:"open, handled or refused"`
	HandledBy      *author             `json:"handled_by,omitzero"`
	HandledAt      time.Time           `json:"handled_at,omitzero"`
	Note           string              `json:"note"`
}

var reportStates = map[core.ReportState]string{core.ReportOpen: "open", core.ReportHandled: "handled", core.ReportRefused: "refused"}

// stateOf returns the state that a word means, 0 for all and for none, and an error for a word that means nothing.
func stateOf(word string) (core.ReportState, error) {
	for state, name := range reportStates {
		if name == word {
			return state, nil
		}
	}
	if word == "" {
		return 0, nil
	}
	return 0, because(errBody, "state is open, handled or refused")
}

func (s shapes) complaint(r core.Report) complaint {
	v := complaint{
		ReportID: r.ID, Reporter: s.author(r.By), About: s.author(r.About), ConversationID: r.Conversation, Seq: r.Seq, Text: r.Text,
		Reason: r.Reason, CreatedAt: r.At.UTC(), State: reportStates[r.State], Note: r.Note,
	}
	if r.HandledBy.ID != 0 {
		by := s.author(r.HandledBy)
		v.HandledBy, v.HandledAt = &by, r.HandledAt.UTC()
	}
	return v
}

type reportRequest struct {
	ConversationID core.ConversationID `json:"conversation_id,omitzero" example:"1"`
	Seq            core.Seq            `json:"seq,omitzero" example:"5" doc:"with conversation_id, the message"`
	UserID         core.UserID         `json:"user_id,omitzero" doc:"in place of a message, the user"`
	Reason         string              `json:"reason,omitzero" example:"This is spam."`
}

type reportsRequest struct {
	paging
	State string `json:"-" query:"state" doc:"open, handled or refused; all if absent"`
}

type handleRequest struct {
	ReportID int64  `json:"-" path:"report_id"`
	State    string `json:"state" example:"handled" doc:"open, handled or refused"`
	Note     string `json:"note,omitzero" example:"Talked to both."`
}

// docs/protocols/api.md#reports.
func fileReport(c *call, in reportRequest) (complaint, error) {
	r, err := c.gw.Reports.File(c.ctx(), c.actor, c.from, report.Complaint{
		Conversation: in.ConversationID, Seq: in.Seq, User: in.UserID, Reason: in.Reason,
	})
	return c.shapes().complaint(r), err
}

// docs/protocols/api.md#reports.
func listReports(c *call, in reportsRequest) (page[complaint], error) {
	skip, most, err := in.span()
	if err != nil {
		return page[complaint]{}, err
	}
	state, err := stateOf(in.State)
	if err != nil {
		return page[complaint]{}, err
	}
	list, total, err := c.gw.Reports.List(c.ctx(), c.actor, state, skip, most)
	return pageOf(list, total, skip, most, c.shapes().complaint), err
}

// docs/protocols/api.md#reports.
func handleReport(c *call, in handleRequest) (complaint, error) {
	state, err := stateOf(in.State)
	if err != nil {
		return complaint{}, err
	}
	r, err := c.gw.Reports.Handle(c.ctx(), c.actor, c.from, in.ReportID, state, in.Note)
	return c.shapes().complaint(r), err
}
