package dynamo

import (
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// The project's item. A request does not touch it: members spend grants, which
// they draw from it now and then. Each draw pays for the whole item.
//
//	pk P#<project>, sk A, gu p     gu: the users index, written once
//	nm, c, v                       name, created (NULL: by nobody yet), settings version
//	B, l {month: left}             the budget, and what is left of it to grant; no entry: all of it
//	g {user: {n, c, m}}            the members: number, amount and month of their last draws
//	w                              what must be left for a grant of full size
//	x                              transfers, counted
//
// What a member's grants amount to, besides what its requests hold, is p − G
// in its own item (unused). Whoever writes keeps to one equation, by month:
//
//	spent = (B − left) − Σ members (unused + reserved)
//
// It is linear. So a budget that changes moves each left by as much, another
// G moves each p, and what was spent is known whatever a project's members
// did before they had a budget: their p just is that far below G.
const (
	projectPrefix = "P#"
	projectsKey   = "p"

	// maxMembers is how many fit into an item, however long their ids are.
	maxMembers = 3000
)

// The states of an account's G. In each of them p is unused + G.
const (
	unlimited = usage.None // there is no budget
	granted   = usage.Nano(0)
	// frozen accounts may not even spend what their open requests return,
	// because their project has spent and reserved more than its budget.
	frozen = -usage.None
)

const (
	// fullGrant is what a member draws at most if it does not need more.
	fullGrant = usage.Dollar
	// shares is how many draws of each member should be left after a draw.
	shares = 8
)

// fund is a project's item.
type fund struct {
	admission.Project
	version, transfers int64
	left               map[string]usage.Nano // by month
	draws              map[string]draw       // by member
}

// draw is a grant on its way from the project's item into an account's, whose
// gn is the number after it.
type draw struct {
	number int64
	amount usage.Nano
	month  string
}

func newFund(p admission.Project) *fund {
	return &fund{Project: p, version: 1, left: map[string]usage.Nano{}, draws: map[string]draw{}}
}

func fundKey(id string) map[string]types.AttributeValue { return key(projectPrefix+id, accountSK) }

// item writes f as its item.
func (f *fund) item() map[string]types.AttributeValue {
	it := fundKey(f.ID)
	it["gu"], it["nm"], it["c"] = str(projectsKey), str(f.Name), moment(f.Created)
	it["v"], it["x"] = n(f.version), n(f.transfers)
	it["B"], it["l"] = n(int64(f.Month)), numbers(f.left)
	members := make(map[string]types.AttributeValue, len(f.draws))
	for id, d := range f.draws {
		members[id] = d.attr()
	}
	it["g"], it["w"] = &types.AttributeValueMemberM{Value: members}, n(int64(len(members))*int64(plenty))
	return it
}

func (d draw) attr() types.AttributeValue {
	of := map[string]types.AttributeValue{"n": n(d.number)}
	if d.month != "" {
		of["c"], of["m"] = n(int64(d.amount)), str(d.month)
	}
	return &types.AttributeValueMemberM{Value: of}
}

// readFund reads what item wrote.
func readFund(it map[string]types.AttributeValue) (*fund, error) {
	r := reader{item: it}
	f := &fund{
		Project: admission.Project{Name: r.str("nm"), Month: usage.Nano(r.num("B")), Created: r.moment("c")},
		version: r.num("v"), transfers: r.num("x"), left: readNumbers[usage.Nano](&r, "l"),
	}
	if pk := r.str("pk"); len(pk) > len(projectPrefix) {
		f.ID = pk[len(projectPrefix):]
	}
	of := reader{item: r.attrs("g"), err: r.err}
	f.draws = make(map[string]draw, len(of.item))
	for id := range of.item {
		d := reader{item: of.attrs(id)}
		f.draws[id] = draw{d.num("n"), usage.Nano(d.num("c")), d.str("m")}
		of.keep(id, d.err)
	}
	if of.err != nil {
		return nil, fmt.Errorf("dynamo: item of project %q: %w", f.ID, of.err)
	}
	return f, nil
}

func (f *fund) leftOf(month string) usage.Nano {
	if left, ok := f.left[month]; ok {
		return left
	}
	return f.Month
}

// state is what the G of f's members should be, as far as f can say.
func (f *fund) state() usage.Nano {
	if f.Month < usage.None {
		return granted
	}
	return unlimited
}

// plenty must be left for each member so that one of them may draw a full
// grant; the item holds it for all, as conditions cannot multiply.
const plenty = shares * fullGrant

// grant is how much of what is left a member should draw who needs so much,
// which must be there: enough for a while, but so that the others do not go
// short. A fixed part of the budget would strand a small one in the grants of
// many members.
func grant(left usage.Nano, members int, need usage.Nano) usage.Nano {
	return min(left, max(need, min(fullGrant, left/usage.Nano(shares*max(1, members)))))
}

// unused is what a's grants of the month amount to besides what its requests
// hold. Below zero it has spent what was never granted.
func unused(a *admission.Account, month string) usage.Nano {
	if left, ok := a.ProjectLeft[month]; ok {
		return left - a.ProjectLimit
	}
	return 0
}

// firstMonth is the oldest month that an open request can be charged to. What
// is left of older ones matters to nobody.
func firstMonth(now time.Time) string { return admission.Month(monthBefore(now.Add(-skew))) }

// monthBefore is the first moment of the month before t's.
func monthBefore(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month()-1, 1, 0, 0, 0, 0, time.UTC)
}
