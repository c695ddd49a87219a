package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// recordObject is a record whose times are in milliseconds, as everywhere.
type recordObject struct {
	Object string `json:"object"`
	usage.Record
	TTFT     float64 `json:"ttft_ms,omitempty"`
	Duration float64 `json:"duration_ms,omitempty"`
	Overhead float64 `json:"overhead_ms,omitempty"`

	// These hide the record's own, in nanoseconds.
	NanoTTFT     *int `json:"ttft_ns,omitempty"`
	NanoDuration *int `json:"duration_ns,omitempty"`
	NanoOverhead *int `json:"overhead_ns,omitempty"`
}

func showRecord(r usage.Record) recordObject {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }
	return recordObject{Object: "ledger.record", Record: r, TTFT: ms(r.TTFT), Duration: ms(r.Duration), Overhead: ms(r.Overhead)}
}

// listLedger lists a user's records, oldest first: those of the last week,
// or of what ?from= and ?to= say. With ?unsettled=true it lists only what could
// be written off.
func (s *Server) listLedger(v *visit) error {
	q := v.r.URL.Query()
	user := q.Get("user")
	if !admission.ValidUserID(user) {
		return fault.Field("user", "'user' must name the user whose records are asked for.")
	}
	limit, err := pageLimit(v, pageSize, maxPage)
	if err != nil {
		return err
	}
	from, to, err := span(q, time.Now())
	if err != nil {
		return err
	}
	unsettled := false
	if text := q.Get("unsettled"); text != "" {
		if unsettled, err = strconv.ParseBool(text); err != nil {
			return fault.Field("unsettled", "'unsettled' must be true or false.")
		}
	}
	last := after(v)
	if last != "" {
		at, err := requestid.Time(last)
		if err != nil {
			return fault.Field("after", "'after' must be the 'next' of the page before.")
		}
		if at.After(from) {
			from = at
		}
	}
	var found []usage.Record
	for r, err := range s.Ledger.Records(v.r.Context(), user, from, to) {
		if err != nil {
			return err
		}
		if r.ID <= last {
			continue
		}
		if unsettled {
			owed, err := s.owed(v.r.Context(), r)
			if err != nil {
				return err
			}
			if !owed {
				continue
			}
		}
		if found = append(found, r); len(found) > limit {
			break
		}
	}
	return v.list(page(found, limit, showRecord, func(o recordObject) string { return o.ID }))
}

// owed says whether r is an unsettled record that nobody has written off.
func (s *Server) owed(ctx context.Context, r usage.Record) (bool, error) {
	if !r.Unsettled {
		return false, nil
	}
	id, err := admission.WriteOffID(r.ID)
	if err != nil {
		return false, err
	}
	_, err = s.Ledger.Record(ctx, r.User, id)
	if errors.Is(err, fault.NotFound) {
		return true, nil
	}
	return false, err
}

// writeOff forgives a request that was charged at its estimate.
func (s *Server) writeOff(v *visit) error {
	var b struct {
		User json.RawMessage `json:"user"`
	}
	if err := v.decode(&b); err != nil {
		return err
	}
	ctx, id := v.r.Context(), v.r.PathValue("id")
	if _, err := requestid.Time(id); err != nil {
		return fault.New(fault.NotFound, "There is no request '%s'.", id)
	}
	user, given := rawjson.String(b.User)
	if !rawjson.IsNull(b.User) && (!given || !admission.ValidUserID(user)) {
		return fault.Field("user", "'user' must be the id of the user who sent the request.")
	}
	if !given {
		var err error
		if user, err = s.whose(ctx, id); err != nil {
			return err
		}
	}
	r, err := s.WriteOffs.WriteOff(ctx, user, id)
	if err != nil {
		return err
	}
	return v.json(http.StatusOK, struct {
		Object string       `json:"object"`
		ID     string       `json:"id"`
		User   string       `json:"user"`
		Amount usage.Nano   `json:"written_off_usd"`
		Record recordObject `json:"record"`
	}{"ledger.write_off", id, user, -r.Cost, showRecord(r)})
}

// whose finds the user who sent a request, among those there are.
func (s *Server) whose(ctx context.Context, id string) (string, error) {
	for after := ""; ; {
		users, err := s.Users.ListUsers(ctx, after, pageSize)
		if err != nil {
			return "", err
		}
		for _, u := range users {
			_, err := s.Ledger.Record(ctx, u.ID, id)
			if err == nil {
				return u.ID, nil
			}
			if !errors.Is(err, fault.NotFound) {
				return "", err
			}
			after = u.ID
		}
		if len(users) < pageSize {
			return "", fault.New(fault.NotFound, "There is no record of a request '%s' of any user. Name the user if it has been deleted.", id)
		}
	}
}
