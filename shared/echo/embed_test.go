package echo_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/echo"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
)

func parse(body string) (*llm.Request, error) { return llm.ParseRequest([]byte(body)) }

func textOf(t *testing.T, req *llm.Request) (string, error) {
	a, err := llm.Collect(t.Context(), &echo.Provider{}, req)
	if err != nil {
		return "", err
	}
	return a.Choices[0].Text.String(), nil
}

func embed(t *testing.T, body string) *llm.Embeddings {
	t.Helper()
	req, err := llm.ParseEmbedRequest([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	e, err := (&echo.Provider{}).Embed(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func dot(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

func TestEmbed(t *testing.T) {
	for _, tc := range []struct {
		name, body      string
		dim, vectors    int
		input           int64
		sameAsTheSecond bool
	}{
		{"two texts", `{"model":"echo","input":["hello world","good-bye"]}`, 256, 2, 3, false},
		{"dimensions", `{"model":"echo","input":["a","b"],"dimensions":3}`, 3, 2, 2, false},
		{"case and signs do not count", `{"model":"echo","input":["Hello, World!","hello world"]}`, 256, 2, 4, true},
		{"only signs", `{"model":"echo","input":["!!","??"]}`, 256, 2, 2, false},
		{"one dimension", `{"model":"echo","input":["hello","world"],"dimensions":1}`, 1, 2, 2, false},
		{"token ids", `{"model":"echo","input":[[1,2,3],[3,2,1]]}`, 256, 2, 6, false},
		{"a word twice", `{"model":"echo","input":["x","x x"]}`, 256, 2, 3, true},
	} {
		e := embed(t, tc.body)
		if len(e.Vectors) != tc.vectors || e.Usage.Input != tc.input || e.Model != "echo" || e.Raw != nil {
			t.Errorf("%s: %d vectors, %d tokens, model %q", tc.name, len(e.Vectors), e.Usage.Input, e.Model)
			continue
		}
		for i, v := range e.Vectors {
			if len(v) != tc.dim || math.Abs(dot(v, v)-1) > 1e-5 {
				t.Errorf("%s: vector %d has %d dimensions and the squared length %v", tc.name, i, len(v), dot(v, v))
			}
		}
		if same := dot(e.Vectors[0], e.Vectors[1]) > 1-1e-6; same != tc.sameAsTheSecond && tc.dim > 3 {
			t.Errorf("%s: both are the same: %v", tc.name, same)
		}
	}
}

// TestTextsThatCancelOut: in one dimension, the parts of some texts add up to
// nothing, which has no direction.
func TestTextsThatCancelOut(t *testing.T) {
	req := &llm.EmbedRequest{Model: "echo", Dimensions: 1}
	for a := 'a'; a <= 'z'; a++ {
		for b := 'a'; b <= 'z'; b++ {
			req.Inputs = append(req.Inputs, string(a)+" "+string(b))
		}
	}
	e, err := (&echo.Provider{}).Embed(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range e.Vectors {
		if v[0] != 1 && v[0] != -1 {
			t.Errorf("vector of %q = %v, want 1 or -1", req.Inputs[i], v)
		}
	}
}

// TestVectorsAreStable: stored vectors must stay comparable with new ones.
func TestVectorsAreStable(t *testing.T) {
	got := embed(t, `{"model":"echo","input":"hello","dimensions":6}`).Vectors[0]
	want := []float32{0.37796447, 0, -0.37796447, 0, -0.75592893, -0.37796447}
	if !cmp.Equal(got, want) {
		t.Errorf("vector of \"hello\" = %v, want %v", got, want)
	}
}

// TestNeighbours: texts that share words or stems are nearer to each other than
// to any other text.
func TestNeighbours(t *testing.T) {
	v := embed(t, `{"model":"echo","input":[
		"How do I close a channel in Go?", "Closing channels twice panics in Go.",
		"Bake the bread at 220 degrees for half an hour.", "bread baking temperature in degrees",
		"func parseRequest(body []byte) (*Request, error)", "parse_request returns a Request or an error",
		"Die Katze schläft auf dem Sofa.", "Katzen schlafen gern auf Sofas"]}`).Vectors
	for i := range v {
		best, at := -1.0, -1
		for j := range v {
			if d := dot(v[i], v[j]); j != i && d > best {
				best, at = d, j
			}
		}
		if at != i^1 {
			t.Errorf("text %d is nearest to text %d (%.2f), want %d (%.2f)", i, at, best, i^1, dot(v[i], v[i^1]))
		}
	}
}

func TestEmbedRefuses(t *testing.T) {
	req, err := llm.ParseEmbedRequest([]byte(`{"model":"echo","input":["a"],"dimensions":5000}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&echo.Provider{}).Embed(t.Context(), req); fault.As(err).Param != "dimensions" {
		t.Errorf("5,000 dimensions: %v", err)
	}
	req.Dimensions = 2
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&echo.Provider{}).Embed(ctx, req); !errors.Is(err, fault.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
