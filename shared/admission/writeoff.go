package admission

import (
	"context"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// WriteOffs forgives requests that were charged at their estimates because
// nobody knows what became of them.
type WriteOffs interface {
	// WriteOff appends a record that takes back what the unsettled record with
	// that id cost, and gives the money back to its user and to the project that
	// paid, in the periods in which it was charged. Records are never changed: the
	// sum of both is 0. It returns the new record; a second write-off
	// of the same record changes nothing and returns that one, too. It fails with
	// fault.NotFound without such a record, and with fault.Conflict if it holds
	// what the request really cost.
	//
	// A user who was deleted since, or another of the same id, gets no money.
	WriteOff(ctx context.Context, user, id string) (usage.Record, error)
}

// OperationWriteOff is the Operation of the records that WriteOff appends.
const OperationWriteOff = "write_off"

// WriteOff returns the record that takes r back. It fails as WriteOffs does.
func WriteOff(r usage.Record) (usage.Record, error) {
	if r.Operation == OperationWriteOff {
		return usage.Record{}, &fault.Error{Kind: fault.Conflict, Code: "not_unsettled", Message: "The record " + r.ID + " is a write-off itself, of " + r.WritesOff + "."}
	}
	if !r.Unsettled {
		return usage.Record{}, &fault.Error{Kind: fault.Conflict, Code: "not_unsettled",
			Message: "The request " + r.ID + " was settled with what it really cost; only records marked 'unsettled' can be written off."}
	}
	id, err := WriteOffID(r.ID)
	if err != nil {
		return usage.Record{}, err
	}
	return usage.Record{ID: id, Time: r.Time, User: r.User, Key: r.Key, Project: r.Project, Tags: r.Tags, Operation: OperationWriteOff, WritesOff: r.ID,
		Asked: r.Asked, Provider: r.Provider, Model: r.Model, Status: 200, Cost: -r.Cost}, nil
}

// WriteOffID is the id of the record that takes back the one called id. It
// fails with fault.NotFound if nothing can be called id.
func WriteOffID(id string) (string, error) {
	derived, err := requestid.Derive(id, OperationWriteOff)
	if err != nil {
		return "", fault.New(fault.NotFound, "There is no request %q.", id)
	}
	return derived, nil
}

// Paid says whether a is the account that was charged at t: not that of a
// later user of the same id.
func (a *Account) Paid(t time.Time) bool { return !a.Created.After(t) }
