package dynamo

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/devmentor/ai-gateway/shared/usage"
)

// maxShifts bounds the members of one transfer. Each more is one more whose
// requests may get in its way.
const maxShifts = 16

// shift is what a transfer does to one member.
type shift struct {
	member
	limit usage.Nano            // G after it
	by    map[string]usage.Nano // by month: what the member is granted more; less than none takes grants back
}

// transfer moves grants between a project and members as they were read, in
// one transaction. What requests do to the members meanwhile is no hindrance,
// unless they spend what is to be taken back. If within, what the project gives
// must be left of its budget.
func (s *Store) transfer(ctx context.Context, t *trips, f *fund, within bool, shifts ...shift) error {
	items := []types.TransactWriteItem{asUpdate(s.transferInput(f, within, shifts))}
	for _, sh := range shifts {
		items = append(items, asUpdate(s.shiftInput(f.ID, sh)))
	}
	return s.transact(ctx, t, items...)
}

func (s *Store) transferInput(f *fund, within bool, shifts []shift) *dynamodb.UpdateItemInput {
	given := map[string]usage.Nano{}
	flips, thaws := false, false
	for _, sh := range shifts {
		for month, money := range sh.by {
			given[month] += money
		}
		flips = flips || sh.limit != sh.ProjectLimit
		thaws = thaws || sh.limit != frozen && sh.ProjectLimit == frozen
	}
	update, condition := "SET x = x + :one", "attribute_exists(pk)"
	values := map[string]types.AttributeValue{":one": one}
	// Somebody slow must not undo what a later change of the budget has done,
	if flips {
		condition += " AND v = :v"
		values[":v"] = n(f.version)
	}
	// nor let somebody spend again if the project became overdrawn meanwhile.
	if thaws {
		condition += " AND x = :x"
		values[":x"] = n(f.transfers)
	}
	names := map[string]string{}
	for i, month := range slices.Sorted(maps.Keys(given)) {
		id := strconv.Itoa(i)
		names["#"+id], values[":"+id] = month, n(int64(given[month]))
		update += ", l.#" + id + " = if_not_exists(l.#" + id + ", B) - :" + id
		if within && given[month] > 0 {
			condition += " AND " + roomFor("l.#"+id, "B", ":"+id)
		}
	}
	if len(names) == 0 {
		names = nil // DynamoDB takes no empty map
	}
	return &dynamodb.UpdateItemInput{
		TableName: &s.state, Key: fundKey(f.ID), UpdateExpression: &update, ConditionExpression: &condition,
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	}
}

// shiftInput moves all of a member's p with its G. A month that begins
// meanwhile would start from the old G: the condition pins down which there are.
func (s *Store) shiftInput(project string, sh shift) *dynamodb.UpdateItemInput {
	update, condition := "SET G = :to", "pj = :project AND G = :from"
	values := map[string]types.AttributeValue{":project": str(project), ":from": n(int64(sh.ProjectLimit)), ":to": n(int64(sh.limit))}
	names := map[string]string{}
	add := func(month string, money usage.Nano) string {
		id := strconv.Itoa(len(names))
		names["#"+id], values[":"+id] = month, n(int64(money))
		update += ", p.#" + id + " = if_not_exists(p.#" + id + ", G) + :" + id
		if part := -sh.by[month]; part > 0 {
			values[":left"+id] = n(int64(sh.ProjectLimit + part))
			condition += " AND p.#" + id + " >= :left" + id
		}
		return "p.#" + id
	}
	if turn := sh.limit - sh.ProjectLimit; turn == 0 {
		for month, money := range sh.by {
			add(month, money)
		}
	} else {
		values[":count"] = n(int64(len(sh.ProjectLeft)))
		condition += " AND size(p) = :count"
		for month := range sh.ProjectLeft {
			condition += " AND attribute_exists(" + add(month, turn+sh.by[month]) + ")"
		}
	}
	if len(names) == 0 {
		names = nil
	}
	return &dynamodb.UpdateItemInput{
		TableName: &s.state, Key: accountKey(sh.ID), UpdateExpression: &update, ConditionExpression: &condition,
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	}
}

// balance puts a project in order after its budget has changed, or somebody
// has spent what was not granted: it goes on until every member's G says what
// the project does, nobody is below what was granted to them, and nobody has
// unused grants of a month in which the budget is exceeded. Accounts whose open
// requests may return money to such a month, since being the first that
// counts, are frozen. It fails with fault.NotFound.
func (s *Store) balance(ctx context.Context, t *trips, id, since string) (*books, error) {
	s.funds.forget(id)
	batch, pause := maxShifts, firstPause
	for lost := 0; ; {
		b, err := s.book(ctx, t, id)
		if err != nil {
			return nil, err
		}
		if b == nil {
			return nil, noProject(id)
		}
		if found, err := s.handAll(ctx, t, b); err != nil {
			return nil, err
		} else if found {
			continue
		}
		shifts := b.correct(firstMonth(time.Now()), since)
		if len(shifts) == 0 {
			return b, nil
		}
		for some := range slices.Chunk(shifts, batch) {
			if err = s.transfer(ctx, t, b.fund, false, some...); err != nil {
				break
			}
			b.transfers++
		}
		if err == nil {
			continue
		}
		lost++
		if !lostRace(err) || lost == maxChanges || !sleep(ctx, pause) {
			return nil, err
		}
		batch, pause = max(1, batch/4), min(2*pause, maxPause)
	}
}

// correct plans what balance does, for the months from first on.
func (b *books) correct(first, since string) []shift {
	shifts := make(map[string]shift, len(b.members))
	for id, m := range b.members {
		shifts[id] = shift{m, b.state(), map[string]usage.Nano{}}
	}
	for _, month := range b.months(first) {
		if b.state() == unlimited {
			break
		}
		left, over := b.leftOf(month), month >= since && b.total(month) < 0
		for id, m := range b.members {
			if gap := -unused(m.Account, month); gap > 0 {
				shifts[id].by[month] = gap
				left -= gap
			}
			if over && m.held[month] > 0 {
				shifts[id] = shift{m, frozen, shifts[id].by}
			}
		}
		for _, m := range b.idle(month, "") {
			if left >= 0 {
				break
			}
			part := min(-left, unused(m.Account, month))
			shifts[m.ID].by[month] = -part
			left += part
		}
	}
	var wrong []shift
	for _, id := range slices.Sorted(maps.Keys(shifts)) {
		if sh := shifts[id]; sh.limit != sh.ProjectLimit || len(sh.by) > 0 {
			wrong = append(wrong, sh)
		}
	}
	return wrong
}
