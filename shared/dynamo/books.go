package dynamo

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/usage"
)

const (
	// memberFields are what the books need of an account.
	memberFields = "pk, pj, p, G, gn, L"
	// maxReads bounds how often books are read until nothing moves meanwhile.
	maxReads = 4
)

// books are a project and its members. If steady, that is how they were at one
// moment, but for what requests did to single members.
type books struct {
	*fund
	members map[string]member
	steady  bool
}

type member struct {
	*admission.Account
	held map[string]usage.Nano // by month
}

// pending returns the draw that is still on its way to m.
func (b *books) pending(m member) (draw, bool) {
	d := b.draws[m.ID]
	return d, d.number == m.Draws+1
}

// unused includes what is on its way.
func (b *books) unused(m member, month string) usage.Nano {
	u := unused(m.Account, month)
	if d, ok := b.pending(m); ok && d.month == month {
		u += d.amount
	}
	return u
}

// total is what is left of the budget, granted or not.
func (b *books) total(month string) usage.Nano {
	sum := b.leftOf(month)
	for _, m := range b.members {
		sum += b.unused(m, month)
	}
	return sum
}

func (b *books) reserved(month string) usage.Nano {
	var sum usage.Nano
	for _, m := range b.members {
		sum += m.held[month]
	}
	return sum
}

// months are those from first on in which money moved.
func (b *books) months(first string) []string {
	seen := map[string]bool{}
	note := func(money map[string]usage.Nano) {
		for month := range money {
			if month >= first {
				seen[month] = true
			}
		}
	}
	note(b.left)
	for _, m := range b.members {
		note(m.ProjectLeft)
		note(m.held)
	}
	return slices.Sorted(maps.Keys(seen))
}

func (b *books) account() admission.ProjectAccount {
	a := admission.ProjectAccount{Project: b.Project, Version: b.version, Members: slices.Sorted(maps.Keys(b.draws)),
		Spent: map[string]usage.Nano{}, Reserved: map[string]usage.Nano{}}
	for _, month := range b.months(firstMonth(time.Now())) {
		a.Reserved[month] = b.reserved(month)
		a.Spent[month] = b.Month - b.total(month) - a.Reserved[month]
	}
	return a
}

// books reads projects with their members, by id; those that do not exist are
// left out. A project's item and its members' are read one after the other, so
// the project's is read again to see whether money or members moved between
// them; if they did, all is.
func (s *Store) books(ctx context.Context, t *trips, ids ...string) (map[string]*books, error) {
	now, err := s.items(ctx, t, projectPrefix, ids, "")
	if err != nil {
		return nil, err
	}
	all := map[string]*books{}
	for range maxReads {
		some, err := s.open(ctx, t, now)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, some)
		moved, err := s.items(ctx, t, projectPrefix, slices.Collect(maps.Keys(now)), "")
		if err != nil {
			return nil, err
		}
		for id, it := range now {
			again, exists := moved[id]
			all[id].steady = reflect.DeepEqual(it, again)
			if all[id].steady {
				delete(moved, id)
			} else if !exists {
				delete(all, id)
			}
		}
		if now = moved; len(now) == 0 {
			break
		}
	}
	return all, nil
}

// book is books for one project; nil if it does not exist.
func (s *Store) book(ctx context.Context, t *trips, id string) (*books, error) {
	all, err := s.books(ctx, t, id)
	return all[id], err
}

// open reads the members of the projects with those items.
func (s *Store) open(ctx context.Context, t *trips, items map[string]map[string]types.AttributeValue) (map[string]*books, error) {
	all := make(map[string]*books, len(items))
	var members []string
	for id, it := range items {
		f, err := readFund(it)
		if err != nil {
			return nil, err
		}
		all[id] = &books{fund: f, members: make(map[string]member, len(f.draws))}
		members = slices.AppendSeq(members, maps.Keys(f.draws))
	}
	slices.Sort(members)
	found, err := s.items(ctx, t, userPrefix, slices.Compact(members), memberFields) // one that moved meanwhile may be in two
	if err != nil {
		return nil, err
	}
	for id, it := range found {
		a, err := account(it)
		if err != nil {
			return nil, err
		}
		if b := all[a.Project]; b != nil {
			if _, in := b.draws[id]; in {
				b.members[id] = member{a, a.Held()}
			}
		}
	}
	return all, nil
}
