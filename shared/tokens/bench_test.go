package tokens

import (
	"strings"
	"testing"
)

func BenchmarkOpen(b *testing.B) {
	b.Run("o200k", func(b *testing.B) {
		for b.Loop() {
			open(o200kVocab, o200kPiece)
		}
	})
	b.Run("cl100k", func(b *testing.B) {
		for b.Loop() {
			open(cl100kVocab, cl100kPiece)
		}
	})
}

func BenchmarkCount(b *testing.B) {
	for name, text := range map[string]string{
		"English": strings.Repeat(samples["English"]+"\n", 100), "code": goSource(b, "net/http/transport.go"),
		"one letter": strings.Repeat("a", 1<<20), "spaces": strings.Repeat(" ", 1<<20), "emoji": strings.Repeat("😀", 1<<18), "marks": strings.Repeat("\u0301A", 1<<18),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				Counter{Family: O200k}.Count(text)
			}
		})
	}
}

func BenchmarkEstimate(b *testing.B) {
	for name, text := range map[string]string{"English": strings.Repeat(samples["English"]+"\n", 100), "code": goSource(b, "net/http/transport.go"), "Chinese": strings.Repeat(samples["Chinese"], 200)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				Counter{Family: O200k}.Estimate(text)
			}
		})
	}
}

func BenchmarkEstimateMessages(b *testing.B) {
	messages := []byte(`[{"role":"user","content":"` + strings.Repeat(`The quick brown fox said: \"jump\" over\nthe lazy dog. `, 900) + `"}]`)
	b.SetBytes(int64(len(messages)))
	b.ReportAllocs()
	for b.Loop() {
		Counter{Family: O200k}.EstimateMessages(messages)
	}
}

func BenchmarkRoughMessages(b *testing.B) {
	messages := []byte(`[{"role":"user","content":"` + strings.Repeat(`The quick brown fox said: \"jump\" over\nthe lazy dog. `, 900) + `"}]`)
	b.SetBytes(int64(len(messages)))
	b.ReportAllocs()
	for b.Loop() {
		Counter{Family: O200k}.RoughMessages(messages)
	}
}
