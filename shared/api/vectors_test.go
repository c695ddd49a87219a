package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/shelf"
	"github.com/devmentor/ai-gateway/shared/storetest"
	"github.com/devmentor/ai-gateway/shared/usage"
)

const smallEmbedding = "text-embedding-3-small"

// embedding is an upstream whose vectors are made of letters. It counts calls
// and inputs, and takes 1 token per input.
type embedding struct {
	trigrams      *storetest.Trigrams
	calls, inputs atomic.Int64
	down          atomic.Bool
}

func (e *embedding) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct{ Input []string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || e.down.Load() {
		http.Error(w, `{"error":{"message":"Invalid 'input[0]': too long.","param":"input[0]","code":"too_long"}}`, http.StatusBadRequest)
		return
	}
	e.calls.Add(1)
	e.inputs.Add(int64(len(in.Input)))
	type item struct {
		Object    string    `json:"object"`
		Index     int       `json:"index"`
		Embedding []float32 `json:"embedding"`
	}
	list := []item{}
	for i, text := range in.Input {
		list = append(list, item{"embedding", i, e.trigrams.Vector(text)})
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"object": "list", "data": list, "model": smallEmbedding,
		"usage": map[string]int{"prompt_tokens": len(list), "total_tokens": len(list)}})
}

// newEmbeddingReader is a rig with a library whose passages have vectors.
func newEmbeddingReader(t *testing.T) (*rig, *embedding) {
	t.Helper()
	e := &embedding{trigrams: &storetest.Trigrams{Dimensions: 128}}
	r := newRig(t, e.ServeHTTP, nil)
	s := shelf.New(t.TempDir())
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	r.server.Library, r.server.Passages = s, s
	r.server.Gateway.Passages, r.server.Gateway.Embedding = s, smallEmbedding
	return r, e
}

func TestDocumentsGetVectorsOnTheBill(t *testing.T) {
	r, e := newEmbeddingReader(t)
	body := `{"collection":"docs","id":"a","text":"Physicians prescribe medication."}`
	a := r.do("POST", "/ai/documents", body)
	if a.status != 201 || !strings.Contains(a.body, `"embedding":"`+smallEmbedding+`"`) || a.header.Get("X-Gateway-Cost-Usd") != "0.00000002" {
		t.Fatalf("POST: %d %s, cost %s", a.status, a.body, a.header.Get("X-Gateway-Cost-Usd"))
	}
	r.keep("docs", "b", "Harbours are full of sailing boats.")
	if a := r.do("POST", "/ai/documents", body); a.status != 200 || !strings.Contains(a.body, `"changed":false`) || a.header.Get("X-Gateway-Cost-Usd") != "0" {
		t.Errorf("the same again: %d %s, cost %s", a.status, a.body, a.header.Get("X-Gateway-Cost-Usd"))
	}
	if got := r.found(`{"collection":"docs","query":"fysicians perscribe medicaton"}`); got != "a b" {
		t.Errorf("misspelled words find %q", got)
	}
	var cost usage.Nano
	operations := map[string]int{}
	for _, rec := range r.records("ana") {
		operations[rec.Operation]++
		cost += rec.Cost
	}
	if operations["documents"] != 3 || operations["search"] != 1 || cost != 3*20 || e.inputs.Load() != 3 {
		t.Errorf("records by operation = %v, cost %d, %d inputs", operations, cost, e.inputs.Load())
	}
	r.account("ana")
}

// TestAPageWithoutTextCostsNothing where documents get vectors, either.
func TestAPageWithoutTextCostsNothing(t *testing.T) {
	r, e := newEmbeddingReader(t)
	a := r.do("POST", "/ai/documents", `{"collection":"docs","id":"page.html","text":"<p></p><!-- herons -->"}`)
	if message, _, param, _ := a.fail(t); a.status != 400 || param != "text" || !strings.Contains(message, "page") {
		t.Errorf("POST: %d %s, want a 400 about the text of the page", a.status, a.body)
	}
	recs := r.records("ana")
	if len(recs) != 1 || recs[0].Cost != 0 || e.calls.Load() != 0 {
		t.Errorf("records = %+v after %d calls, want one that costs nothing", recs, e.calls.Load())
	}
	r.account("ana")
}

// TestLongDocumentsAreEmbeddedInBatches: no call has more than 96 passages, and
// every passage gets the vector of its own text.
func TestLongDocumentsAreEmbeddedInBatches(t *testing.T) {
	r, e := newEmbeddingReader(t)
	var text strings.Builder
	for i := range 250 {
		fmt.Fprintf(&text, "## Part %d\n\nWord%d %s\n\n", i, i, strings.Repeat(fmt.Sprintf("letters%d ", i*7919), 90))
	}
	r.keep("docs", "long", text.String())
	if calls, inputs := e.calls.Load(), e.inputs.Load(); inputs < 250 || calls != (inputs+95)/96 {
		t.Errorf("%d calls for %d passages", calls, inputs)
	}
	a := r.do("POST", "/ai/search", `{"collection":"docs","query":"lettrs1575881 leters1575881","top_k":1}`)
	if !strings.Contains(a.body, "Word199 ") {
		t.Errorf("search for the letters of part 199: %d %.300s", a.status, a.body)
	}
	if recs := r.records("ana"); len(recs) != 2 || recs[0].InputTokens+recs[1].InputTokens < 250 {
		t.Errorf("records = %+v", recs)
	}
}

func TestWithoutVectorsNothingIsStored(t *testing.T) {
	r, e := newEmbeddingReader(t)
	e.down.Store(true)
	refused := r.do("POST", "/ai/documents", `{"collection":"docs","id":"a","text":"Herons."}`)
	if message, _, param, code := refused.fail(t); refused.status != 400 || param != "text" || code != "too_long" || !strings.Contains(message, "'text': Invalid") {
		t.Errorf("POST while the provider refuses: %d %s, want a 400 about the text", refused.status, refused.body)
	}
	if a := r.do("GET", "/ai/documents/a?collection=docs", ""); a.status != 404 {
		t.Errorf("GET: %d %s", a.status, a.body)
	}
	e.down.Store(false)
	r.keep("docs", "a", "Herons.")
	e.down.Store(true)
	a := r.do("POST", "/ai/search", `{"collection":"docs","query":"heron"}`)
	if a.status != 200 || !strings.Contains(a.body, "Herons") || a.header.Get("X-Gateway-Skipped") != "rag.embedding" {
		t.Errorf("search by words alone: %d %s, skipped %q", a.status, a.body, a.header.Get("X-Gateway-Skipped"))
	}
	poor := r.user("poor", func(u *admission.User) { u.Day = 1 })
	if a := r.do("POST", "/ai/documents", `{"collection":"docs","id":"b","text":"Many storks."}`, "Authorization", "Bearer "+poor); a.status != 429 {
		t.Errorf("without money: %d %s", a.status, a.body)
	}
	r.account("ana")
	r.account("poor")
}

func TestNoVectorIsPaidForWhereItIsOfNoUse(t *testing.T) {
	r, e := newEmbeddingReader(t)
	if _, _, err := r.server.Library.Put(t.Context(), "ana", rag.Document{Key: rag.Key{Collection: "plain", ID: "a"}, Kind: rag.Text, Text: "Herons."}); err != nil {
		t.Fatal(err)
	}
	a := r.do("POST", "/ai/search", `{"collection":"plain","query":"heron"}`)
	if a.status != 200 || !strings.Contains(a.body, "Herons") || a.header.Get("X-Gateway-Skipped") != "" || a.header.Get("X-Gateway-Cost-Usd") != "0" {
		t.Errorf("search of a collection without vectors: %d %s %v", a.status, a.body, a.header)
	}
	if a := r.do("POST", "/ai/search", `{"collection":"none","query":"heron"}`); a.status != 404 {
		t.Errorf("search of nothing: %d %s", a.status, a.body)
	}
	if n := e.calls.Load(); n != 0 {
		t.Errorf("%d calls for vectors, want none", n)
	}
	r.account("ana")
}

func TestVectorsNeedPermission(t *testing.T) {
	r, e := newEmbeddingReader(t)
	key := r.user("bob", func(u *admission.User) { u.Models = []string{"gpt-4o-mini"} })
	if a := r.do("POST", "/ai/documents", `{"collection":"docs","id":"b","text":"Storks."}`, "Authorization", "Bearer "+key); a.status != 403 {
		t.Errorf("POST: %d %s", a.status, a.body)
	}
	a := r.do("POST", "/ai/search", `{"collection":"docs","query":"storks"}`, "Authorization", "Bearer "+key)
	if a.status != 404 || a.header.Get("X-Gateway-Skipped") != "rag.embedding" || e.calls.Load() != 0 { // a search of nothing, but a search
		t.Errorf("search: %d %s, skipped %q, %d calls", a.status, a.body, a.header.Get("X-Gateway-Skipped"), e.calls.Load())
	}
	if a := r.do("POST", "/ai/search?top_k=1", `{"collection":"docs","query":"storks"}`); a.status != 400 || !strings.Contains(a.body, "'top_k'") {
		t.Errorf("a search with a parameter that nobody reads = %d %s, want 400", a.status, a.body)
	}
	for path, body := range map[string]string{"/ai/documents": `{"collection":"docs"}`, "/ai/search": `{"collection":"docs"}`} {
		if a := r.do("POST", path, body); a.status != 400 {
			t.Errorf("%s with a wrong body: %d %s", path, a.status, a.body)
		}
		if a := r.do("POST", path, body, "Authorization", "Bearer gw_no"); a.status != 401 {
			t.Errorf("%s with a wrong key: %d %s", path, a.status, a.body)
		}
	}
	r.server.Gateway.Embedding = "no-such-model"
	if a := r.do("POST", "/ai/documents", `{"collection":"docs","id":"b","text":"Storks."}`); a.status != 503 || !strings.Contains(a.body, "GATEWAY_EMBEDDING_MODEL") {
		t.Errorf("with a model that is not there: %d %s", a.status, a.body)
	}
}

// TestChainsThatOnlySearch are searches with a bill of their own, which goes to
// the chain and its tags, and do without vectors where those do.
func TestChainsThatOnlySearch(t *testing.T) {
	r, e := newEmbeddingReader(t)
	r.server.Recipes, r.server.Runs = r.store.Recipes(), r.store.Runs()
	r.keep("docs", "a", "Herons.")
	r.saves(`{"name":"c","steps":[{"id":"f","type":"retrieve","collection":"docs","query":"heron"}]}`)
	r.do("POST", "/ai/chains/c/runs", `{"gateway":{"tags":["team-a"]}}`).want(t, 200, `{"status":"ok"}`)
	records := r.records("ana")
	if last := records[len(records)-1]; last.Operation != "chain" || last.Asked != "chain:c@1" || !slices.Equal(last.Tags, []string{"team-a"}) || last.Cost == 0 {
		t.Errorf("record = %+v, want a chain with its tag that cost something", last)
	}
	e.calls.Store(0)
	r.server.Gateway.Passages = &passages{}
	bob := []string{"Authorization", "Bearer " + r.user("bob", func(u *admission.User) { u.Models = []string{"gpt-4o-mini"} })}
	r.saves(`{"name":"c","steps":[{"id":"f","type":"retrieve","collection":"docs","query":"heron"}]}`, bob...)
	a := r.do("POST", "/ai/chains/c/runs", "", bob...)
	if a.status != 200 || !strings.Contains(a.body, `"found"`) || a.header.Get("X-Gateway-Skipped") != "rag.embedding" || e.calls.Load() != 0 || len(r.records("bob")) != 0 {
		t.Errorf("a key that may not use the embedding model: %d %s, skipped %q, want words alone, for nothing", a.status, a.body, a.header.Get("X-Gateway-Skipped"))
	}
	r.server.Gateway.Embedding = "no-such-model"
	if a := r.do("POST", "/ai/chains/c/runs", ""); a.status != 503 || !strings.Contains(a.body, "GATEWAY_EMBEDDING_MODEL") {
		t.Errorf("with a model that is not there: %d %s", a.status, a.body)
	}
}

func TestAnotherModelIsAConflict(t *testing.T) {
	r, _ := newEmbeddingReader(t)
	r.keep("docs", "a", "Herons.")
	r.server.Gateway.Embedding = "text-embedding-3-large"
	for path, body := range map[string]string{"/ai/documents": `{"collection":"docs","id":"b","text":"Storks."}`, "/ai/search": `{"collection":"docs","query":"storks"}`} {
		if a := r.do("POST", path, body); a.status != 409 || !strings.Contains(a.body, "text-embedding-3-large") || !strings.Contains(a.body, smallEmbedding) {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

func TestWithoutALibrary(t *testing.T) {
	r := newRig(t, nil, nil)
	for _, call := range [][3]string{
		{"POST", "/ai/documents", `{"collection":"docs","text":"x"}`}, {"GET", "/ai/documents", ""}, {"GET", "/ai/documents/a", ""},
		{"DELETE", "/ai/documents/a", ""}, {"POST", "/ai/search", `{"collection":"docs","query":"x"}`},
	} {
		if a := r.do(call[0], call[1], call[2]); a.status != 404 || !strings.Contains(a.body, "QDRANT_URL") {
			t.Errorf("%s %s: %d %s", call[0], call[1], a.status, a.body)
		}
	}
}
