package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// A page of a listing has pageSize entries unless the client asks for another
// number, maxPage at most.
const (
	pageSize = 100
	maxPage  = 1000
)

// listing is the answer with a page of a listing.
type listing struct {
	Object string `json:"object"`
	Data   any    `json:"data"`
	More   bool   `json:"has_more"`
	Next   string `json:"next,omitempty"` // what ?after= takes for the next page
}

// stamp is a time as answers have it: in UTC, to the millisecond, always of
// the same width.
type stamp struct{ time.Time }

func (s stamp) MarshalJSON() ([]byte, error) {
	return s.UTC().AppendFormat(nil, `"2006-01-02T15:04:05.000Z"`), nil
}

// list answers with a page. next is where the next one begins; "" if this is
// the last.
func (v *visit) list(data any, next string) error {
	return v.json(http.StatusOK, listing{"list", data, next != "", next})
}

// page shows up to limit of the entries that were found, which are one more if
// there is a next page: that begins after the id of this one's last.
func page[T, O any](found []T, limit int, show func(T) O, id func(O) string) (data []O, next string) {
	data = []O{}
	for _, e := range found[:min(limit, len(found))] {
		data = append(data, show(e))
	}
	if len(found) > limit {
		next = id(data[limit-1])
	}
	return data, next
}

// pageLimit reads ?limit=, how many entries a page may have.
func pageLimit(v *visit, ifNone, most int) (int, error) {
	text := v.r.URL.Query().Get("limit")
	if text == "" {
		return ifNone, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, fault.Field("limit", "'limit' must be an integer from 1 to %d.", most)
	}
	return n, nil
}

// after is ?after=, the last entry of the page before.
func after(v *visit) string { return v.r.URL.Query().Get("after") }

func (v *visit) json(status int, o any) error {
	body, err := rawjson.Marshal(o)
	if err != nil {
		return err
	}
	writeJSON(v, status, body)
	return nil
}
