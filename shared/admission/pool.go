package admission

import (
	"maps"
	"slices"

	"github.com/devmentor/ai-gateway/shared/usage"
)

// Pool is a project whose members' accounts are in one memory: all of them
// take from the map Left, so that nothing has to be granted. Whoever works on
// a member's money, or on the pool, needs a lock that all of them share.
type Pool struct {
	Project
	Left    map[string]usage.Nano // by Month; a missing one is untouched
	Members map[string]*Account   // by id
	Version int64
}

// NewPool returns a project without members that has spent nothing.
func NewPool(p Project) *Pool {
	return &Pool{Project: p, Left: map[string]usage.Nano{}, Members: map[string]*Account{}}
}

// Join makes a a member, which pays for a's open requests from now on.
func (p *Pool) Join(a *Account) {
	p.Members[a.ID] = a
	a.ProjectLimit, a.ProjectLeft = p.Month, p.Left
	p.hold(a, 1)
}

// Leave ends a's membership: what a spent stays, its open requests go along.
func (p *Pool) Leave(a *Account) {
	p.hold(a, -1)
	delete(p.Members, a.ID)
	a.ProjectLimit, a.ProjectLeft = usage.None, map[string]usage.Nano{}
}

func (p *Pool) hold(a *Account, sign usage.Nano) {
	for month, held := range a.Held() {
		p.Book(month, sign*held)
	}
}

// Book charges the month with money; a negative amount is given back.
func (p *Pool) Book(month string, money usage.Nano) {
	left, ok := p.Left[month]
	if !ok {
		left = p.Month
	}
	p.Left[month] = left - money
}

// Set changes name and budget; what is spent and reserved stays so.
func (p *Pool) Set(to Project) {
	for month := range p.Left {
		p.Left[month] += to.Month - p.Month
	}
	p.Project = to
	p.Version++
	for _, a := range p.Members {
		a.ProjectLimit = to.Month
	}
}

// Account describes the project as it is.
func (p *Pool) Account() ProjectAccount {
	a := ProjectAccount{Project: p.Project, Version: p.Version, Members: slices.Sorted(maps.Keys(p.Members)),
		Spent: map[string]usage.Nano{}, Reserved: map[string]usage.Nano{}}
	for _, m := range p.Members {
		for month, held := range m.Held() {
			a.Reserved[month] += held
		}
	}
	for month, left := range p.Left {
		a.Spent[month] = p.Month - left - a.Reserved[month]
	}
	return a
}
