package api

// Lists that grow while somebody reads them go on behind the last entry that was read, and have no pages.

const (
	spanLength    = 50
	maxSpanLength = 100
)

// limit is how much of a list a request wants.
type limit struct {
	Limit int `json:"-" query:"limit" doc:"50 if absent, at most 100"`
}

func (l limit) most() (int, error) {
	switch {
	case l.Limit > maxSpanLength:
		return 0, because(errBody, "limit is 1 to 100")
	case l.Limit == 0:
		return spanLength, nil
	}
	return l.Limit, nil
}

// span is what a request for a part of a growing list says.
type span struct {
	After int64 `json:"-" query:"after" doc:"the last entry that was read: its number"`
	limit
}

// part is what lies behind an entry of a growing list.
type part[T any] struct {
	Items   []T  `json:"items"`
	HasMore bool `json:"has_more" doc:"there are others behind the last of these"`
}

// partOf reads one entry more than it gives, and so knows whether there are more.
func partOf[From, To any](in span, convert func(From) To, read func(most int) ([]From, error)) (part[To], error) {
	most, err := in.most()
	if err != nil {
		return part[To]{}, err
	}
	list, err := read(most + 1)
	if err != nil {
		return part[To]{}, err
	}
	return part[To]{listOf(list[:min(most, len(list))], convert).Items, len(list) > most}, nil
}
