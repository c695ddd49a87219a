package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/recipe"
	"github.com/devmentor/ai-gateway/shared/template"
)

// newAuthor is a rig with a store of templates.
func newAuthor(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, nil, nil)
	r.server.Recipes, r.server.Ledger = r.store.Recipes(), r.store
	return r
}

const tutor = `{"name":"tutor","system":"You teach {{.level}}s.","user":"Explain {{.topic}}.","examples":[{"user":"Hi","assistant":"Hello."}],
	"variables":[{"name":"topic","type":"string","required":true},{"name":"level","default":"beginner"}],
	"model":"gpt-4o-mini","parameters":{"temperature":0.20,"max_completion_tokens":100},"labels":["staging"]}`

// shown is a template as answers have it.
type shown struct {
	ID, Object string
	Version    int
	Latest     int `json:"latest_version"`
	Labels     map[string]int
	Created    time.Time `json:"created_at"`
	Author     string    `json:"created_by"`
	Changed    bool
	Name, User string
	Parameters json.RawMessage
	Warnings   []string
}

func (r *rig) template(a answer, status int) shown {
	r.t.Helper()
	var s shown
	if err := json.Unmarshal([]byte(a.body), &s); err != nil || a.status != status {
		r.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return s
}

func TestTemplatesFromBirthToDeath(t *testing.T) {
	r := newAuthor(t)
	first := r.template(r.do("POST", "/ai/templates", tutor), 201)
	if first.ID != "tutor" || first.Name != "tutor" || first.Object != "template" || first.Version != 1 || first.Latest != 1 || !first.Changed || first.Labels["staging"] != 1 ||
		first.Author == "" || time.Since(first.Created) > time.Minute || string(first.Parameters) != `{"temperature":0.20,"max_completion_tokens":100}` || len(first.Warnings) != 0 {
		t.Errorf("POST = %+v", first)
	}
	again := r.template(r.do("POST", "/ai/v1/templates", strings.Replace(tutor, `"labels":["staging"]`, ` "labels" : [ "production" ]`, 1)), 200)
	if again.Version != 1 || again.Changed || fmt.Sprint(again.Labels) != "map[production:1 staging:1]" || !again.Created.Equal(first.Created) {
		t.Errorf("the same again = %+v", again)
	}
	second := r.template(r.do("POST", "/ai/templates", strings.Replace(tutor, "Explain", "Describe", 1)), 201)
	if second.Version != 2 || fmt.Sprint(second.Labels) != "map[production:1 staging:2]" {
		t.Errorf("a second version = %+v", second)
	}
	for query, want := range map[string]string{"": "Describe", "?version=latest": "Describe", "?version=1": "Explain", "?version=production": "Explain", "?version=staging": "Describe"} {
		got := r.template(r.do("GET", "/ai/templates/tutor"+query, ""), 200)
		if !strings.HasPrefix(got.User, want) || got.Latest != 2 || (got.Version == 1) != (want == "Explain") {
			t.Errorf("GET %s = %+v, want %s", query, got, want)
		}
	}
	if a := r.do("DELETE", "/ai/templates/tutor", ""); a.status != 200 || !strings.Contains(a.body, `"deleted":true`) {
		t.Errorf("DELETE: %d %s", a.status, a.body)
	}
	for _, req := range []string{"GET ", "DELETE ", "GET /versions", "GET /export", "POST /render", "GET /usage", "POST /labels/x", "DELETE /labels/x", "GET ?version=1"} {
		method, path, _ := strings.Cut(req, " ")
		a := r.do(method, "/ai/templates/tutor"+path, `{"version":1}`)
		if a.fail(t); a.status != 404 {
			t.Errorf("%s after DELETE: %d %s", req, a.status, a.body)
		}
	}
	if again := r.template(r.do("POST", "/ai/templates", tutor), 201); again.Version != 3 {
		t.Errorf("version after DELETE = %d; numbers are not used again", again.Version)
	}
	if got := r.do("GET", "/ai/templates/tutor?version=production", ""); got.status != 404 {
		t.Errorf("a label of the deleted template: %d", got.status)
	}
}

// TestRollBack: a label that is moved back is what requests then get.
func TestRollBack(t *testing.T) {
	r := newAuthor(t)
	for i := 1; i <= 3; i++ {
		r.template(r.do("POST", "/ai/templates", fmt.Sprintf(`{"name":"t","user":"Version %d."}`, i)), 201)
	}
	point := func(version string) {
		t.Helper()
		a := r.do("POST", "/ai/templates/t/labels/production", `{"version":`+version+`}`)
		if a.status != 200 {
			t.Fatalf("label %s: %d %s", version, a.status, a.body)
		}
	}
	current := func() string {
		return r.template(r.do("GET", "/ai/templates/t?version=production", ""), 200).User
	}
	for _, move := range []struct{ to, want string }{{"3", "Version 3."}, {"2", "Version 2."}, {`"latest"`, "Version 3."}, {"1", "Version 1."}, {`"production"`, "Version 1."}, {`"2"`, "Version 2."}} {
		if point(move.to); current() != move.want {
			t.Errorf("production = %q, want %q", current(), move.want)
		}
	}
	for _, path := range []string{"/ai/templates?limit=1", "/ai/templates/t/labels/production"} {
		method, body := "GET", ""
		if strings.HasSuffix(path, "production") {
			method, body = "POST", `{"version":2}` // where it is
		}
		a := r.do(method, path, body)
		if !strings.Contains(a.body, `"latest_version":3,"labels":{`) || strings.Contains(a.body, `"version":`) {
			t.Errorf("%s %s = %s, want the latest version under its own name", method, path, a.body)
		}
	}
	var list struct {
		Data []struct {
			Version int
			Labels  []string
			Created time.Time `json:"created_at"`
		}
	}
	a := r.do("GET", "/ai/templates/t/versions", "")
	if err := json.Unmarshal([]byte(a.body), &list); err != nil || len(list.Data) != 3 || list.Data[0].Version != 3 || len(list.Data[0].Labels) != 0 ||
		fmt.Sprint(list.Data[1].Labels) != "[production]" || list.Data[2].Created.IsZero() || !strings.Contains(a.body, `"has_more":false`) {
		t.Errorf("versions: %s", a.body)
	}
	for _, tc := range []struct {
		label, body string
		status      int
		param       string
	}{
		{"production", `{"version":4}`, 404, "version"}, {"production", `{"version":"beta"}`, 404, "version"}, {"production", `{"version":0}`, 400, "version"}, {"production", `{"version":1.5}`, 400, "version"},
		{"production", `{"version":""}`, 400, "version"}, {"production", `{"version":[1]}`, 400, "version"}, {"production", `{}`, 400, "version"}, {"production", `{"version":1,"by":"me"}`, 400, "by"},
		{"latest", `{"version":1}`, 400, "label"}, {"3", `{"version":1}`, 400, "label"},
	} {
		a := r.do("POST", "/ai/templates/t/labels/"+tc.label, tc.body)
		if _, _, param, _ := a.fail(t); a.status != tc.status || param != tc.param {
			t.Errorf("label %s %s: %d %s", tc.label, tc.body, a.status, a.body)
		}
	}
	if current() != "Version 2." {
		t.Errorf("production = %q after moves that failed", current())
	}
	if got := r.template(r.do("DELETE", "/ai/templates/t/labels/production", ""), 200); len(got.Labels) != 0 {
		t.Errorf("labels after DELETE = %v", got.Labels)
	}
	if a := r.do("DELETE", "/ai/templates/t/labels/production", ""); a.status != 404 {
		t.Errorf("DELETE of a label that is not there: %d", a.status)
	}
}

func TestListsOfTemplatesContinue(t *testing.T) {
	r := newAuthor(t)
	for i := range 5 {
		r.template(r.do("POST", "/ai/templates", fmt.Sprintf(`{"name":"t%d","user":"a"}`, i)), 201)
		r.template(r.do("POST", "/ai/templates", fmt.Sprintf(`{"name":"t0","user":"version %d"}`, i)), 201)
	}
	all := func(path, id string) (got []string) {
		for after, pages := "", 0; pages < 10; pages++ {
			var list struct {
				Object  string
				Data    []map[string]any
				HasMore bool `json:"has_more"`
				Next    string
			}
			if err := json.Unmarshal([]byte(r.do("GET", path+"?limit=2&after="+after, "").body), &list); err != nil || list.Object != "list" || len(list.Data) > 2 {
				t.Fatalf("%v, %+v", err, list)
			}
			for _, d := range list.Data {
				got = append(got, fmt.Sprint(d[id]))
			}
			if after = list.Next; !list.HasMore {
				return got
			}
		}
		return got
	}
	if got := fmt.Sprint(all("/ai/templates", "id")); got != "[t0 t1 t2 t3 t4]" {
		t.Errorf("templates = %s", got)
	}
	if got := fmt.Sprint(all("/ai/templates/t0/versions", "version")); got != "[6 5 4 3 2 1]" {
		t.Errorf("versions = %s", got)
	}
	for _, query := range []string{"?limit=0", "?limit=x", "?limit=1001"} {
		for _, path := range []string{"/ai/templates", "/ai/templates/t0/versions"} {
			if _, _, param, _ := r.do("GET", path+query, "").fail(t); param != "limit" {
				t.Errorf("GET %s%s: param %q", path, query, param)
			}
		}
	}
	if _, _, param, _ := r.do("GET", "/ai/templates/t0/versions?after=x", "").fail(t); param != "after" {
		t.Errorf("after=x: param %q", param)
	}
}

func TestTemplatesTravelAsFiles(t *testing.T) {
	r := newAuthor(t)
	r.template(r.do("POST", "/ai/templates", tutor), 201)
	a := r.do("GET", "/ai/templates/tutor/export?version=staging", "")
	if a.status != 200 || a.header.Get("Content-Type") != "text/markdown; charset=utf-8" || a.header.Get("Content-Disposition") != `attachment; filename="tutor-1.md"` {
		t.Fatalf("export: %d %v", a.status, a.header)
	}
	if back := r.template(r.do("POST", "/ai/templates?labels=production,%20beta", a.body, "Content-Type", "text/markdown; charset=utf-8"), 200); back.Changed || back.Version != 1 ||
		fmt.Sprint(back.Labels) != "map[beta:1 production:1 staging:1]" {
		t.Errorf("import of what was exported = %+v", back)
	}
	if other := r.template(r.do("POST", "/ai/templates", strings.Replace(a.body, "Explain", "Describe", 1), "Content-Type", "text/markdown"), 201); other.Version != 2 || other.User != "Describe {{.topic}}." {
		t.Errorf("import of an edited file = %+v", other)
	}
	if plain := r.template(r.do("POST", "/ai/templates", "name: y\nuser: |-\n  Hello.\n", "Content-Type", "application/yaml"), 201); plain.User != "Hello." {
		t.Errorf("import of YAML = %+v", plain)
	}
	for _, tc := range []struct{ file, query, param string }{
		{"---\nname: x\n---\n# user\n{{if}}", "", "user"}, {"---\n- a\n---\n", "", ""}, {"---\nuser: x\n---\n", "", "name"}, {"---\nname: x\nuser: x\n---\n", "?labels=a,latest", "labels[1]"}, {"---\nname: x\nuser: x\nlabels: [a]\n---\n", "", "labels"},
	} {
		a := r.do("POST", "/ai/templates"+tc.query, tc.file, "Content-Type", "text/markdown")
		if _, _, param, _ := a.fail(t); a.status != 400 || param != tc.param {
			t.Errorf("import of %q: %d %s", tc.file, a.status, a.body)
		}
	}
}

func TestWrongTemplatesLeaveNothing(t *testing.T) {
	r := newAuthor(t)
	for _, tc := range []struct{ body, param string }{
		{`{`, ""}, {`[]`, ""}, {`{"user":"a"}`, "name"}, {`{"name":"1x","user":"a"}`, "name"}, {`{"name":"a b","user":"a"}`, "name"}, {`{"name":"x"}`, "user"},
		{`{"name":"x","user":"{{.a}}"}`, "user"}, {`{"name":"x","user":"{{printf .a}}"}`, "user"}, {`{"name":"x","system":"{{","user":"a"}`, "system"},
		{`{"name":"x","user":"a","variables":[{"name":"a","type":"string","default":1}]}`, "variables[0].default"},
		{`{"name":"x","user":"a","examples":[{"user":"a","assistant":"b"},{"user":"{{.q}}","assistant":"b"}]}`, "examples[1].user"},
		{`{"name":"x","user":"a","sistem":"b"}`, "sistem"}, {`{"name":"x","user":"a","parameters":{"temperature":"hot"}}`, "parameters.temperature"},
		{`{"name":"x","user":"a","labels":"production"}`, "labels"}, {`{"name":"x","user":"a","labels":[1]}`, "labels[0]"}, {`{"name":"x","user":"a","labels":["ok","latest"]}`, "labels[1]"},
		{`{"name":"x","user":"a","labels":["7"]}`, "labels[0]"}, {`{"name":"x","user":"a","labels":[` + strings.Repeat(`"l",`, 16) + `"l"]}`, "labels"},
	} {
		a := r.do("POST", "/ai/templates", tc.body)
		if _, _, param, _ := a.fail(t); a.status != 400 || param != tc.param {
			t.Errorf("POST %.80s: %d %s, want param %q", tc.body, a.status, a.body, tc.param)
		}
	}
	if message, _, _, _ := r.do("POST", "/ai/templates", `{"name":"x","user":"a","label":["production"]}`).fail(t); !strings.HasPrefix(message, "Unknown parameter: 'label'.") || !strings.Contains(message, ", labels.") {
		t.Errorf("the message for an unknown field is %q, want all that are known", message)
	}
	for _, long := range []string{`{"name":"x","user":"` + strings.Repeat("x", recipe.MaxBody) + `"}`, `{"name":"x","user":"a"` + strings.Repeat(" ", recipe.MaxBody) + `}`,
		`{"name":"x","user":"x` + strings.Repeat("\u2028", 60_000) + `"}`} { // longer in the canonical spelling
		if a := r.do("POST", "/ai/templates", long); a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("POST of %d bytes: %d %.200s", len(long), a.status, a.body)
		}
	}
	if a := r.do("GET", "/ai/templates", ""); !strings.Contains(a.body, `"data":[]`) {
		t.Errorf("after requests that failed there is %s", a.body)
	}
	if warned := r.template(r.do("POST", "/ai/templates", `{"name":"x","user":"a","variables":[{"name":"lost"}]}`), 201); len(warned.Warnings) != 1 || !strings.Contains(warned.Warnings[0], "'lost'") {
		t.Errorf("warnings = %q", warned.Warnings)
	}
	for _, version := range []string{"0", "-1", "x y", "99999999999"} {
		if _, _, param, _ := r.do("GET", "/ai/templates/x?version="+url.QueryEscape(version), "").fail(t); param != "version" {
			t.Errorf("version %q: param %q", version, param)
		}
	}
}

func TestTemplatesOfOthersAreNotThere(t *testing.T) {
	r := newAuthor(t)
	r.template(r.do("POST", "/ai/templates", tutor), 201)
	bob := []string{"Authorization", "Bearer " + r.user("bob", nil)}
	for _, req := range []string{"GET ", "DELETE ", "GET /versions", "GET /export", "POST /render", "GET /usage", "POST /labels/staging", "DELETE /labels/staging"} {
		method, path, _ := strings.Cut(req, " ")
		if a := r.do(method, "/ai/templates/tutor"+path, `{"version":1}`, bob...); a.status != 404 && a.status != 400 {
			t.Errorf("bob's %s: %d %s", req, a.status, a.body)
		}
	}
	if a := r.do("GET", "/ai/templates", "", bob...); !strings.Contains(a.body, `"data":[]`) {
		t.Errorf("bob's list: %s", a.body)
	}
	if own := r.template(r.do("POST", "/ai/templates", `{"name":"tutor","user":"Mine."}`, bob...), 201); own.Version != 1 {
		t.Errorf("bob's own = %+v", own)
	}
	if a := r.do("GET", "/ai/templates/tutor", "", "Authorization", "Bearer gw_ana_wrong"); a.status != 401 {
		t.Errorf("a wrong key: %d", a.status)
	}
	if got := r.template(r.do("GET", "/ai/templates/tutor", ""), 200); got.User != "Explain {{.topic}}." {
		t.Errorf("ana's = %+v", got)
	}
}

func TestTemplatesTakeARateSlot(t *testing.T) {
	r := newAuthor(t)
	slow := []string{"Authorization", "Bearer " + r.user("slow", func(u *admission.User) { u.Rate, u.Burst = 0.001, 1 })}
	if a := r.do("GET", "/ai/templates", "", slow...); a.status != 200 || a.header.Get("X-Ratelimit-Limit-Requests") != "1" {
		t.Errorf("the first request: %d", a.status)
	}
	if a := r.do("POST", "/ai/templates", `{"name":"x","user":"a"}`, slow...); a.status != 429 {
		t.Errorf("the second: %d %s", a.status, a.body)
	}
}

func TestAStoreOfTemplatesThatFails(t *testing.T) {
	r := newAuthor(t)
	r.server.Recipes = brokenRecipes{r.server.Recipes}
	a := r.do("GET", "/ai/templates", "")
	if message, _, _, _ := a.fail(t); a.status != 503 || !strings.Contains(message, "templates") || strings.Contains(message, "disk") {
		t.Errorf("list: %d %s", a.status, a.body)
	}
	if a := r.do("GET", "/ai/templates/x/y", ""); a.status != 404 {
		t.Errorf("GET /x/y: %d", a.status)
	}
	if a := r.do("PATCH", "/ai/templates/x", ""); a.status != 405 || a.header.Get("Allow") != "GET, DELETE, OPTIONS" {
		t.Errorf("PATCH: %d %v", a.status, a.header)
	}
}

type brokenRecipes struct{ recipe.Store }

func (brokenRecipes) List(ctx, string, recipe.Kind, string, int) ([]recipe.Head, error) {
	return nil, fmt.Errorf("disk on fire")
}

// TestStoredTemplatesCanBeUsed: what the endpoint stored is what a request that
// names the template reads.
func TestStoredTemplatesCanBeUsed(t *testing.T) {
	r := newAuthor(t)
	r.template(r.do("POST", "/ai/templates", tutor), 201)
	v, err := r.server.Recipes.Version(t.Context(), "ana", recipe.Template, "tutor", recipe.Ref{Label: "staging"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := template.Parse(v.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Render(json.RawMessage(`{"level":1}`), "gateway.template.variables")
	if f := fault.As(err); f == nil || f.Param != "gateway.template.variables.level" {
		t.Errorf("Render = %v", err)
	}
}
