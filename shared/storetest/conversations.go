package storetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/conversation"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
)

// RunConversations is the contract of stores of conversations. It calls open
// once per subtest, with the clock that the store must go by; backends may use
// the same tables each time, since every subtest has tenants of its own.
func RunConversations(t *testing.T, open func(t *testing.T, now func() time.Time) conversation.Store) {
	for _, c := range append(conversationCases, conversationRaces...) {
		t.Run(c.name, func(t *testing.T) {
			k := &clock{}
			k.set(at(0))
			c.run(&talker{T: t, Store: open(t, k.now), clock: k, tenant: "t-" + requestid.New(time.Now())})
		})
	}
}

type conversationCase struct {
	name string
	run  func(p *talker)
}

// clock shows what it is set to.
type clock struct{ nano atomic.Int64 }

func (c *clock) now() time.Time  { return time.Unix(0, c.nano.Load()) }
func (c *clock) set(t time.Time) { c.nano.Store(t.UnixNano()) }

// talker is a tenant with conversations.
type talker struct {
	*testing.T
	conversation.Store
	*clock
	tenant string
}

func (p *talker) as(tenant string) *talker { return &talker{p.T, p.Store, p.clock, tenant} }

// create makes a conversation at the clock's time.
func (p *talker) create(id string, ttl time.Duration) conversation.Conversation {
	p.Helper()
	c, err := p.Create(p.Context(), p.tenant, conversation.Conversation{ID: id, Title: "About " + id, TTL: ttl, Created: p.now()})
	if err != nil {
		p.Fatalf("Create(%s) = %v", id, err)
	}
	return c
}

// turn is one of the request that is n seconds from the start.
func turn(n int, texts ...string) conversation.Turn {
	t := conversation.Turn{Request: requestid.Floor(at(n)), Created: at(n)}
	for _, text := range texts {
		t.Messages = append(t.Messages, json.RawMessage(fmt.Sprintf(`{"role":"user","content":%q}`, text)))
	}
	return t
}

func (p *talker) append(id string, t conversation.Turn) {
	p.Helper()
	if err := p.Append(p.Context(), p.tenant, id, t); err != nil {
		p.Fatalf("Append(%s) = %v", id, err)
	}
}

func (p *talker) wantConversation(want conversation.Conversation) {
	p.Helper()
	got, err := p.Get(p.Context(), p.tenant, want.ID)
	if err != nil {
		p.Errorf("Get(%s) = %v", want.ID, err)
		return
	}
	wantEqual(p.T, "Get("+want.ID+")", got, want)
}

func (p *talker) wantTurns(id, before string, limit int, want ...conversation.Turn) {
	p.Helper()
	got, err := p.Turns(p.Context(), p.tenant, id, before, limit)
	if err != nil {
		p.Errorf("Turns(%s) = %v", id, err)
		return
	}
	wantEqual(p.T, fmt.Sprintf("Turns(%s, before %q, limit %d)", id, before, limit), plain(got), plain(want))
}

func (p *talker) wantTurnsFrom(id, from string, limit int, want ...conversation.Turn) {
	p.Helper()
	got, err := p.TurnsFrom(p.Context(), p.tenant, id, from, limit)
	if err != nil {
		p.Errorf("TurnsFrom(%s) = %v", id, err)
		return
	}
	wantEqual(p.T, fmt.Sprintf("TurnsFrom(%s, %q, limit %d)", id, from, limit), plain(got), plain(want))
}

// plain writes turns as text, which is compared in one go.
func plain(turns []conversation.Turn) []string {
	var all []string
	for _, t := range turns {
		all = append(all, fmt.Sprintf("%s %s %s", t.Request, t.Created.Format(time.RFC3339Nano), t.Messages))
	}
	return all
}

func (p *talker) ids(page int) []string {
	p.Helper()
	list := func(after string) ([]conversation.Conversation, error) {
		return p.List(p.Context(), p.tenant, after, page)
	}
	return everything(p.T, page, list, func(c conversation.Conversation) string { return c.ID })
}

// missing checks that nothing can be done with a conversation but to create it.
func (p *talker) missing(id string) {
	p.Helper()
	_, err := p.Get(p.Context(), p.tenant, id)
	wantKind(p.T, "Get", err, fault.NotFound)
	turns, err := p.Turns(p.Context(), p.tenant, id, "", 10)
	wantKind(p.T, fmt.Sprintf("Turns = %v and", turns), err, fault.NotFound)
	turns, err = p.TurnsFrom(p.Context(), p.tenant, id, "", 10)
	wantKind(p.T, fmt.Sprintf("TurnsFrom = %v and", turns), err, fault.NotFound)
	wantKind(p.T, "Append", p.Append(p.Context(), p.tenant, id, turn(9, "lost")), fault.NotFound)
	wantKind(p.T, "Delete", p.Delete(p.Context(), p.tenant, id), fault.NotFound)
	if ids := p.ids(10); slices.Contains(ids, id) {
		p.Errorf("List = %q, with what is not there", ids)
	}
}

var conversationCases = []conversationCase{
	{"what was created is found", func(p *talker) {
		for _, c := range []conversation.Conversation{
			{ID: "conv_full0001", Title: "Maps & <more> 日本", Metadata: json.RawMessage("{\"b\": 1.0 , \n\"a\":\"<\"}"), TTL: time.Hour, Created: at(0)},
			{ID: "conv_bare0001", TTL: conversation.MaxTTL, Created: at(0)},
			{ID: "conv_large001", Metadata: json.RawMessage(`{"x":"` + strings.Repeat("x", conversation.MaxMetadata-8) + `"}`), TTL: time.Minute, Created: at(0)},
		} {
			got, err := p.Create(p.Context(), p.tenant, c)
			if err != nil {
				p.Fatalf("Create = %v", err)
			}
			c.Updated, c.Expires = c.Created, c.Created.Add(c.TTL)
			wantEqual(p.T, "Create", got, c)
			p.wantConversation(c)
			p.wantTurns(c.ID, "", 10)
		}
		c, err := p.Get(p.Context(), p.tenant, "conv_bare0001")
		if err != nil || c.Metadata != nil {
			p.Errorf("Get = %q, %v, want nil metadata", c.Metadata, err)
		}
	}},
	{"an id is taken once", func(p *talker) {
		first := p.create("conv_same0001", time.Hour)
		p.append(first.ID, turn(0, "first"))
		_, err := p.Create(p.Context(), p.tenant, conversation.Conversation{ID: first.ID, Title: "second", TTL: time.Minute, Created: at(1)})
		wantKind(p.T, "Create", err, fault.Conflict)
		p.wantConversation(first)
		p.wantTurns(first.ID, "", 10, turn(0, "first"))
	}},
	{"messages keep every byte", func(p *talker) {
		c := p.create("conv_bytes001", time.Hour)
		for i, m := range []string{
			"{\"role\" : \"user\",\n\"content\":\"a\\u003cb\"}", `{"role":"user","content":"<b>&amp;</b>"}`, `{"n":1.00,"big":12345678901234567890123,"n":2}`,
			"\"\u2028 日本 \\ud83d\\ude00 😀\"",
		} {
			want := conversation.Turn{Request: requestid.Floor(at(i)), Created: at(i), Messages: []json.RawMessage{json.RawMessage(m), json.RawMessage(`{}`), json.RawMessage(m)}}
			p.append(c.ID, want)
			p.wantTurns(c.ID, "", 1, want)
		}
	}},
	{"turns are in the order of their requests, not of their arrival", func(p *talker) {
		c := p.create("conv_order001", time.Hour)
		for _, i := range []int{5, 1, 62, 3, 2, 4} {
			p.append(c.ID, turn(i, fmt.Sprint("text ", i), "answer"))
		}
		one := func(i int) conversation.Turn { return turn(i, fmt.Sprint("text ", i), "answer") }
		p.wantTurns(c.ID, "", 10, one(62), one(5), one(4), one(3), one(2), one(1))
		p.wantTurns(c.ID, "", 2, one(62), one(5))
		p.wantTurns(c.ID, one(5).Request, 3, one(4), one(3), one(2))
		p.wantTurns(c.ID, one(2).Request, 3, one(1))
		p.wantTurns(c.ID, one(1).Request, 3)
		p.wantTurns(c.ID, turn(6).Request, 1, one(5)) // which has no turn
		p.wantTurns(c.ID, turn(99).Request, 1, one(62))
		p.wantTurnsFrom(c.ID, "", 10, one(1), one(2), one(3), one(4), one(5), one(62))
		p.wantTurnsFrom(c.ID, "", 2, one(1), one(2))
		p.wantTurnsFrom(c.ID, one(3).Request, 2, one(3), one(4))
		p.wantTurnsFrom(c.ID, turn(6).Request, 5, one(62))
		p.wantTurnsFrom(c.ID, turn(99).Request, 5)
	}},
	{"a large conversation is read whole", func(p *talker) {
		c := p.create("conv_large001", time.Hour)
		var want []conversation.Turn
		for i := range 6 { // 1.4 MB
			t := turn(i, strings.Repeat("x", conversation.MaxAppend-64))
			p.append(c.ID, t)
			want = append(want, t)
		}
		slices.Reverse(want)
		p.wantTurns(c.ID, "", 6, want...)
		p.wantTurns(c.ID, want[0].Request, 10, want[1:]...)
		slices.Reverse(want)
		p.wantTurnsFrom(c.ID, "", 6, want...)
		if err := p.Delete(p.Context(), p.tenant, c.ID); err != nil {
			p.Errorf("Delete = %v", err)
		}
		p.missing(c.ID)
	}},
	{"appending puts off the end", func(p *talker) {
		c := p.create("conv_alive001", time.Hour)
		for i := 1; i <= 40; i++ { // many times its time to live
			p.set(at(i * 3000))
			p.append(c.ID, turn(i*3000, fmt.Sprint(i)))
			c.Updated, c.Expires = at(i*3000), at(i*3000+3600)
			p.wantConversation(c)
		}
		var want []conversation.Turn
		for i := 40; i > 0; i-- {
			want = append(want, turn(i*3000, fmt.Sprint(i)))
		}
		p.wantTurns(c.ID, "", 100, want...)
		p.set(at(40*3000 + 3599))
		p.wantTurns(c.ID, "", 100, want...)
		p.set(at(40*3000 + 3601))
		p.missing(c.ID)
	}},
	{"a late turn does not bring the end forward", func(p *talker) {
		c := p.create("conv_late0001", time.Hour)
		p.append(c.ID, turn(50, "b"))
		p.append(c.ID, turn(20, "a"))
		c.Updated, c.Expires = at(50), at(50+3600)
		p.wantConversation(c)
		p.wantTurns(c.ID, "", 10, turn(50, "b"), turn(20, "a"))
	}},
	{"an append repeated changes nothing", func(p *talker) {
		c := p.create("conv_again001", time.Hour)
		for range 3 {
			p.append(c.ID, turn(50, "a", "b"))
		}
		p.append(c.ID, turn(60, "c"))
		other := turn(50, "another")
		p.append(c.ID, other)
		c.Updated, c.Expires = at(60), at(60+3600)
		p.wantConversation(c)
		p.wantTurns(c.ID, "", 10, turn(60, "c"), turn(50, "a", "b"))
	}},
	{"what has expired is not there, and its id is free", func(p *talker) {
		c := p.create("conv_gone0001", time.Minute)
		longer := p.create("conv_gone00012", time.Hour)
		p.append(c.ID, turn(0, "secret"))
		p.append(longer.ID, turn(0, "kept"))
		p.set(at(61))
		p.missing(c.ID)
		wantEqual(p.T, "List", p.ids(10), []string{longer.ID})
		p.append(longer.ID, turn(61, "on")) // a write that may clean up
		p.wantTurns(longer.ID, "", 10, turn(61, "on"), turn(0, "kept"))
		again := p.create(c.ID, time.Minute)
		p.wantConversation(again)
		p.wantTurns(c.ID, "", 10)
		p.append(c.ID, turn(0, "new")) // a request id that the old one has used
		p.wantTurns(c.ID, "", 10, turn(0, "new"))
		p.wantTurns(longer.ID, "", 10, turn(61, "on"), turn(0, "kept"))
		p.set(at(122))
		p.missing(c.ID)
	}},
	{"expires to the second", func(p *talker) {
		c := p.create("conv_exact001", time.Minute)
		p.set(at(60).Add(-time.Millisecond))
		p.wantConversation(c)
		p.set(at(60).Add(time.Millisecond))
		p.missing(c.ID)
	}},
	{"many that expired give way to few", func(p *talker) {
		for i := range 20 {
			c := p.create(fmt.Sprintf("conv_old%05d", i), time.Minute)
			for j := range 8 {
				p.append(c.ID, turn(j, "x"))
			}
		}
		p.set(at(100))
		for i := range 5 {
			p.create(fmt.Sprintf("conv_old%05d", 2*i), time.Hour)
			p.append(fmt.Sprintf("conv_old%05d", 2*i), turn(100, "y"))
		}
		var want []string
		for i := range 5 {
			want = append(want, fmt.Sprintf("conv_old%05d", 2*i))
			p.wantTurns(want[i], "", 10, turn(100, "y"))
		}
		wantEqual(p.T, "List", p.ids(2), want)
	}},
	{"what was deleted is gone, with all its turns", func(p *talker) {
		c, other := p.create("conv_del00001", time.Hour), p.create("conv_del000011", time.Hour)
		for i := range 60 {
			p.append(c.ID, turn(i, fmt.Sprint("secret ", i)))
		}
		p.append(other.ID, turn(1, "kept"))
		if err := p.Delete(p.Context(), p.tenant, c.ID); err != nil {
			p.Fatalf("Delete = %v", err)
		}
		p.missing(c.ID)
		p.create(c.ID, time.Hour)
		p.wantTurns(c.ID, "", 10)
		p.append(c.ID, turn(3, "new"))
		p.wantTurns(c.ID, "", 100, turn(3, "new"))
		p.wantTurns(other.ID, "", 10, turn(1, "kept"))
	}},
	{"no tenant sees another's", func(p *talker) {
		c := p.create("conv_mine0001", time.Hour)
		p.append(c.ID, turn(1, "secret"))
		for i, tenant := range neighbours(p.tenant) {
			o := p.as(tenant)
			o.missing(c.ID)
			theirs := o.create(c.ID, time.Minute)
			o.wantTurns(c.ID, "", 10)
			o.append(c.ID, turn(1, "theirs"))
			o.wantTurns(c.ID, "", 10, turn(1, "theirs"))
			theirs.Updated, theirs.Expires = at(1), at(61)
			o.wantConversation(theirs)
			if i%2 == 0 {
				if err := o.Delete(p.Context(), tenant, c.ID); err != nil {
					p.Errorf("Delete by %s = %v", tenant, err)
				}
			}
		}
		c.Updated, c.Expires = at(1), at(3601)
		p.wantConversation(c)
		p.wantTurns(c.ID, "", 10, turn(1, "secret"))
		wantEqual(p.T, "List", p.ids(10), []string{c.ID})
	}},
	{"listings are in order, whole, page by page", func(p *talker) {
		want := []string{"conv_00000000", "conv_AAAAAAAA", "conv_AAAAAAAAA", "conv_aaaaaaaa", "conv_bbbbbbbb", "conv_zzzzzzzz"}
		for _, id := range slices.Backward(want) {
			p.create(id, time.Hour)
		}
		for _, id := range []string{"conv_11111111", "conv_22222222", "conv_33333333", "conv_zzzzzzzzz"} {
			p.create(id, time.Minute)
		}
		c := p.create("conv_44444444", time.Hour)
		if err := p.Delete(p.Context(), p.tenant, c.ID); err != nil {
			p.Fatalf("Delete = %v", err)
		}
		p.append(want[1], turn(1, "text"))
		p.set(at(100))
		for _, page := range []int{1, 2, 3, len(want), 100} {
			wantEqual(p.T, fmt.Sprintf("pages of %d", page), p.ids(page), want)
		}
		page, err := p.List(p.Context(), p.tenant, "conv_0000", 2)
		if err != nil {
			p.Fatalf("List = %v", err)
		}
		first := conversation.Conversation{ID: want[0], Title: "About " + want[0], TTL: time.Hour, Created: at(0), Updated: at(0), Expires: at(3600)}
		second := conversation.Conversation{ID: want[1], Title: "About " + want[1], TTL: time.Hour, Created: at(0), Updated: at(1), Expires: at(3601)}
		wantEqual(p.T, "List", page, []conversation.Conversation{first, second})
	}},
	{"what was never there is not found", func(p *talker) {
		p.missing("conv_none0001")
		p.create("conv_none0002", time.Hour)
		p.missing("conv_none0001")
		p.missing("conv_none00021")
		p.missing("conv_none000")
	}},
}
