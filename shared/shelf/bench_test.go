package shelf

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/devmentor/ai-gateway/shared/rag"
)

// writer makes texts whose words follow Zipf's law.
type writer struct {
	zipf *rand.Zipf
}

func newWriter(seed uint64) *writer {
	return &writer{rand.NewZipf(rand.New(rand.NewPCG(seed, 2)), 1.1, 5, 200_000)}
}

func (w *writer) words(n int) string {
	var b strings.Builder
	for range n {
		fmt.Fprintf(&b, "t%d ", w.zipf.Uint64())
	}
	return b.String()
}

// BenchmarkIngest stores documents of one passage each, from eight clients.
func BenchmarkIngest(b *testing.B) {
	s := New(b.TempDir())
	defer s.Close()
	var n atomic.Int64
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		w := newWriter(uint64(n.Add(1)))
		for pb.Next() {
			d := rag.Document{Key: key(fmt.Sprint("d", n.Add(1))), Kind: rag.Text, Text: w.words(150)}
			if _, _, err := s.Put(b.Context(), tenant, d); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "passages/s")
}

// BenchmarkIngestLong stores documents of about a hundred passages, one after
// the other.
func BenchmarkIngestLong(b *testing.B) {
	s := New(b.TempDir())
	defer s.Close()
	w := newWriter(1)
	passages := 0
	for i := range b.N {
		d, _, err := s.Put(b.Context(), tenant, rag.Document{Key: key(fmt.Sprint("d", i)), Kind: rag.Text, Text: w.words(30_000)})
		if err != nil {
			b.Fatal(err)
		}
		passages += d.Passages
	}
	b.ReportMetric(float64(passages)/b.Elapsed().Seconds(), "passages/s")
}

// BenchmarkDense asks passages with vectors questions of six words. The vectors
// lie around 500 topics.
func BenchmarkDense(b *testing.B) {
	for _, c := range []struct{ passages, dimensions int }{{10_000, 384}, {100_000, 384}, {100_000, 1536}} {
		b.Run(fmt.Sprintf("%dx%d", c.passages, c.dimensions), func(b *testing.B) { benchmarkDense(b, c.passages, c.dimensions) })
	}
}

func benchmarkDense(b *testing.B, passages, dimensions int) {
	s := New(b.TempDir())
	defer s.Close()
	w, rnd := newWriter(1), rand.New(rand.NewPCG(1, 2))
	near := func(centre []float32) []float32 {
		v := make([]float32, dimensions)
		for i := range v {
			v[i] = float32(rnd.NormFloat64())
			if centre != nil {
				v[i] += centre[i]
			}
		}
		return v
	}
	var topics [500][]float32
	for i := range topics {
		topics[i] = near(nil)
	}
	embed := func(_ context.Context, texts []string) (list [][]float32, _ error) {
		for range texts {
			list = append(list, near(topics[rnd.IntN(len(topics))]))
		}
		return list, nil
	}
	for i, n := 0, 0; n < passages; i++ {
		d, _, err := s.Put(b.Context(), tenant, rag.Document{Key: key(fmt.Sprint("d", i)), Kind: rag.Text, Text: w.words(30_000), Embedding: "m", Embed: embed})
		if err != nil {
			b.Fatal(err)
		}
		n += d.Passages
	}
	q := rag.Query{Collection: "docs", Limit: 10, Embedding: "m", Embed: embed}
	for b.Loop() {
		q.Text = w.words(6)
		if _, err := s.Search(b.Context(), tenant, q); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSearch asks 100,000 passages questions of six words. The first
// question also loads the collection from its file.
func BenchmarkSearch(b *testing.B) {
	dir := b.TempDir()
	s := New(dir)
	w := newWriter(1)
	for i, passages := 0, 0; passages < 100_000; i++ {
		d, _, err := s.Put(b.Context(), tenant, rag.Document{Key: key(fmt.Sprint("d", i)), Kind: rag.Text, Text: w.words(30_000)})
		if err != nil {
			b.Fatal(err)
		}
		passages += d.Passages
	}
	s.Close()
	s = New(dir)
	defer s.Close()
	search := func() {
		if _, err := s.Search(b.Context(), tenant, rag.Query{Collection: "docs", Text: w.words(6), Limit: 10}); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("load", func(b *testing.B) {
		for range b.N {
			s.Close()
			s = New(dir)
			search()
		}
	})
	b.Run("search", func(b *testing.B) {
		for b.Loop() {
			search()
		}
	})
}
