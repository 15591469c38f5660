package chat

import (
	"context"

	"parley/internal/core"
)

// The bounds of a unit of work of the indexer.
const (
	IndexWork = indexWork
	MaxTerms  = maxTerms
)

// IndexOnce indexes what one unit of work does, and returns the conversations that have more.
func (s *Service) IndexOnce(ctx context.Context, list []core.ConversationID) ([]core.ConversationID, error) {
	left, _, err := s.indexer.index(ctx, list)
	return left, err
}

// NamedQuery looks up members by the keys of their names.
const NamedQuery = namedQuery

// MentionsQuery reads who is mentioned in messages.
const MentionsQuery = mentionsQuery

// The queries that read what messages show beside their texts, who came later than a message, and what may be a hit.
const (
	QuotesQuery  = quotesQuery
	FilesQuery   = filesQuery
	ShowingQuery = showingQuery
	HiddenQuery  = hiddenQuery
	LookByTerm   = lookByTerm
	LookAtAll    = lookAtAll
)
