package api_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
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
		`{"model":"text-embedding-3-small"}`:                                     "input",
		`{"model":"text-embedding-3-small","input":""}`:                          "input",
		`{"model":"text-embedding-3-small","input":[]}`:                          "input",
		`{"model":"text-embedding-3-small","input":["a",1]}`:                     "input[1]",
		`{"model":"text-embedding-3-small","input":[[1,"a"]]}`:                   "input[0][1]",
		`{"model":"text-embedding-3-small","input":"a","dimensions":0}`:          "dimensions",
		`{"model":"text-embedding-3-small","input":"a","encoding_format":"hex"}`: "encoding_format",
		`{"model":"gpt-4o-mini","input":"a"}`:                                    "model",
	} {
		a := r.do("POST", "/ai/embeddings", body)
		if _, _, p, _ := a.fail(t); a.status != 400 || p != param {
			t.Errorf("%s: %d param %q, want 400 %q", body, a.status, p, param)
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
