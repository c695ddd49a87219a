package api_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestQueryParametersThatNobodyReadsAreRefused: a filter that is misspelt must
// not answer with everything, nor a deletion delete the wrong thing.
func TestQueryParametersThatNobodyReadsAreRefused(t *testing.T) {
	r := newChainRig(t, &parrot{}, nil)
	r.server.Library, r.server.Conversations = nil, r.store.Conversations()
	r.saves(chainOf("c", step("a", "x")))
	for _, tc := range []struct{ method, path, body, want string }{
		{"GET", "/ai/chains?limits=1", "", "limits"},
		{"GET", "/ai/chains?limit=1&limit=2", "", "limit"},
		{"GET", "/ai/chains/c?versions=1", "", "versions"},
		{"GET", "/ai/chains/c?version=1", "", ""},
		{"GET", "/ai/chains/c?version=01", "", "version"},
		{"GET", "/ai/chains/c?version=2", "", "version"},
		{"DELETE", "/ai/chains/c?version=1", "", "version"},
		{"POST", "/ai/chains/c/runs?stream=true", "{}", "stream"},
		{"POST", "/ai/templates?labels=a", `{"name":"t","user":"x"}`, "labels"},
		{"GET", "/ai/templates?label=a", "", "label"},
		{"GET", "/ai/conversations?user=bob", "", "user"},
		{"GET", "/ai/documents?colection=a", "", "colection"},
		{"POST", "/ai/search?top_k=1", `{"collection":"a","query":"x"}`, "top_k"},
		{"GET", "/ai/models?limit=10&after=x&order=asc&before=y", "", ""}, // as OpenAI's SDKs may ask
		{"POST", "/ai/chat/completions?api-version=2024-10-21", hello, ""},
	} {
		a := r.do(tc.method, tc.path, tc.body)
		if tc.want == "" {
			if a.status != http.StatusOK {
				t.Errorf("%s %s = %d %s, want 200", tc.method, tc.path, a.status, a.body)
			}
			continue
		}
		if _, _, param, _ := a.fail(t); a.status != http.StatusBadRequest && a.status != http.StatusNotFound || param != tc.want {
			t.Errorf("%s %s = %d %s, want it refused for %q", tc.method, tc.path, a.status, a.body, tc.want)
		}
	}
	for path, want := range map[string]string{"/admin/users?limi=1": "limi", "/admin/ledger?user=ana&form=2026-01-01": "form", "/admin/users/ana?x=": "x"} {
		a := r.do("GET", path, "", "Authorization", "Bearer "+adminKey)
		if _, _, param, code := a.fail(t); a.status != http.StatusBadRequest || param != want || code != "unknown_parameter" {
			t.Errorf("GET %s = %d %s, want it refused for %q", path, a.status, a.body, want)
		}
	}
	for _, query := range []string{"limit=5;after=x", "limit=5&after=%zz", "%", ";"} {
		if a := r.do("GET", "/ai/chains?"+query, ""); a.status != http.StatusBadRequest {
			t.Errorf("GET /ai/chains?%s = %d %s, want 400: a part of it would be left out", query, a.status, a.body)
		}
	}
	if a := r.do("GET", "/admin/nothing?x=1", "", "Authorization", "Bearer "+adminKey); a.status != http.StatusNotFound {
		t.Errorf("GET /admin/nothing?x=1 = %d %s, want 404", a.status, a.body)
	}
	if a := r.do("GET", "/ai/chains?labels=a&labels=b", ""); a.status != http.StatusBadRequest {
		t.Errorf("GET /ai/chains?labels=a&labels=b = %d %s, want 400", a.status, a.body)
	}
	if a := r.do("GET", "/ai/chains?limits=1", "", "Authorization", "Bearer gw_nobody_x"); a.status != http.StatusUnauthorized {
		t.Errorf("with a bad key = %d, want 401 whatever the query", a.status)
	}
}

// TestAllLabelsOfAFileCount: they may stand in one parameter or in several.
func TestAllLabelsOfAFileCount(t *testing.T) {
	r := newChainRig(t, &parrot{}, nil)
	a := r.do("POST", "/ai/templates?labels=a,b&labels=c", "---\nname: t\n---\n\n# user\n\nx\n", "Content-Type", "text/markdown")
	if a.status != http.StatusCreated || !strings.Contains(a.body, `"labels":{"a":1,"b":1,"c":1}`) {
		t.Errorf("import = %d %s, want all three labels", a.status, a.body)
	}
}
