package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/conversation"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/recipe"
)

// newTalker is a rig with conversations.
func newTalker(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, nil, nil)
	r.server.Conversations = r.store.Conversations()
	return r
}

type conversationJSON struct {
	ID, Object, Title string
	Metadata          json.RawMessage
	TTL               int64     `json:"ttl_seconds"`
	Created           time.Time `json:"created_at"`
	Updated           time.Time `json:"updated_at"`
	Expires           time.Time `json:"expires_at"`
}

// talk creates a conversation and returns it.
func (r *rig) talk(body string, header ...string) conversationJSON {
	r.t.Helper()
	a := r.do("POST", "/ai/conversations", body, header...)
	var c conversationJSON
	if err := json.Unmarshal([]byte(a.body), &c); err != nil || a.status != 201 || !conversation.ValidID(c.ID) || c.Object != "conversation" {
		r.t.Fatalf("POST /ai/conversations: %d %s", a.status, a.body)
	}
	return c
}

// page is a listing of messages: their contents, the id of the last, and
// whether there are more.
func (r *rig) page(path string) (contents []string, last string, more bool) {
	r.t.Helper()
	a := r.do("GET", path, "")
	var list struct {
		Object string
		Data   []struct {
			ID, Object string
			Created    time.Time `json:"created_at"`
			Message    struct{ Role, Content string }
		}
		HasMore *bool `json:"has_more"`
		Next    string
	}
	if err := json.Unmarshal([]byte(a.body), &list); err != nil || a.status != 200 || list.Object != "list" || list.Data == nil || list.HasMore == nil {
		r.t.Fatalf("GET %s: %d %s", path, a.status, a.body)
	}
	for _, m := range list.Data {
		if m.Object != "conversation.message" || m.Created.IsZero() || m.Message.Role == "" {
			r.t.Errorf("message = %+v", m)
		}
		contents = append(contents, m.Message.Content)
		last = m.ID
	}
	if more := list.Next != ""; more != *list.HasMore || more && list.Next != last {
		r.t.Errorf("next = %q after %q, has_more = %v", list.Next, last, *list.HasMore)
	}
	return contents, last, *list.HasMore
}

// messages is a body of user messages.
func messages(contents ...string) string {
	var list []string
	for _, c := range contents {
		list = append(list, fmt.Sprintf(`{"role":"user","content":%q}`, c))
	}
	return `{"messages":[` + strings.Join(list, ",") + `]}`
}

func TestConversationsFromBirthToDeath(t *testing.T) {
	r := newTalker(t)
	before := time.Now().Add(-time.Second)
	c := r.talk(`{"title":"Maps","metadata":{"course":"geo","n":1.50},"ttl_seconds":3600,"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"Hi"}]}`)
	if c.Title != "Maps" || string(c.Metadata) != `{"course":"geo","n":1.50}` || c.TTL != 3600 || c.Created.Before(before) || !c.Updated.Equal(c.Created) || !c.Expires.Equal(c.Created.Add(time.Hour)) {
		t.Errorf("POST = %+v", c)
	}
	path := "/ai/conversations/" + c.ID
	a := r.do("POST", path+"/messages", `{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"x","content":"1"}]}`)
	if a.status != 201 || strings.Count(a.body, `"object":"conversation.message"`) != 2 || !strings.Contains(a.body, `"name":"f"`) {
		t.Errorf("POST messages: %d %s", a.status, a.body)
	}
	if got, _, more := r.page(path + "/messages?order=asc"); !slices.Equal(got, []string{"Be kind.", "Hi", "", "1"}) || more {
		t.Errorf("messages = %q, more %v", got, more)
	}
	if got, _, _ := r.page("/ai/v1/conversations/" + c.ID + "/messages"); !slices.Equal(got, []string{"1", "", "Hi", "Be kind."}) {
		t.Errorf("messages, newest first = %q", got)
	}
	var now conversationJSON
	a = r.do("GET", path, "")
	if err := json.Unmarshal([]byte(a.body), &now); err != nil || a.status != 200 || now.Updated.Before(c.Updated) || !now.Expires.Equal(now.Updated.Add(time.Hour)) {
		t.Errorf("GET: %d %s", a.status, a.body)
	}
	now.Updated, now.Expires = c.Updated, c.Expires
	if diff := cmp.Diff(c, now); diff != "" {
		t.Errorf("GET (-created +got):\n%s", diff)
	}
	if a := r.do("GET", "/ai/conversations", ""); strings.Count(a.body, c.ID) != 1 || !strings.Contains(a.body, `"has_more":false`) || !strings.Contains(a.body, `"object":"list"`) {
		t.Errorf("list: %d %s", a.status, a.body)
	}
	if a := r.do("DELETE", path, ""); a.status != 200 || !strings.Contains(a.body, `"deleted":true`) {
		t.Errorf("DELETE: %d %s", a.status, a.body)
	}
	for _, m := range []struct{ method, path, body string }{{"GET", path, ""}, {"DELETE", path, ""}, {"GET", path + "/messages", ""}, {"POST", path + "/messages", messages("x")}} {
		a := r.do(m.method, m.path, m.body)
		if a.fail(t); a.status != 404 {
			t.Errorf("%s %s after DELETE: %d %s", m.method, m.path, a.status, a.body)
		}
	}
}

func TestConversationsByDefault(t *testing.T) {
	r := newTalker(t)
	for _, body := range []string{``, `{}`, `{"title":null,"metadata":null,"ttl_seconds":null,"messages":null}`} {
		c := r.talk(body)
		if c.Title != "" || string(c.Metadata) != "{}" || c.TTL != 30*24*3600 {
			t.Errorf("POST %s = %+v", body, c)
		}
		if got, _, more := r.page("/ai/conversations/" + c.ID + "/messages"); len(got) > 0 || more {
			t.Errorf("messages = %q, more %v, want none", got, more)
		}
	}
}

func TestListsOfConversationsContinue(t *testing.T) {
	r := newTalker(t)
	var want, got []string
	for range 5 {
		want = append(want, r.talk(`{}`).ID)
	}
	slices.Sort(want)
	for after := ""; ; {
		var list struct {
			Data    []conversationJSON
			HasMore bool   `json:"has_more"`
			Next    string `json:"next"`
		}
		a := r.do("GET", "/ai/conversations?limit=2&after="+after, "")
		if err := json.Unmarshal([]byte(a.body), &list); err != nil || len(list.Data) == 0 || len(list.Data) > 2 {
			t.Fatal(a.body)
		}
		for _, c := range list.Data {
			got = append(got, c.ID)
		}
		if list.HasMore != (list.Next != "") {
			t.Fatalf("has_more is %v, next is %q", list.HasMore, list.Next)
		}
		if after = list.Next; after == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("conversations (-want +got):\n%s", diff)
	}
}

func TestListsOfMessagesContinue(t *testing.T) {
	r := newTalker(t)
	c := r.talk(messages("m0", "m1", "m2"))
	path := "/ai/conversations/" + c.ID + "/messages"
	want := []string{"m0", "m1", "m2"}
	for i := range 20 { // more than are read at once
		var turn []string
		for j := range i % 3 {
			turn = append(turn, fmt.Sprintf("t%d.%d", i, j))
		}
		turn = append(turn, fmt.Sprintf("t%d", i))
		if a := r.do("POST", path, messages(turn...)); a.status != 201 {
			t.Fatalf("POST: %d %s", a.status, a.body)
		}
		want = append(want, turn...)
	}
	for _, order := range []string{"asc", "desc"} {
		for _, limit := range []int{1, 2, 3, 7, len(want) - 1, len(want), 100} {
			var got []string
			for after, pages := "", 0; ; pages++ {
				page, last, more := r.page(fmt.Sprintf("%s?order=%s&limit=%d&after=%s", path, order, limit, after))
				if got = append(got, page...); more && len(page) != limit || pages > len(want) {
					t.Fatalf("%s by %d: a page of %d, more %v", order, limit, len(page), more)
				}
				if !more {
					break
				}
				after = last
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("messages %s by %d (-want +got):\n%s", order, limit, diff)
			}
		}
		slices.Reverse(want)
	}
	// A message that there never was still has a place among the others.
	if got, _, _ := r.page(path + "?after=msg_0_5"); len(got) > 0 {
		t.Errorf("messages before the first = %q", got)
	}
	if got, _, _ := r.page(path + "?after=msg_0_5&order=asc&limit=100"); len(got) != len(want) {
		t.Errorf("%d messages after what is before the first, want %d", len(got), len(want))
	}
	if got, _, more := r.page(path); len(got) != 20 || !more {
		t.Errorf("%d messages by default, more %v, want 20 and more", len(got), more)
	}
}

func TestLargeMessagesMakeShortPages(t *testing.T) {
	r := newTalker(t)
	c := r.talk(`{}`)
	path := "/ai/conversations/" + c.ID + "/messages"
	for i := range 20 {
		if a := r.do("POST", path, messages(fmt.Sprint(i, strings.Repeat("x", 250<<10)))); a.status != 201 {
			t.Fatalf("POST: %d %.200s", a.status, a.body)
		}
	}
	first, last, more := r.page(path + "?order=asc&limit=100")
	second, _, more2 := r.page(path + "?order=asc&limit=100&after=" + last)
	if len(first) < 10 || len(first)+len(second) != 20 || !more || more2 {
		t.Errorf("pages of %d and %d messages, more %v and %v, want 20 in two", len(first), len(second), more, more2)
	}
}

func TestConversationsOfOthersAreNotThere(t *testing.T) {
	r := newTalker(t)
	c := r.talk(`{"title":"secret","messages":[{"role":"user","content":"secret"}]}`)
	bob := []string{"Authorization", "Bearer " + r.user("bob", nil)}
	path := "/ai/conversations/" + c.ID
	for _, m := range []struct{ method, path, body string }{
		{"GET", path, ""}, {"DELETE", path, ""}, {"GET", path + "/messages", ""}, {"POST", path + "/messages", messages("x")},
	} {
		a := r.do(m.method, m.path, m.body, bob...)
		if a.fail(t); a.status != 404 || strings.Contains(a.body, "secret") {
			t.Errorf("bob's %s %s: %d %s", m.method, m.path, a.status, a.body)
		}
	}
	if a := r.do("GET", "/ai/conversations", "", bob...); strings.Contains(a.body, c.ID) {
		t.Errorf("bob's list = %s", a.body)
	}
	if got, _, _ := r.page(path + "/messages"); !slices.Equal(got, []string{"secret"}) {
		t.Errorf("ana's messages = %q", got)
	}
}

func TestWrongConversationsNameTheField(t *testing.T) {
	r := newTalker(t)
	c := r.talk(`{}`)
	quoted := func(n int) string { return `"` + strings.Repeat("x", n) + `"` }
	many := messages(slices.Repeat([]string{"x"}, 65)...)
	for _, tc := range []struct {
		path, body, param string
		status            int
	}{
		{"", `{"title":5}`, "title", 400},
		{"", `{"title":` + quoted(257) + `}`, "title", 400},
		{"", `{"metadata":[]}`, "metadata", 400},
		{"", `{"metadata":{"a":1,"a":2}}`, "metadata", 400},
		{"", `{"metadata":{"a":` + quoted(16<<10) + `}}`, "metadata", 400},
		{"", `{"ttl_seconds":59}`, "ttl_seconds", 400},
		{"", `{"ttl_seconds":31622401}`, "ttl_seconds", 400},
		{"", `{"ttl_seconds":"60"}`, "ttl_seconds", 400},
		{"", `{"ttl_seconds":60.5}`, "ttl_seconds", 400},
		{"", `{"messages":[]}`, "messages", 400},
		{"", `{"messages":{}}`, "messages", 400},
		{"", `{"messages":[{"role":"robot","content":"x"}]}`, "messages[0].role", 400},
		{"", `{"titel":"x"}`, "titel", 400},
		{"", `{"id":"conv_mine1234"}`, "id", 400},
		{"", `[]`, "", 400},
		{"", `{"title":`, "", 400},
		{"/messages", ``, "messages", 400},
		{"/messages", `{"messages":null}`, "messages", 400},
		{"/messages", `{"messages":[]}`, "messages", 400},
		{"/messages", `{"messages":"x"}`, "messages", 400},
		{"/messages", `{"messages":["x"]}`, "messages[0]", 400},
		{"/messages", `{"messages":[{"role":"user","content":"x"},{"role":"user"}]}`, "messages[1].content", 400},
		{"/messages", `{"messages":[{"role":"tool","content":"x"}]}`, "messages[0].tool_call_id", 400},
		{"/messages", many, "messages", 400},
		{"/messages", messages(strings.Repeat("x", 256<<10)), "messages", 413},
		{"/messages", `{"messages":[{"role":"user","content":"x"}],"role":"user"}`, "role", 400},
	} {
		path := "/ai/conversations"
		if tc.path != "" {
			path += "/" + c.ID + tc.path
		}
		a := r.do("POST", path, tc.body)
		if _, _, param, _ := a.fail(t); a.status != tc.status || param != tc.param {
			t.Errorf("POST %s %.80s: %d, param %q, want %d, %q", tc.path, tc.body, a.status, param, tc.status, tc.param)
		}
	}
	for path, want := range map[string]string{
		"?limit=0": "limit", "?limit=1001": "limit", "?limit=x": "limit", "?after=x": "after",
		"/" + c.ID + "/messages?limit=101": "limit", "/" + c.ID + "/messages?limit=-1": "limit", "/" + c.ID + "/messages?after=msg_x": "after",
		"/" + c.ID + "/messages?after=" + c.ID: "after", "/" + c.ID + "/messages?order=newest": "order",
	} {
		a := r.do("GET", "/ai/conversations"+path, "")
		if _, _, param, _ := a.fail(t); a.status != 400 || param != want {
			t.Errorf("GET %s: %d, param %q, want 400, %q", path, a.status, param, want)
		}
	}
	for _, id := range []string{"conv_x", "doc_0123456789abcdef", "conv_" + strings.Repeat("x", 65), "conv_%00%00%00%00%00%00%00%00", "conv_none00000001"} {
		a := r.do("GET", "/ai/conversations/"+id, "")
		if a.fail(t); a.status != 404 {
			t.Errorf("GET %s: %d %s", id, a.status, a.body)
		}
	}
	if got, _, _ := r.page("/ai/conversations/" + c.ID + "/messages"); len(got) > 0 {
		t.Errorf("wrong messages were stored: %q", got)
	}
	if a := r.do("GET", "/ai/conversations", ""); strings.Count(a.body, `"object":"conversation"`) != 1 {
		t.Errorf("wrong conversations were stored: %s", a.body)
	}
}

func TestConversationsAskForTheKeyFirst(t *testing.T) {
	r := newTalker(t)
	for _, c := range [][2]string{{"POST", ""}, {"GET", ""}, {"GET", "/x"}, {"DELETE", "/x"}, {"GET", "/x/messages"}, {"POST", "/x/messages"}} {
		a := r.do(c[0], "/ai/conversations"+c[1], `{"nonsense":`, "Authorization", "Bearer gw_ana_wrong")
		if a.fail(t); a.status != 401 {
			t.Errorf("%s %s with a bad key: %d %s", c[0], c[1], a.status, a.body)
		}
	}
	slow := r.user("slow", func(u *admission.User) { u.Rate, u.Burst = 0.001, 1 })
	for i, want := range []int{200, 429} {
		if a := r.do("GET", "/ai/conversations", "", "Authorization", "Bearer "+slow); a.status != want {
			t.Errorf("list %d: %d, want %d", i, a.status, want)
		}
	}
	a := r.do("PATCH", "/ai/conversations/conv_00000001", "")
	if a.fail(t); a.status != 405 || a.header.Get("Allow") != "GET, DELETE, OPTIONS" {
		t.Errorf("PATCH: %d, Allow %q", a.status, a.header.Get("Allow"))
	}
}

// mute is a store that takes no turns.
type mute struct{ conversation.Store }

func (m mute) Append(ctx, string, string, conversation.Turn) error { return errors.New("disk full") }

func TestConversationWithoutItsFirstMessagesIsNotStored(t *testing.T) {
	r := newTalker(t)
	r.server.Conversations = mute{r.store.Conversations()}
	a := r.do("POST", "/ai/conversations", messages("x"))
	if message, _, _, _ := a.fail(t); a.status != 503 || strings.Contains(message, "disk") || !strings.Contains(r.log.String(), "disk full") {
		t.Errorf("POST: %d %s", a.status, a.body)
	}
	if a := r.do("GET", "/ai/conversations", ""); strings.Contains(a.body, "conv_") {
		t.Errorf("list = %s, want nothing", a.body)
	}
}

// stuck is a store whose first deletion fails; in the fourth, another was faster.
type stuck struct {
	recipe.Store
	calls *int
}

func (s stuck) Delete(c ctx, tenant string, kind recipe.Kind, name string) error {
	switch *s.calls++; *s.calls {
	case 1:
		return fault.Wrap(fault.Unavailable, io.ErrUnexpectedEOF, "Try again.")
	case 4:
		if err := s.Store.Delete(c, tenant, kind, name); err != nil {
			return err
		}
	}
	return s.Store.Delete(c, tenant, kind, name)
}

func TestEverythingOfAUserGoesWithTheUser(t *testing.T) {
	r := newReader(t)
	r.server.Conversations = r.store.Conversations()
	r.server.Recipes = stuck{r.store.Recipes(), new(int)}
	admin := []string{"Authorization", "Bearer " + adminKey}
	bob := []string{"Authorization", "Bearer " + r.user("bob", nil)}
	ids := map[string]string{"ana": r.talk(messages("hers")).ID, "bob": r.talk(messages("his"), bob...).ID}
	for range 3 {
		r.talk(`{}`, bob...)
	}
	for _, user := range []string{"ana", "bob"} {
		for _, kind := range []recipe.Kind{recipe.Template, recipe.Chain} {
			for _, name := range []string{"one", "two"} {
				if _, _, _, err := r.server.Recipes.Add(t.Context(), user, kind, recipe.Version{Name: name, Body: json.RawMessage(`1`), Created: time.Now()}, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if a := r.do("POST", "/ai/documents", `{"collection":"c","id":"a","text":"Herons."}`, bob...); a.status != 201 {
		t.Fatal(a.body)
	}

	a := r.do("DELETE", "/admin/users/bob", "", admin...)
	if a.fail(t); a.status != http.StatusServiceUnavailable {
		t.Errorf("DELETE with a store that fails: %d %s", a.status, a.body)
	}
	a = r.do("DELETE", "/admin/users/bob", "", admin...)
	if a.fail(t); a.status != 404 {
		t.Errorf("DELETE again: %d %s", a.status, a.body)
	}
	again := []string{"Authorization", "Bearer " + r.user("bob", nil)}
	for _, path := range []string{"/ai/conversations", "/ai/documents"} {
		if a := r.do("GET", path, "", again...); !strings.Contains(a.body, `"data":[]`) {
			t.Errorf("a new bob has %s", a.body)
		}
	}
	if a := r.do("GET", "/ai/conversations/"+ids["bob"]+"/messages", "", again...); a.status != 404 {
		t.Errorf("a new bob reads %d %s", a.status, a.body)
	}
	for _, kind := range []recipe.Kind{recipe.Template, recipe.Chain} {
		for user, want := range map[string]int{"ana": 2, "bob": 0} {
			if heads, err := r.server.Recipes.List(t.Context(), user, kind, "", 10); err != nil || len(heads) != want {
				t.Errorf("%s has %d recipes of kind %s, %v, want %d", user, len(heads), kind, err, want)
			}
		}
	}
	if got, _, _ := r.page("/ai/conversations/" + ids["ana"] + "/messages"); !slices.Equal(got, []string{"hers"}) {
		t.Errorf("ana's messages = %q", got)
	}
}
