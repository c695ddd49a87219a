package dynamo

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/devmentor/ai-gateway/shared/router"
)

// breakerSlot is how long calls are counted in one item; the window is the
// present slot and the one before.
const breakerSlot = 15 * time.Second

// Breakers is the board on which the instances of a fleet count the calls to
// providers. An item holds the counts of 15 seconds, of all targets; adding to
// it returns it, so that an exchange is one write. Functions that call models
// may do nothing but update items, so the item before is read that way, too.
type Breakers struct {
	store *Store

	mu     sync.Mutex
	slot   int64
	before map[string]router.Seen // of the slot before
}

var _ router.Board = (*Breakers)(nil)

// Breakers returns a board in the state table.
func (s *Store) Breakers() *Breakers { return &Breakers{store: s} }

// Pool implements router.Board. An exchange that got no answer may count twice
// what it told; nobody is billed by these counts.
func (b *Breakers) Pool(ctx context.Context, seen map[string]router.Seen) (map[string]router.Seen, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	slot := now.UnixNano() / int64(breakerSlot)
	present, err := b.add(ctx, slot, now, seen)
	if err != nil {
		return nil, err
	}
	if slot != b.slot {
		if b.before, err = b.add(ctx, slot-1, now, nil); err != nil {
			return nil, err
		}
		b.slot = slot
	}
	for name, s := range b.before {
		have := present[name]
		present[name] = router.Seen{Calls: have.Calls + s.Calls, Failures: have.Failures + s.Failures}
	}
	return present, nil
}

func (b *Breakers) add(ctx context.Context, slot int64, now time.Time, seen map[string]router.Seen) (map[string]router.Seen, error) {
	names := map[string]string{"#ttl": "ttl"}
	values := map[string]types.AttributeValue{":ttl": n(now.Add(time.Minute).Unix())}
	var add []string
	plus := func(attribute string, v int64) {
		if v != 0 {
			i := strconv.Itoa(len(add))
			names["#"+i], values[":"+i] = attribute, n(v)
			add = append(add, "#"+i+" :"+i)
		}
	}
	for name, s := range seen {
		plus("c:"+name, s.Calls)
		plus("f:"+name, s.Failures)
	}
	update := "SET #ttl = :ttl"
	if len(add) > 0 {
		update += " ADD " + strings.Join(add, ", ")
	}
	out, err := b.store.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &b.store.state, Key: key("B#"+strconv.FormatInt(slot, 10), "-"), UpdateExpression: aws.String(update),
		ExpressionAttributeNames: names, ExpressionAttributeValues: values, ReturnValues: types.ReturnValueAllNew}, tune)
	if err != nil {
		return nil, fail(ctx, "breakers", err)
	}
	sums := map[string]router.Seen{}
	return sums, sumBreakers(ctx, sums, out.Attributes)
}

// Look returns what the fleet has seen lately without telling anything; for
// those who may only read.
func (b *Breakers) Look(ctx context.Context) (map[string]router.Seen, error) {
	sums := map[string]router.Seen{}
	slot := time.Now().UnixNano() / int64(breakerSlot)
	for _, n := range []int64{slot, slot - 1} {
		out, err := b.store.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &b.store.state, Key: key("B#"+strconv.FormatInt(n, 10), "-")}, tune)
		if err != nil {
			return nil, fail(ctx, "breakers", err)
		}
		if err := sumBreakers(ctx, sums, out.Item); err != nil {
			return nil, err
		}
	}
	return sums, nil
}

// sumBreakers adds the counts of an item to sums.
func sumBreakers(ctx context.Context, sums map[string]router.Seen, item map[string]types.AttributeValue) error {
	in := reader{item: item}
	for attribute := range item {
		if name, ok := strings.CutPrefix(attribute, "c:"); ok {
			have := sums[name]
			sums[name] = router.Seen{Calls: have.Calls + in.num(attribute), Failures: have.Failures + in.num("f:"+name)}
		}
	}
	if in.err != nil {
		return fail(ctx, "breakers", in.err)
	}
	return nil
}
