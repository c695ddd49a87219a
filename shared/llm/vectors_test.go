package llm_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/llm"
)

func TestFloats(t *testing.T) {
	want := [][]float32{{1, -0.5}, {0.25, 2}}
	for name, e := range map[string]llm.Embeddings{
		"parsed":   {Vectors: want},
		"numbers":  {Raw: []byte(`{"data":[{"index":1,"embedding":[0.25,2]},{"index":0,"embedding":[1,-0.5]}]}`)},
		"base64":   {Raw: []byte(`{"data":[{"index":0,"embedding":"AACAPwAAAL8="},{"index":1,"embedding":"AACAPgAAAEA="}]}`)},
		"a medley": {Raw: []byte(`{"data":[{"index":0,"embedding":"AACAPwAAAL8="},{"index":1,"embedding":[0.25,2]}]}`)},
	} {
		got, err := e.Floats(2)
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s: Floats = %v, %v, want %v", name, got, err, want)
		}
	}
	for name, e := range map[string]llm.Embeddings{
		"too few":         {Vectors: want[:1]},
		"one is missing":  {Raw: []byte(`{"data":[{"index":0,"embedding":[1]}]}`)},
		"a foreign index": {Raw: []byte(`{"data":[{"index":0,"embedding":[1]},{"index":2,"embedding":[1]}]}`)},
		"uneven":          {Vectors: [][]float32{{1}, {1, 2}}},
		"bad base64":      {Raw: []byte(`{"data":[{"index":0,"embedding":"AAA"},{"index":1,"embedding":"AACAPw=="}]}`)},
		"half a float":    {Raw: []byte(`{"data":[{"index":0,"embedding":"AAA="},{"index":1,"embedding":"AACAPw=="}]}`)},
		"no vectors":      {Raw: []byte(`{"data":[{"index":0,"embedding":null},{"index":1,"embedding":null}]}`)},
		"no JSON":         {Raw: []byte(`{`)},
	} {
		if got, err := e.Floats(2); err == nil {
			t.Errorf("%s: Floats = %v, want an error", name, got)
		}
	}
}
