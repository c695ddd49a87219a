package catalog

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEveryModelIsPlausible(t *testing.T) {
	var previous string
	n := 0
	for m := range All() {
		n++
		if m.Name() <= previous {
			t.Errorf("%s comes after %s: not sorted, or twice", m.Name(), previous)
		}
		previous = m.Name()
		if !slices.Contains(Providers, m.Provider) {
			t.Errorf("%s: unknown provider", m.Name())
		}
		if strings.HasPrefix(m.ID, m.Provider+"/") {
			t.Errorf("%s: the provider stands there twice", m.Name())
		}
		if !slices.Contains([]Mode{Chat, Responses, Embedding}, m.Mode) {
			t.Errorf("%s: mode %q", m.Name(), m.Mode)
		}
		if m.ContextWindow < 0 || m.MaxOutput < 0 || m.VectorSize < 0 {
			t.Errorf("%s: a negative size: %+v", m.Name(), m)
		}
		if (m.MaxOutput > 0) == (m.Mode == Embedding) {
			t.Errorf("%s: mode %s with max output %d", m.Name(), m.Mode, m.MaxOutput)
		}
		for _, c := range m.Capabilities {
			if !slices.Contains(Capabilities, c) {
				t.Errorf("%s: capability %q is not in the list", m.Name(), c)
			}
		}
		if m.Deprecated != "" {
			if _, err := time.Parse(time.DateOnly, m.Deprecated); err != nil {
				t.Errorf("%s: %v", m.Name(), err)
			}
		}
		checkPrice(t, m)
	}
	if n < 300 {
		t.Errorf("All yields %d models, want over 300", n)
	}
}

func checkPrice(t *testing.T, m Model) {
	t.Helper()
	p := m.Price
	for i, v := range []int64{p.Input, p.CachedInput, p.CacheWrite, p.CacheWrite1h, p.Output, p.Reasoning, p.BatchInput,
		p.BatchOutput, p.Above, p.InputAbove, p.CachedInputAbove, p.CacheWriteAbove, p.CacheWrite1hAbove, p.OutputAbove} {
		if v < 0 || v > 1e15 { // a dollar a token: surely the wrong unit
			t.Errorf("%s: price %d is %d", m.Name(), i, v)
		}
	}
	if p.Known() != (p != Price{}) {
		t.Errorf("%s: has a price, but neither for input nor for output", m.Name())
	}
	if (p.Output > 0) != (m.Mode != Embedding) && p.Known() {
		t.Errorf("%s: mode %s with output price %d", m.Name(), m.Mode, p.Output)
	}
	if p.CachedInput > p.Input || p.BatchInput > p.Input || p.BatchOutput > p.Output {
		t.Errorf("%s: a discount that costs more: %+v", m.Name(), p)
	}
	if p.CacheWrite > 0 && p.CacheWrite < p.Input || p.CacheWrite1h > 0 && p.CacheWrite1h < p.CacheWrite {
		t.Errorf("%s: a cache write that costs less: %+v", m.Name(), p)
	}
	if (p.Above > 0) != (p.InputAbove > 0) || (p.Above > 0) != (p.OutputAbove > 0) {
		t.Errorf("%s: half a tier: %+v", m.Name(), p)
	}
	if p.Above > 0 && (p.InputAbove < p.Input || p.OutputAbove < p.Output) {
		t.Errorf("%s: a tier that costs less: %+v", m.Name(), p)
	}
	// Prices that follow by proportion must come out even, or they would be
	// rounded before the cost is.
	for _, v := range []int64{p.CachedInput, p.CacheWrite, p.CacheWrite1h} {
		if p.Above > 0 && v*(p.InputAbove/1000)%(p.Input/1000) != 0 {
			t.Errorf("%s: %d·%d/%d is not whole", m.Name(), v, p.InputAbove, p.Input)
		}
	}
}

func TestLookup(t *testing.T) {
	got, ok := Lookup("openai", "gpt-4o-mini")
	want := Model{Provider: "openai", ID: "gpt-4o-mini", Mode: Chat, ContextWindow: 128_000, MaxOutput: 16_384,
		Price: Price{Input: 150_000_000, CachedInput: 75_000_000, Output: 600_000_000, BatchInput: 75_000_000, BatchOutput: 300_000_000},
		Capabilities: []string{"json_schema", "parallel_tools", "pdf", "prompt_caching", "system", "tool_choice",
			"tools", "vision"}}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("Lookup(openai, gpt-4o-mini) = ok %v, (-want +got)\n%s", ok, diff)
	}
	if !got.Can("vision") || got.Can("audio_in") {
		t.Errorf("Can(vision), Can(audio_in) = %v, %v, want true, false", got.Can("vision"), got.Can("audio_in"))
	}
}

func TestLookupOfNames(t *testing.T) {
	tests := []struct{ provider, id, want string }{
		{"openai", "gpt-4o", "gpt-4o"},
		{"openai", "gpt-4o-2024-05-13", "gpt-4o-2024-05-13"}, // listed: it has its own, dearer price
		{"openai", "gpt-4o-2030-01-02", "gpt-4o"},
		{"openai", "gpt-4o-latest", "gpt-4o"},
		{"openai", "gpt-5-chat-latest", "gpt-5-chat-latest"},
		{"anthropic", "claude-haiku-4-5-20991231", "claude-haiku-4-5"},
		{"bedrock", "anthropic.claude-3-haiku-20240307-v1:0", "anthropic.claude-3-haiku-20240307-v1:0"},
		{"bedrock", "us.anthropic.claude-opus-4-6-v1", "us.anthropic.claude-opus-4-6-v1"},
		{"bedrock", "eu.anthropic.claude-opus-4-6-v1", "us.anthropic.claude-opus-4-6-v1"},
		{"bedrock", "apac.amazon.titan-embed-text-v2:0", "amazon.titan-embed-text-v2:0"},
		{"gemini", "gemini-2.5-flash", "gemini-2.5-flash"},

		{"openai", "gpt-4o-2030-01-0", ""},
		{"openai", "gpt-4o-2030-01-02-2030-01-02", ""}, // one date only
		{"openai", "gpt-4o-2030/01/02", ""},
		{"openai", "gpt-4o-mini-preview", ""},
		{"openai", "gpt-4", "gpt-4"},
		{"openai", "gpt", ""},
		{"openai", "-latest", ""},
		{"openai", "-2030-01-02", ""},
		{"openai", "", ""},
		{"", "gpt-4o", ""},
		{"", "", ""},
		{"openai", "eu.gpt-4o", ""},
		{"bedrock", "eu.", ""},
		{"gemini", "gemini/gemini-2.5-flash", ""},
		{"openai", "gpt-4o\":{", ""},
		{"openai", "gpt-4o\n", ""},
		{"_meta", "", ""},
		{"openai/gpt-4o", "", ""},
		{"zzz", "zzz", ""},
		{"\x00", "\xff", ""},
	}
	for _, tt := range tests {
		for range 2 { // from the text, then from memory
			m, ok := Lookup(tt.provider, tt.id)
			if m.ID != tt.want || ok != (tt.want != "") {
				t.Errorf("Lookup(%q, %q) = %q, %v, want %q", tt.provider, tt.id, m.ID, ok, tt.want)
			}
		}
	}
}

func TestLookupFindsEveryLine(t *testing.T) {
	var file struct{ Models map[string]json.RawMessage }
	if err := json.Unmarshal([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	n := 0
	for range All() {
		n++
	}
	if n != len(file.Models) {
		t.Errorf("All yields %d models, want %d", n, len(file.Models))
	}
	for name, raw := range file.Models {
		if value, ok := line(name); !ok || value != string(raw) {
			t.Errorf("line(%q) = %q, %v, want %s", name, value, ok, raw)
		}
		for _, near := range []string{name + "0", name[:len(name)-1], "0" + name} {
			if _, ok := line(near); ok && file.Models[near] == nil {
				t.Errorf("line(%q) found something", near)
			}
		}
	}
}

func TestFindPrefersProvidersInOrder(t *testing.T) {
	tests := []struct{ name, want string }{
		{"gpt-4o-mini", "openai/gpt-4o-mini"},
		{"gpt-4o-mini-2031-12-31", "openai/gpt-4o-mini"},
		{"claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5-20250929"},
		{"gemini-2.5-pro", "gemini/gemini-2.5-pro"},
		{"amazon.nova-2-lite-v1:0", "bedrock/amazon.nova-2-lite-v1:0"},
		{"no-such-model", ""},
		{"", ""},
		{"openai/gpt-4o-mini", ""},
	}
	for _, tt := range tests {
		m, ok := Find(tt.name)
		if got := strings.TrimPrefix(m.Name(), "/"); got != tt.want || ok != (tt.want != "") {
			t.Errorf("Find(%q) = %q, %v, want %q", tt.name, got, ok, tt.want)
		}
	}
}

func TestAllStops(t *testing.T) {
	for range All() {
		break // would panic in the iterator if it went on
	}
}

func TestUnknownNamesAreNotKept(t *testing.T) {
	Lookup("openai", "gpt-4o")
	before := len(decoded.models)
	for _, id := range []string{"gpt-4o-2041-01-01", "gpt-4o-2041-01-02", "nonsense-1", "nonsense-2"} {
		Lookup("openai", id)
	}
	if len(decoded.models) != before {
		t.Errorf("%d models in memory, want %d as before", len(decoded.models), before)
	}
}

func TestLookupIsSafeForConcurrentUse(t *testing.T) {
	for range 4 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for m := range All() {
				if got, ok := Lookup(m.Provider, m.ID); !ok || got.Price != m.Price {
					t.Errorf("Lookup(%s) = %+v, %v", m.Name(), got.Price, ok)
				}
			}
		})
	}
}

func FuzzLookup(f *testing.F) {
	f.Add("openai", "gpt-4o")
	f.Add("_meta", `":`)
	f.Fuzz(func(t *testing.T, provider, id string) {
		if m, ok := Lookup(provider, id); ok && (m.Provider != provider || m.ID == "") {
			t.Errorf("Lookup(%q, %q) = %+v", provider, id, m)
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	b.Run("cold", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			clear(decoded.models)
			if _, ok := Lookup("openai", "gpt-4o-mini"); !ok {
				b.Fatal("not found")
			}
		}
	})
	b.Run("warm", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Lookup("openai", "gpt-4o-mini")
		}
	})
	b.Run("unknown", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Lookup("openai", "no-such-model")
		}
	})
}
