// Package catalog knows the models: what they cost, how much they can read and
// write, and what they can do.
//
// The data is models.json, embedded as text. Nothing is parsed at start: a
// lookup finds the model's line by binary search, decodes that line alone and
// keeps it, because a cold Lambda asks for one model of three hundred.
//
// The data comes from model_prices_and_context_window.json of BerriAI/litellm
// (MIT licence); "_meta" in models.json says which version.
package catalog

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
)

//go:generate go run ./generate

//go:embed models.json
var text string

// Model is what is known about one model of one provider.
type Model struct {
	Provider string `json:"-"` // openai, anthropic, gemini or bedrock
	ID       string `json:"-"` // in the provider's words; may contain "/" and ":"
	Mode     Mode   `json:"mode"`

	Price         Price `json:"price,omitzero"`
	ContextWindow int64 `json:"context_window,omitempty"` // the most tokens that the model reads and writes; 0 means unknown
	MaxInput      int64 `json:"max_input,omitempty"`      // the most tokens of input, whatever the output; 0 means that both share ContextWindow
	MaxOutput     int64 `json:"max_output,omitempty"`     // the most tokens of output; 0 means unknown, or an embedding
	VectorSize    int64 `json:"vector_size,omitempty"`    // of an embedding; 0 means unknown, or none

	Capabilities []string `json:"capabilities,omitempty"` // shared by all callers: not to be changed
	Deprecated   string   `json:"deprecated,omitempty"`   // the day on which the provider ends it, as 2006-01-02
}

// Mode is what a Model is asked through.
type Mode string

// The modes.
const (
	Chat      Mode = "chat"
	Responses Mode = "responses" // OpenAI models that answer on /v1/responses only
	Embedding Mode = "embedding"
)

// Providers lists the catalogue's providers in the order in which Find
// prefers them.
var Providers = []string{"openai", "anthropic", "gemini", "bedrock"}

// Capabilities lists every name that may stand in Model.Capabilities.
var Capabilities = []string{"audio_in", "json_schema", "parallel_tools", "pdf", "prompt_caching", "reasoning", "system",
	"tool_choice", "tools", "vision", "web_search"}

// Can reports whether the model has a capability.
func (m Model) Can(capability string) bool { return slices.Contains(m.Capabilities, capability) }

// Name is the model's public name, provider/id.
func (m Model) Name() string { return m.Provider + "/" + m.ID }

// Lookup returns the model that a provider calls id.
//
// A dated or floating name that is not listed stands for the model without the
// suffix: one "-2006-01-02", "-20060102" or "-latest" is taken off, so that
// gpt-4o-mini-2030-01-01 costs what gpt-4o-mini does. The Model then has the
// listed ID; the provider must still be asked for the name that was given.
//
// Likewise a Bedrock inference profile of a geography that is not listed
// (eu., apac., …) stands for that of the US, or else for the model alone.
func Lookup(provider, id string) (Model, bool) {
	if m, ok := lookup(provider, id); ok {
		return m, true
	}
	if base := undated(id); base != "" {
		return lookup(provider, base)
	}
	if geo, rest, _ := strings.Cut(id, "."); provider == "bedrock" && slices.Contains(geographies, geo) {
		if m, ok := lookup(provider, "us."+rest); ok {
			return m, true
		}
		return lookup(provider, rest)
	}
	return Model{}, false
}

var geographies = []string{"apac", "au", "ca", "eu", "global", "jp", "us", "us-gov"}

// Find returns the model of an unprefixed name, as Lookup does, from the first
// of Providers that lists it. A provider that lists the very name comes before
// one that lists it without its date.
func Find(name string) (Model, bool) {
	for _, id := range []string{name, undated(name)} {
		if id == "" {
			continue
		}
		for _, p := range Providers {
			if m, ok := lookup(p, id); ok {
				return m, true
			}
		}
	}
	return Model{}, false
}

// All yields every model, sorted by Name.
func All() iter.Seq[Model] {
	return func(yield func(Model) bool) {
		for rest := text[first():]; rest != ""; {
			name, _, ok := entry(rest)
			if !ok {
				return
			}
			provider, id, _ := strings.Cut(name, "/")
			m, _ := lookup(provider, id)
			if !yield(m) {
				return
			}
			_, rest, _ = strings.Cut(rest, "\n")
		}
	}
}

// undated takes one date or "-latest" off a name; "" means that it has none.
func undated(name string) string {
	if base, ok := strings.CutSuffix(name, "-latest"); ok {
		return base
	}
	for _, form := range []string{"-0000-00-00", "-00000000"} {
		cut := len(name) - len(form)
		if cut > 0 && digitsLike(name[cut:], form) {
			return name[:cut]
		}
	}
	return ""
}

// digitsLike reports whether s is form with any digits for its zeros. The
// strings are equally long.
func digitsLike(s, form string) bool {
	for i := range len(s) {
		digit := '0' <= s[i] && s[i] <= '9'
		if digit != (form[i] == '0') || !digit && s[i] != form[i] {
			return false
		}
	}
	return true
}

type name struct{ provider, id string }

var decoded = struct {
	sync.RWMutex
	models map[name]Model // only names that are listed: clients cannot make it grow
}{models: map[name]Model{}}

func lookup(provider, id string) (Model, bool) {
	decoded.RLock()
	m, ok := decoded.models[name{provider, id}]
	decoded.RUnlock()
	if ok {
		return m, true
	}
	return decode(provider, id)
}

func decode(provider, id string) (m Model, ok bool) {
	value, ok := line(provider + "/" + id)
	if !ok {
		return Model{}, false
	}
	// The text is ours and a test decodes all of it: it cannot fail here.
	if err := json.Unmarshal([]byte(value), &m); err != nil {
		panic(fmt.Sprintf("catalog: models.json: %s/%s: %v", provider, id, err))
	}
	m.Provider, m.ID = strings.Clone(provider), strings.Clone(id) // not the client's whole request
	decoded.Lock()
	decoded.models[name{m.Provider, m.ID}] = m
	decoded.Unlock()
	return m, true
}

// line finds the JSON value of a name by binary search: the models are one a
// line and sorted.
func line(want string) (value string, ok bool) {
	lo, hi := first(), len(text)
	for lo < hi {
		mid := lo + strings.LastIndexByte(text[lo:lo+(hi-lo)/2], '\n') + 1 // the start of the line in the middle
		got, value, ok := entry(text[mid:hi])
		if !ok { // the closing brackets, which come last
			hi = mid
			continue
		}
		switch c := strings.Compare(want, got); {
		case c == 0:
			return value, true
		case c < 0:
			hi = mid
		default:
			next := strings.IndexByte(text[mid:hi], '\n')
			if next < 0 {
				return "", false
			}
			lo = mid + next + 1
		}
	}
	return "", false
}

// first is where the first model's line starts.
func first() int {
	const before = "\n\"models\":{\n"
	return strings.Index(text, before) + len(before)
}

// entry splits the line at the start of s into name and value.
func entry(s string) (name, value string, ok bool) {
	s, _, _ = strings.Cut(s, "\n")
	name, value, ok = strings.Cut(strings.TrimSuffix(s, ","), `":`)
	if !ok || name == "" || name[0] != '"' {
		return "", "", false
	}
	return name[1:], value, true
}
