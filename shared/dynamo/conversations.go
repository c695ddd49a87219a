package dynamo

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/devmentor/ai-gateway/shared/conversation"
)

// Conversations keeps dialogues in the state table. Times and durations are in
// nanoseconds, ttl is in seconds:
//
//	pk CNV#<tenant>, sk id                        the head
//	  t, m, l, c     title, metadata, time to live, created
//	  s              l in seconds
//	  u, e           the last append; the end, which is l after it
//	  i              this life of the id: names the partition of its turns
//	  k              an append up to here needs no look at the turns' ttl
//	  x 1            is being deleted
//	  ttl            e
//	pk TRN#<id>#<life>#<tenant>, sk request id    a turn
//	  b, c           messages, created
//	  ttl            at least k + l
//
// An append updates the head, which says whether the conversation lives, and
// puts the turn: nothing that two appends could conflict on. A turn that comes
// after its conversation was deleted is in a partition that nobody will read.
//
// DynamoDB removes what is past its ttl. The turns' is far enough off that a
// conversation which goes on has to move it only once in a while; by then it is
// moved before the head's end is, so that no turn ever goes before its head.
type Conversations struct {
	s   *Store
	now func() time.Time
}

var _ conversation.Store = (*Conversations)(nil)

// Conversations returns the conversations in the state table.
func (s *Store) Conversations() *Conversations { return &Conversations{s, time.Now} }

const (
	conversationPrefix = "CNV#"
	turnPrefix         = "TRN#"

	// Turns outlive their conversation's end by as long as it lives without an
	// append, within these bounds, plus a margin for clocks that differ.
	minSlack, maxSlack = 24 * time.Hour, 30 * 24 * time.Hour
	margin             = time.Hour

	movers = 8 // at work on the turns' ttl at once
)

var ttlName = map[string]string{"#ttl": "ttl"} // a reserved word

// talk is a conversation as it is stored.
type talk struct {
	conversation.Conversation
	life string
	calm time.Time // k
	dead bool
}

// slack is for how long appends leave the turns' ttl alone.
func slack(ttl time.Duration) time.Duration { return min(max(ttl, minSlack), maxSlack) }

// seconds is a ttl: not before t.
func seconds(t time.Time) types.AttributeValue { return n(t.Unix() + 1) }

func conversationKey(tenant, id string) map[string]types.AttributeValue {
	return key(conversationPrefix+tenant, id)
}

func (k *talk) turns(tenant string) string { return turnPrefix + k.ID + "#" + k.life + "#" + tenant }

// turnTTL is the ttl of turns that are written at a time, good for appends up
// to slack later.
func (k *talk) turnTTL(at time.Time) types.AttributeValue {
	return seconds(at.Add(slack(k.TTL) + k.TTL + margin))
}

func readTalk(it map[string]types.AttributeValue) (*talk, error) {
	in := reader{item: it}
	k := &talk{Conversation: conversation.Conversation{ID: in.str("sk"), Title: in.str("t"), Metadata: in.bytes("m"), TTL: time.Duration(in.num("l")),
		Created: in.moment("c"), Updated: in.moment("u"), Expires: in.moment("e")}, life: in.str("i"), calm: in.moment("k"), dead: in.num("x") == 1}
	return k, in.err
}

// Create implements conversation.Store.
func (c *Conversations) Create(ctx context.Context, tenant string, v conversation.Conversation) (conversation.Conversation, error) {
	v.Created = v.Created.UTC()
	v.Updated, v.Expires = v.Created, v.Created.Add(v.TTL)
	life := rand.Text()
	it := conversationKey(tenant, v.ID)
	it["t"], it["l"], it["i"] = str(v.Title), n(int64(v.TTL)), str(life)
	it["c"], it["u"], it["e"], it["k"] = moment(v.Created), moment(v.Updated), moment(v.Expires), moment(v.Created.Add(slack(v.TTL)))
	it["s"], it["ttl"] = n(int64(v.TTL/time.Second)+1), seconds(v.Expires)
	if len(v.Metadata) > 0 {
		it["m"] = blob(v.Metadata)
	}
	var t trips
	err := c.s.put(ctx, &t, &dynamodb.PutItemInput{
		TableName: &c.s.state, Item: it, ConditionExpression: aws.String("attribute_not_exists(pk) OR e <= :now OR attribute_exists(x)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":now": moment(c.now())}, ReturnValuesOnConditionCheckFailure: oldIfFail,
	})
	if old, taken := refused(err); taken {
		if in := (reader{item: old}); t.unknown && in.str("i") == life {
			return v, nil // an earlier attempt of ours, whose answer was lost
		}
		return conversation.Conversation{}, conversation.Taken(v.ID)
	}
	if err != nil {
		return conversation.Conversation{}, fail(ctx, "create conversation", err)
	}
	return v, nil
}

// Get implements conversation.Store.
func (c *Conversations) Get(ctx context.Context, tenant, id string) (conversation.Conversation, error) {
	k, err := c.talk(ctx, tenant, id)
	if err != nil {
		return conversation.Conversation{}, known(ctx, "conversation", err)
	}
	return k.Conversation, nil
}

// talk fails with fault.NotFound if there is no such conversation now.
func (c *Conversations) talk(ctx context.Context, tenant, id string) (*talk, error) {
	it, err := c.s.get(ctx, c.s.state, conversationKey(tenant, id))
	if err != nil {
		return nil, err
	}
	return c.living(id, it)
}

// living reads the item of a head, which may be nil.
func (c *Conversations) living(id string, it map[string]types.AttributeValue) (*talk, error) {
	k, err := readTalk(it)
	if err == nil && (it == nil || k.dead || !c.now().Before(k.Expires)) {
		return nil, conversation.Missing(id)
	}
	return k, err
}

// List implements conversation.Store.
func (c *Conversations) List(ctx context.Context, tenant, after string, limit int) ([]conversation.Conversation, error) {
	in := c.s.partition(conversationPrefix+tenant, "sk > :sk", after)
	in.FilterExpression = aws.String("e > :now AND attribute_not_exists(x)")
	in.ExpressionAttributeValues[":now"] = moment(c.now())
	var page []conversation.Conversation
	err := c.s.each(ctx, in, limit, func(it map[string]types.AttributeValue) error {
		k, err := readTalk(it)
		page = append(page, k.Conversation)
		return err
	})
	if err != nil {
		return nil, fail(ctx, "list conversations", err)
	}
	return page, nil
}

// Turns implements conversation.Reader.
func (c *Conversations) Turns(ctx context.Context, tenant, id, before string, limit int) ([]conversation.Turn, error) {
	return c.turns(ctx, tenant, id, "sk < :sk", before, false, limit)
}

// TurnsFrom implements conversation.Store.
func (c *Conversations) TurnsFrom(ctx context.Context, tenant, id, from string, limit int) ([]conversation.Turn, error) {
	return c.turns(ctx, tenant, id, "sk >= :sk", from, true, limit)
}

func (c *Conversations) turns(ctx context.Context, tenant, id, bounds, request string, forward bool, limit int) ([]conversation.Turn, error) {
	k, err := c.talk(ctx, tenant, id)
	if err != nil {
		return nil, known(ctx, "turns", err)
	}
	in := c.s.partition(k.turns(tenant), bounds, request)
	in.ScanIndexForward = &forward
	var page []conversation.Turn
	err = c.s.each(ctx, in, limit, func(it map[string]types.AttributeValue) error {
		in := reader{item: it}
		t := conversation.Turn{Request: in.str("sk"), Created: in.moment("c")}
		in.keep("b", json.Unmarshal(in.bytes("b"), &t.Messages))
		page = append(page, t)
		return in.err
	})
	if err != nil {
		return nil, fail(ctx, "turns", err)
	}
	return page, nil
}

// Append implements conversation.Reader.
func (c *Conversations) Append(ctx context.Context, tenant, id string, t conversation.Turn) error {
	k, err := c.prolong(ctx, tenant, id, t.Created)
	if err != nil {
		return known(ctx, "append", err)
	}
	it := key(k.turns(tenant), t.Request)
	it["b"] = blob(append(append([]byte{'['}, bytes.Join(messages(t), []byte{','})...), ']'))
	it["c"], it["ttl"] = moment(t.Created), k.turnTTL(later(c.now(), t.Created))
	err = c.s.put(ctx, new(trips), &dynamodb.PutItemInput{TableName: &c.s.state, Item: it, ConditionExpression: aws.String("attribute_not_exists(pk)")})
	if _, there := refused(err); there || err == nil {
		return nil
	}
	return fail(ctx, "append", err)
}

func messages(t conversation.Turn) [][]byte {
	all := make([][]byte, len(t.Messages))
	for i, m := range t.Messages {
		all[i] = m
	}
	return all
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// prolong puts off a conversation's end for a turn of the given time. It fails
// with fault.NotFound if there is no such conversation now.
func (c *Conversations) prolong(ctx context.Context, tenant, id string, at time.Time) (*talk, error) {
	for {
		out, err := c.s.update(ctx, new(trips), &dynamodb.UpdateItemInput{
			TableName: &c.s.state, Key: conversationKey(tenant, id),
			UpdateExpression:          aws.String("SET u = :at, e = :at + l, #ttl = :sec + s"),
			ConditionExpression:       aws.String("e > :now AND attribute_not_exists(x) AND u < :at AND k >= :at"),
			ExpressionAttributeNames:  ttlName,
			ExpressionAttributeValues: map[string]types.AttributeValue{":at": moment(at), ":sec": seconds(at), ":now": moment(c.now())},
			ReturnValues:              allNew, ReturnValuesOnConditionCheckFailure: oldIfFail,
		})
		if err == nil {
			return readTalk(out.Attributes)
		}
		old, ok := refused(err)
		if !ok {
			return nil, err
		}
		k, err := c.living(id, old)
		if err != nil || !at.After(k.Updated) {
			return k, err // gone; or a later turn, or this very one, has done it
		}
		if err := c.keep(ctx, tenant, k, later(c.now(), at)); err != nil {
			return nil, err
		}
	}
}

// keep moves the ttl of all turns for the appends that come up to slack after
// at, and then says so in the head.
func (c *Conversations) keep(ctx context.Context, tenant string, k *talk, at time.Time) error {
	in := c.s.partition(k.turns(tenant), "", "")
	in.ProjectionExpression, in.FilterExpression, in.ExpressionAttributeNames = aws.String("pk, sk"), aws.String("#ttl < :ttl"), ttlName
	in.ExpressionAttributeValues[":ttl"] = k.turnTTL(at)
	err := c.s.pages(ctx, in, func(keys []map[string]types.AttributeValue) error {
		var wg sync.WaitGroup
		failed := make(chan error, len(keys))
		slots := make(chan struct{}, movers)
		for _, key := range keys {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				_, err := c.s.update(ctx, new(trips), &dynamodb.UpdateItemInput{
					TableName: &c.s.state, Key: key, UpdateExpression: aws.String("SET #ttl = :ttl"), ConditionExpression: aws.String("attribute_exists(pk)"),
					ExpressionAttributeNames: ttlName, ExpressionAttributeValues: map[string]types.AttributeValue{":ttl": k.turnTTL(at)},
				})
				if _, gone := refused(err); err != nil && !gone {
					failed <- err
				}
			})
		}
		wg.Wait()
		close(failed)
		return <-failed
	})
	if err != nil {
		return err
	}
	_, err = c.s.update(ctx, new(trips), &dynamodb.UpdateItemInput{
		TableName: &c.s.state, Key: conversationKey(tenant, k.ID), UpdateExpression: aws.String("SET k = :k"), ConditionExpression: aws.String("i = :i AND k < :k"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":k": moment(at.Add(slack(k.TTL))), ":i": str(k.life)},
	})
	if _, other := refused(err); other {
		return nil // somebody else did so, or there is nothing to keep
	}
	return err
}

// Delete implements conversation.Store. From the first write on the
// conversation is not there; should a later one fail, then deleting it again
// removes the rest, and if nobody does, its ttl.
func (c *Conversations) Delete(ctx context.Context, tenant, id string) error {
	out, err := c.s.update(ctx, new(trips), &dynamodb.UpdateItemInput{
		TableName: &c.s.state, Key: conversationKey(tenant, id), UpdateExpression: aws.String("SET x = :one"), ConditionExpression: aws.String("e > :now"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":one": one, ":now": moment(c.now())}, ReturnValues: allNew,
	})
	if _, gone := refused(err); gone {
		return conversation.Missing(id)
	}
	if err != nil {
		return fail(ctx, "delete conversation", err)
	}
	k, err := readTalk(out.Attributes)
	if err == nil {
		err = c.s.deleteAll(ctx, c.s.partition(k.turns(tenant), "", ""))
	}
	if err == nil {
		err = c.s.delete(ctx, new(trips), &dynamodb.DeleteItemInput{
			TableName: &c.s.state, Key: conversationKey(tenant, id), ConditionExpression: aws.String("i = :i"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":i": str(k.life)},
		})
	}
	if _, gone := refused(err); gone || err == nil {
		return nil // gone: an answer was lost, or another has the id by now
	}
	return fail(ctx, "delete conversation", err)
}
