package sdktest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// caller has a talk with a site, as all its users.
type caller struct {
	s    *site
	keys map[string]string // by who they are
	kept map[string]string // what earlier answers said
}

func newCaller(t *testing.T, s *site) *caller {
	return &caller{s: s, kept: map[string]string{}, keys: map[string]string{"": s.key, "admin": s.admin, "nobody": "", "stranger": "gw_ana_" + strings.Repeat("0", 32),
		"bob":  s.user(t, "bob", nil),
		"few":  s.user(t, "few", object{"models": []string{"gemini/*"}}),
		"poor": s.user(t, "poor", object{"budgets": []any{object{"period": "day", "usd": 0.000001}}}),
		"slow": s.user(t, "slow", object{"limits": object{"requests_per_second": 0.001, "burst": 2, "tokens_per_minute": 100000}})}}
}

// tell sends x and checks what holds on every site.
func (c *caller) tell(t *testing.T, x exchange) answer {
	t.Helper()
	if x.before != nil {
		x.before(c.s)
	}
	path, body := x.path, x.body
	for name, value := range c.kept {
		path, body = strings.ReplaceAll(path, "{"+name+"}", value), strings.ReplaceAll(body, "{"+name+"}", value)
	}
	a := c.s.do(t, x.method, path, c.keys[x.who], body, x.header...)
	if a.header.Get("Access-Control-Allow-Origin") != "*" || a.header.Get("X-Request-Id") == "" {
		t.Errorf("%s: header = %v, want CORS and a request id", c.s.name, a.header)
	}
	if x.want != 0 && a.status != x.want {
		t.Errorf("%s: status = %d %.2000s, want %d", c.s.name, a.status, a.body, x.want)
	}
	if x.keep != "" {
		var v any
		a.decode(t, &v)
		name, path, _ := strings.Cut(x.keep, "=")
		for member := range strings.SplitSeq(path, ".") {
			if list, ok := v.([]any); ok && len(list) > 0 {
				v = list[0]
			}
			if o, ok := v.(object); ok {
				v = o[member]
			}
		}
		id, ok := v.(string)
		if !ok {
			t.Fatalf("%s: no %s in %d %.500s", c.s.name, path, a.status, a.body)
		}
		c.kept[name] = id
	}
	return a
}

// text is what of an answer must be the same everywhere.
func (c *caller) text(t *testing.T, x exchange, a answer, library string) string {
	t.Helper()
	if library == "own" && a.status < 300 {
		return fmt.Sprint(a.status)
	}
	// Stores have words of their own for what is not there, or there already.
	if x.loose || x.who == "admin" && (a.status == http.StatusNotFound || a.status == http.StatusConflict) {
		e := a.fault(t)
		return fmt.Sprint(a.status, e.Type, e.Code)
	}
	for name, value := range c.kept {
		a.body = strings.ReplaceAll(a.body, value, "{"+name+"}")
	}
	return canonical(t, a, library == "")
}

// platform are headers that the way of transport decides about.
var platform = []string{"Date", "Connection", "Content-Length", "Transfer-Encoding", "X-Amzn-Requestid"}

// made are the ids that the gateway makes.
var made = regexp.MustCompile(`\b(conv|msg|run|code|doc)_[A-Za-z0-9]+`)

// canonical writes an answer without what differs from request to request.
func canonical(t *testing.T, a answer, scores bool) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintln(&b, a.status)
	header := http.Header{}
	for name, values := range a.header {
		if slices.Contains(platform, name) {
			continue
		}
		switch {
		case name == "X-Request-Id", name == "X-Gateway-Overhead-Ms", strings.HasPrefix(name, "X-Ratelimit-Reset-"), name == "X-Ratelimit-Remaining-Tokens",
			name == "Retry-After" && len(values[0]) > 2: // the clock runs
			values = []string{"…"}
		}
		header[name] = values
	}
	header.Write(&b)
	body := made.ReplaceAllString(strings.ReplaceAll(a.body, a.header.Get("X-Request-Id"), "REQUEST"), "${1}_…")
	switch a.header.Get("Content-Type") {
	case "application/json":
		b.WriteString(canonicalJSON(t, body, scores))
	case "text/event-stream":
		for line := range strings.Lines(body) {
			if data, ok := strings.CutPrefix(line, "data: {"); ok {
				line = canonicalJSON(t, "{"+data, scores) + "\n"
			}
			b.WriteString(line)
		}
	default:
		b.WriteString(body)
	}
	return b.String()
}

func canonicalJSON(t *testing.T, text string, scores bool) string {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v in %.300q", err, text)
	}
	out, err := json.MarshalIndent(blank(v, scores), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// blank takes out what is new each time, what only a process knows that does
// everything (the targets' health), and scores unless they can be compared.
func blank(v any, scores bool) any {
	switch v := v.(type) {
	case object:
		for name, member := range v {
			switch name {
			case "created", "created_at", "updated_at", "expires_at", "created_by", "latency_ms", "duration_ms", "key", "hint":
				v[name] = fmt.Sprintf("%T", member)
			case "from", "to": // unless the request says so, they depend on the second
				if text, ok := member.(string); ok && !strings.HasSuffix(text, "T00:00:00Z") {
					v[name] = "now"
				}
			case "targets":
				delete(v, name)
			case "id":
				if v["object"] == "key" {
					v[name] = "…"
				}
			case "score":
				if !scores {
					v[name] = fmt.Sprintf("%T", member)
				}
			default:
				v[name] = blank(member, scores)
			}
		}
	case []any:
		for i := range v {
			v[i] = blank(v[i], scores)
		}
		if !scores {
			slices.SortStableFunc(v, func(a, b any) int { return strings.Compare(documentID(a), documentID(b)) })
		}
	}
	return v
}

// documentID is "" for what is no document in a list.
func documentID(v any) string {
	if d, ok := v.(object); ok && d["object"] == "document" {
		return fmt.Sprint(d["collection"], " ", d["id"])
	}
	return ""
}
