package core

import "time"

// ReportState is what has become of a report.
type ReportState int8

// The states of a report.
const (
	ReportOpen    ReportState = 1
	ReportHandled ReportState = 2 // something was done
	ReportRefused ReportState = 3 // there was nothing to do
)

// Report is a user's complaint to those who administer, about a message or about a user.
type Report struct {
	ID           int64
	By           Author
	About        Author         // who wrote the message, or who was reported
	Conversation ConversationID // 0 if it is about the user
	Seq          Seq            // 0 if it is about the user
	Text         string         // of the message as it was when it was reported
	Reason       string         // in the reporter's words
	At           time.Time
	State        ReportState
	HandledBy    Author
	HandledAt    time.Time
	Note         string // of who handled it
}

// ErrReportNotFound says that there is no such report.
var ErrReportNotFound = newError(NotFound, "there is no such report")
