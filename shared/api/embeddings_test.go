package api_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/openai"
)

const embedded = `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,0.2]}],"model":"text-embedding-3-small","usage":{"prompt_tokens":5,"total_tokens":5}}`

func TestEmbeddingsAreRelayedAndBooked(t *testing.T) {
	r := newRig(t, reply("application/json", embedded), nil)
	a := r.do("POST", "/ai/embeddings", `{"model":"text-embedding-3-small","input":"a","encoding_format":"float"}`)
	if a.status != 200 || a.body != embedded || a.header.Get("X-Gateway-Cost-Usd") != "0.0000001" {
		t.Errorf("%d %s %s", a.status, a.header.Get("X-Gateway-Cost-Usd"), a.body)
	}
	openSchemas(t).check(t, "CreateEmbeddingResponse", a.body)
	if recs := r.records("ana"); len(recs) != 1 || recs[0].Cost != 100 || recs[0].InputTokens != 5 || recs[0].Operation != "embeddings" {
		t.Errorf("records = %+v", recs)
	}
	r.account("ana")
}

func TestWrongEmbeddingRequests(t *testing.T) {
	r := newRig(t, reply("application/json", embedded), nil)
	for body, param := range map[string]string{
		`{"model":"text-embedding-3-small"}`:                                                     "input",
		`{"model":"text-embedding-3-small","input":""}`:                                          "input",
		`{"model":"text-embedding-3-small","input":[]}`:                                          "input",
		`{"model":"text-embedding-3-small","input":["a",1]}`:                                     "input[1]",
		`{"model":"text-embedding-3-small","input":[[1,"a"]]}`:                                   "input[0][1]",
		`{"model":"text-embedding-3-small","input":"a","dimensions":0}`:                          "dimensions",
		`{"model":"text-embedding-3-small","input":"a","encoding_format":"hex"}`:                 "encoding_format",
		`{"model":"gpt-4o-mini","input":"a"}`:                                                    "model",
		`{"model":"text-embedding-3-small","input":["a",""]}`:                                    "input[1]",
		`{"model":"text-embedding-3-small","input":[[1],[]]}`:                                    "input[1]",
		`{"model":"text-embedding-3-small","input":["a",[1]]}`:                                   "input[1]",
		`{"model":"text-embedding-3-small","input":[1,"a"]}`:                                     "input[1]",
		`{"model":"text-embedding-3-small","input":[1,-2]}`:                                      "input[1]",
		`{"model":"text-embedding-3-small","input":{"a":1}}`:                                     "input",
		`{"model":"text-embedding-3-small","input":[` + strings.Repeat(`"a",`, 2048) + `"a"]}`:   "input",
		`{"model":"text-embedding-3-small","input":"a","gateway":{"partial":"yes"}}`:             "gateway.partial",
		`{"model":"text-embedding-3-small","input":"a","gateway":{"cache":{"mode":"semantic"}}}`: "gateway.cache.mode",
	} {
		a := r.do("POST", "/ai/embeddings", body)
		if _, _, p, _ := a.fail(t); a.status != 400 || p != param {
			t.Errorf("%s: %d param %q, want 400 %q", body, a.status, p, param)
		}
	}
	for input, want := range map[string]string{
		`[1,-2]`:          "'input[1]' is -2: a token id is 0 or more. invalid_value input[1]",
		`[[1],[3,4,-7]]`:  "'input[1][2]' is -7: a token id is 0 or more. invalid_value input[1][2]",
		`[1,1.5]`:         "Invalid type for 'input[1]': expected an integer, got number. invalid_type input[1]",
		`[[1,"a"]]`:       "Invalid type for 'input[0][1]': expected an integer, got string. invalid_type input[0][1]",
		`[[1,-9e99],[2]]`: "Invalid type for 'input[0][1]': expected an integer, got number. invalid_type input[0][1]",
	} {
		message, _, param, code := r.do("POST", "/ai/embeddings", `{"model":"text-embedding-3-small","input":`+input+`}`).fail(t)
		if got := message + " " + code + " " + param; got != want {
			t.Errorf("input %s: %q, want %q", input, got, want)
		}
	}
}

type vectors func(*llm.EmbedRequest) (*llm.Embeddings, error)

func (v vectors) Embed(_ context.Context, r *llm.EmbedRequest) (*llm.Embeddings, error) { return v(r) }

func TestVectorsOfOtherProtocols(t *testing.T) {
	r := newRig(t, nil, nil)
	r.server.Gateway.Models = gateway.NewRegistry(gateway.Instance{Name: "v", Embeds: true, Free: true, Embedder: vectors(func(req *llm.EmbedRequest) (*llm.Embeddings, error) {
		if req.Inputs[0] == "fail" {
			return nil, fault.Field("input", "no")
		}
		return &llm.Embeddings{Vectors: [][]float32{{0.5, -1e-7}, {1, 2}}}, nil
	})})
	a := r.do("POST", "/ai/embeddings", `{"model":"v/m","input":["a","b"]}`)
	openSchemas(t).check(t, "CreateEmbeddingResponse", a.body)
	if want := `"data":[{"object":"embedding","index":0,"embedding":[0.5,-1e-07]},{"object":"embedding","index":1,"embedding":[1,2]}],"model":"m","usage":{"prompt_tokens":2,`; !strings.Contains(a.body, want) {
		t.Errorf("answer = %s, want %s", a.body, want)
	}
	a = r.do("POST", "/ai/embeddings", `{"model":"v/m","input":["a","b"],"encoding_format":"base64"}`)
	var o struct{ Data []struct{ Embedding string } }
	if err := json.Unmarshal([]byte(a.body), &o); err != nil || len(o.Data) != 2 {
		t.Fatalf("%s: %v", a.body, err)
	}
	raw, err := base64.StdEncoding.DecodeString(o.Data[1].Embedding)
	if err != nil || len(raw) != 8 || math.Float32frombits(binary.LittleEndian.Uint32(raw[4:])) != 2 {
		t.Errorf("base64 = %x, %v", raw, err)
	}
	if a := r.do("POST", "/ai/embeddings", `{"model":"v/m","input":"fail"}`); a.status != 400 {
		t.Errorf("a failing embedder: %d", a.status)
	}
	count := map[int]int{} // ids of one millisecond are in no order
	for _, rec := range r.records("ana") {
		count[rec.Status]++
		if rec.Estimated != (rec.Status == 200) {
			t.Errorf("record = %+v", rec)
		}
	}
	if count[200] != 2 || count[400] != 1 {
		t.Errorf("records by status = %v", count)
	}
}

// TestLongVectorsInBase64: however many numbers there are, they are one text.
func TestLongVectorsInBase64(t *testing.T) {
	vec := make([]float32, 0, 1000)
	r := newRig(t, nil, nil)
	r.server.Gateway.Models = gateway.NewRegistry(gateway.Instance{Name: "v", Embeds: true, Free: true, Embedder: vectors(func(*llm.EmbedRequest) (*llm.Embeddings, error) {
		return &llm.Embeddings{Vectors: [][]float32{vec}}, nil
	})})
	for _, n := range []int{1, 2, 3, 191, 192, 193, 384, 1000} {
		var want []byte
		for vec = vec[:0]; len(vec) < n; vec = append(vec, float32(len(vec))-0.5) {
			want = binary.LittleEndian.AppendUint32(want, math.Float32bits(float32(len(vec))-0.5))
		}
		a := r.do("POST", "/ai/embeddings", `{"model":"v/m","input":"a","encoding_format":"base64"}`)
		if !strings.Contains(a.body, `"embedding":"`+base64.StdEncoding.EncodeToString(want)+`"}`) {
			t.Errorf("%d numbers: %.200s", n, a.body)
		}
	}
}

// numbering is an upstream that gives every input a vector of its length, and
// refuses the input "bad" in the way of OpenAI.
func numbering(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Input          []string
		EncodingFormat string `json:"encoding_format"`
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	var data []string
	for i, text := range req.Input {
		if text == "bad" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"error":{"message":"Invalid 'input[%d]': too long.","type":"invalid_request_error","param":null,"code":"too_long"}}`, i)
			return
		}
		data = append(data, fmt.Sprintf(`{"object":"embedding","index":%d,"embedding":[%d.0,0.1]}`, i, len(text)))
	}
	fmt.Fprintf(w, `{"object":"list","data":[%s],"model":"small-v1","usage":{"prompt_tokens":%d,"total_tokens":%d}}`, strings.Join(data, ","), len(data), len(data))
}

// inTwos is a rig whose upstream takes two inputs at a time.
func inTwos(t *testing.T) *rig {
	r := newRig(t, numbering, nil)
	backend := httptest.NewServer(http.HandlerFunc(numbering))
	t.Cleanup(backend.Close)
	r.server.Gateway.Models = gateway.NewRegistry(gateway.Instance{Name: "openai", Kind: "openai", Catalog: "openai", Embeds: true,
		Embedder: &openai.Provider{Name: "openai", BaseURL: backend.URL, Inputs: 2, HTTP: backend.Client().Transport}})
	r.server.Gateway.Vectors = gateway.NewVectorCache(1 << 20)
	return r
}

func TestEmbeddingsInParts(t *testing.T) {
	r := inTwos(t)
	for _, tc := range []struct {
		options, cache, attempts, cost, tokens string
	}{
		{`"encoding_format":"float"`, "miss", "3", "0.0000001", "5"},
		{`"encoding_format":"float"`, "hit", "0", "0", "0"},
		{`"encoding_format":"float","gateway":{"cache":{"mode":"off"}}`, "bypass", "3", "0.0000001", "5"},
	} {
		a := r.do("POST", "/ai/embeddings", `{"model":"text-embedding-3-small","input":["a","bb","ccc","dddd","eeeee"],`+tc.options+`}`)
		openSchemas(t).check(t, "CreateEmbeddingResponse", a.body)
		want := `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1,0.1]},{"object":"embedding","index":1,"embedding":[2,0.1]},{"object":"embedding","index":2,"embedding":[3,0.1]},` +
			`{"object":"embedding","index":3,"embedding":[4,0.1]},{"object":"embedding","index":4,"embedding":[5,0.1]}],"model":"small-v1","usage":{"prompt_tokens":` + tc.tokens + `,"total_tokens":` + tc.tokens + `}}`
		if a.status != 200 || a.body != want {
			t.Errorf("%d %s\nwant %s", a.status, a.body, want)
		}
		h := a.header
		if got := []string{h.Get("X-Gateway-Cache"), h.Get("X-Gateway-Attempts"), h.Get("X-Gateway-Cost-Usd"), h.Get("X-Gateway-Provider")}; !slices.Equal(got, []string{tc.cache, tc.attempts, tc.cost, "openai"}) {
			t.Errorf("headers = %v, want %+v", got, tc)
		}
	}
	a := r.do("POST", "/ai/embeddings", `{"model":"text-embedding-3-small","input":["eeeee"],"encoding_format":"base64"}`)
	if want := `"embedding":"AACgQM3MzD0="`; a.header.Get("X-Gateway-Cache") != "hit" || !strings.Contains(a.body, want) {
		t.Errorf("base64 from the cache: %s %s, want %s", a.header.Get("X-Gateway-Cache"), a.body, want)
	}
	recs := r.records("ana")
	if len(recs) != 4 {
		t.Errorf("%d records, want 4", len(recs))
	}
	r.account("ana")
}

func TestEmbeddingsOfWhatCanBe(t *testing.T) {
	r := inTwos(t)
	body := `{"model":"text-embedding-3-small","input":["a","bb","ccc","bad","","f"],"encoding_format":"float","gateway":{"partial":%t}}`
	a := r.do("POST", "/ai/embeddings", fmt.Sprintf(body, true))
	want := `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1,0.1]},{"object":"embedding","index":1,"embedding":[2,0.1]},{"object":"embedding","index":2,"embedding":[3,0.1]},` +
		`{"object":"embedding","index":3,"embedding":null,"error":{"message":"Invalid 'input[3]': too long.","type":"invalid_request_error","param":"input[3]","code":"too_long"}},` +
		`{"object":"embedding","index":4,"embedding":null,"error":{"message":"'input[4]' must not be empty.","type":"invalid_request_error","param":"input[4]","code":"invalid_request"}},` +
		`{"object":"embedding","index":5,"embedding":[1,0.1]}],"model":"small-v1","usage":{"prompt_tokens":4,"total_tokens":4}}`
	if a.status != 200 || a.body != want {
		t.Errorf("partial: %d %s\nwant %s", a.status, a.body, want)
	}
	a = r.do("POST", "/ai/embeddings", fmt.Sprintf(body, false))
	if _, _, param, _ := a.fail(t); a.status != 400 || param != "input[4]" {
		t.Errorf("an empty input: %d %s, want 400 for input[4]", a.status, a.body)
	}
	a = r.do("POST", "/ai/embeddings", `{"model":"text-embedding-3-small","input":["x","y","zz","bad"]}`)
	if message, _, param, code := a.fail(t); a.status != 400 || param != "input[3]" || code != "too_long" || message != "Invalid 'input[3]': too long." {
		t.Errorf("a refused input: %d %s, want 400 for input[3]", a.status, a.body)
	}
	r.account("ana")
}
