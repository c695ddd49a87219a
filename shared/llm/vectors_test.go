package llm_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
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
		"spaced":   {Raw: []byte(`{"data": [ {"embedding": [ 1.0 , -5e-1 ], "index": 0}, {"index":1,"embedding":[2.5E-1,20e-1]} ]}`)},
		"no index": {Raw: []byte(`{"data":[{"embedding":[1,-0.5]},{"embedding":[0.25,2]}]}`)},
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
		"half a list":     {Raw: []byte(`{"data":[{"index":0,"embedding":[1`)},
		"no data":         {Raw: []byte(`{}`)},
		"no list":         {Raw: []byte(`{"data":{}}`)},
		"null in a list":  {Raw: []byte(`{"data":[{"index":0,"embedding":[1,null]},{"index":1,"embedding":[1,2]}]}`)},
		"words in a list": {Raw: []byte(`{"data":[{"index":0,"embedding":[1,"2"]},{"index":1,"embedding":[1,2]}]}`)},
		"too large":       {Raw: []byte(`{"data":[{"index":0,"embedding":[1e39]},{"index":1,"embedding":[1]}]}`)},
		"NaN in base64":   {Raw: []byte(`{"data":[{"index":0,"embedding":"AADAfw=="},{"index":1,"embedding":"AACAPw=="}]}`)},
		"a list of lists": {Raw: []byte(`{"data":[[1],[2]]}`)},
	} {
		if got, err := e.Floats(2); err == nil {
			t.Errorf("%s: Floats = %v, want an error", name, got)
		}
	}
}

// TestFloatsAreExact compares with strconv, over the numbers that models send
// and over those that are hard to round.
func TestFloatsAreExact(t *testing.T) {
	texts := []string{"0", "-0", "-0.0", "1e-45", "1.1754944e-38", "3.4028234e38", "16777217", "16777217.0000000000000001", "0.1", "123456789012345678901234567890e-30",
		"9007199254740993", "5.000000000000000000000000000000000000000001e-1", "1e-22", "1e-23", "1.00000017881393432617187499", "1.00000017881393421514957253", "1.00000017881393432617187501"}
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		f := math.Float32frombits(r.Uint32())
		if f != f || math.IsInf(float64(f), 0) {
			continue
		}
		texts = append(texts, fmt.Sprint(f), fmt.Sprintf("%.9f", r.NormFloat64()/50), strconv.FormatFloat(r.NormFloat64(), 'g', -1, 64),
			strconv.FormatFloat((float64(f)+float64(math.Nextafter32(f, 0)))/2, 'g', -1, 64)) // halfway to the next one
	}
	var want []float32
	var list []string
	for _, text := range texts {
		f, err := strconv.ParseFloat(strings.Replace(text, "e+", "e", 1), 32)
		if err == nil {
			want, list = append(want, float32(f)), append(list, strings.Replace(text, "e+", "e", 1))
		}
	}
	e := llm.Embeddings{Raw: []byte(`{"data":[{"index":0,"embedding":[` + strings.Join(list, ",") + `]}]}`)}
	got, err := e.Floats(1)
	if err != nil || len(got[0]) != len(want) {
		t.Fatalf("Floats = %d numbers, %v, want %d", len(got), err, len(want))
	}
	for i, f := range got[0] {
		if math.Float32bits(f) != math.Float32bits(want[i]) {
			t.Fatalf("%s = %v, want %v", list[i], f, want[i])
		}
	}
}

func BenchmarkFloats(b *testing.B) {
	e := llm.Embeddings{Raw: []byte(`{"data":[{"index":0,"embedding":[` + strings.Repeat("-0.023064255,", 1535) + `0.015797101]}]}`)}
	b.SetBytes(int64(len(e.Raw)))
	for b.Loop() {
		if _, err := e.Floats(1); err != nil {
			b.Fatal(err)
		}
	}
}

// TestInputsAreReadWithoutWaste: a request may hold hundreds of thousands of
// token ids, and the place of each is of interest only if it is wrong.
func TestInputsAreReadWithoutWaste(t *testing.T) {
	ids := strings.TrimSuffix(strings.Repeat("12345,", 5000), ",")
	for name, input := range map[string]string{
		"one input":      "[" + ids + "]",
		"several":        "[[" + ids + "],[1],[2]]",
		"many texts":     "[" + strings.TrimSuffix(strings.Repeat(`"a",`, 2000), ",") + "]",
		"many, of a few": "[" + strings.TrimSuffix(strings.Repeat("[1,2,3],", 2000), ",") + "]",
	} {
		body := []byte(`{"model":"m","input":` + input + `}`)
		inputs := 0
		n := testing.AllocsPerRun(5, func() {
			r, err := llm.ParseEmbedRequest(body)
			if err != nil {
				t.Fatal(err)
			}
			inputs = len(r.Inputs) + len(r.Tokens)
		})
		if most := float64(100 + 4*inputs); n > most {
			t.Errorf("%s: %v allocations for %d inputs, want at most %v", name, n, inputs, most)
		}
	}
}
