// Package outbox carries verification codes and notices out of the server: into a folder, to a mail server, or to a gateway
// for text messages.
package outbox

import (
	"context"
	"errors"
	"fmt"

	"parley/internal/core"
)

// Kind says by which way a message leaves.
type Kind uint8

// The kinds of message.
const (
	Mail Kind = iota
	SMS
)

// Message is one message to one recipient.
type Message struct {
	Kind    Kind
	To      string // a bare e-mail address, or a phone number of digits with an optional +
	Subject string // mail only
	Text    string // the plain text, always there
	Code    string // SMS only; the verification code that the text brings, "" if it brings none
	HTML    string // mail only; "" for none
}

// Sender sends messages. Send returns when the message is in the hands of the next station: on disk, or taken by the
// mail server or the gateway. A recipient that cannot be one is core.ErrInvalidEmail or core.ErrInvalidPhone; every other
// failure is core.ErrInvalid, if the message is at fault, or core.ErrDeliveryFailed.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

func failed(err error) error {
	if errors.Is(err, core.ErrInvalid) || errors.Is(err, core.ErrInvalidEmail) || errors.Is(err, core.ErrInvalidPhone) {
		return err
	}
	return fmt.Errorf("%w: %w", core.ErrDeliveryFailed, err)
}
