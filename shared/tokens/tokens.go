// Package tokens counts the tokens of texts and chat requests, as the families
// of models count them.
//
// There are two ways. An estimate takes one look at every byte, about a
// nanosecond each, and says how wrong it may be. Exact counting exists for
// OpenAI's two encodings, o200k and cl100k; the first use of one opens its
// vocabulary, which takes some 20 milliseconds of a whole core and 8 MB.
// Tally.Measure asks for exactness only where the length of a prompt does not
// prove whether it fits.
//
// Nothing is opened or computed at start.
package tokens

import (
	"math"
	"strconv"
	"strings"
)

// Family is a group of models that count alike.
type Family uint8

// The families. Estimates are off by at most the factor 1 + Error, and 12
// tokens, on texts of the kinds that the tests hold them against: English and
// other large languages, code, data. Small languages in Latin letters, and
// text that nobody wrote, can be further off.
const (
	O200k   Family = iota // OpenAI since GPT-4o: GPT-4.1, GPT-5, o1, o3, o4, gpt-oss
	CL100k                // GPT-4, GPT-3.5 and OpenAI's embedding models
	Claude3               // Claude 3 to Opus 4.6
	Claude                // Claude since Opus 4.7: a third more tokens than before
	Gemini                // Gemini and Gemma
	General               // everybody else

	families = iota
)

// traits are what is known of a family.
type traits struct {
	name  string
	exact func() *encoding // nil if there is none
	err   float64          // of estimates, see Family

	// What the format of chats adds to the texts; perTool where tools are not
	// read as JSON.
	perMessage, perAnswer, perTool int64
}

var table = [families]traits{
	O200k:   {"o200k", o200k, 0.35, 4, 3, 7},
	CL100k:  {"cl100k", cl100k, 0.45, 4, 3, 10},
	Claude3: {"claude3", nil, 0.35, 4, 3, 0},
	Claude:  {"claude", nil, 0.35, 4, 3, 0},
	Gemini:  {"gemini", nil, 0.35, 4, 3, 0},
	General: {"general", nil, 0.60, 5, 3, 0},
}

// slack is how many tokens an estimate may be off beside its relative error.
const slack = 12

// String is the family's name.
func (f Family) String() string { return table[f].name }

// Error is by which factor, less one, an estimate of the family may be off.
func (f Family) Error() float64 { return table[f].err }

// Counter counts as one family does. The zero Counter counts as O200k.
type Counter struct {
	Family Family
	sees   uint8 // how it counts images: of visions, from 1; 0: as the family
}

// For returns the Counter for a model, as the catalogue names providers and
// models. What is not known counts as General.
func For(provider, model string) Counter {
	name := strings.ToLower(model)
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		name = name[i+1:]
	}
	name = strings.TrimPrefix(name, "ft:")
	if i := strings.Index(name, "openai."); i >= 0 { // Bedrock's
		name = name[i+len("openai."):]
	}
	has := func(prefixes ...string) bool {
		for _, p := range prefixes {
			if strings.HasPrefix(name, p) {
				return true
			}
		}
		return false
	}
	switch {
	case strings.Contains(name, "claude") || provider == "anthropic":
		if major, minor := version(name); major > 0 && (major < 4 || major == 4 && minor < 7) {
			return Counter{Family: Claude3}
		}
		return Counter{Family: Claude}
	case strings.Contains(name, "gemini") || strings.Contains(name, "gemma") || provider == "gemini":
		return Counter{Family: Gemini}
	case name == "gpt-4", has("gpt-4-", "gpt-3.5", "gpt-35", "text-embedding-3", "text-embedding-ada"):
		return Counter{CL100k, sees(name)}
	case has("gpt-", "chatgpt-", "codex-", "o1", "o3", "o4"):
		return Counter{O200k, sees(name)}
	}
	return Counter{Family: General}
}

// version finds the version in a name of Claude: 3 and 5 in
// claude-3-5-sonnet-20241022, 4 and 0 in claude-opus-4-20250514.
func version(name string) (major, minor int) {
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '.' || r == '@' || r == ':' })
	number := func(i int, prefix string) int {
		if i >= len(parts) {
			return 0
		}
		n, err := strconv.Atoi(strings.TrimPrefix(parts[i], prefix))
		if err != nil || n > 99 {
			return 0
		}
		return n
	}
	for i := range parts {
		if major = number(i, "v"); major > 0 {
			return major, number(i+1, "")
		}
	}
	return 0, 0
}

// Exact says whether Count is exact.
func (c Counter) Exact() bool { return table[c.Family].exact != nil }

// Estimate is a number of tokens that is not known exactly: probably Tokens,
// and, as far as anybody knows, from Low to High.
type Estimate struct{ Tokens, Low, High int64 }

// Estimate estimates a text's tokens.
func (c Counter) Estimate(text string) Estimate {
	var s sum
	s.features.add(text)
	return s.estimate(c.Family)
}

// Count returns a text's tokens: exactly where Exact, else as estimated.
func (c Counter) Count(text string) int64 { return c.unending().Count(text) }

// sum adds up what is to be estimated, or counted.
type sum struct {
	features features
	bytes    int64 // of texts
	counted  int64 // tokens of texts that were counted
	fixed    int64 // tokens of the chat format, which are known
	media    Estimate
}

func (s *sum) estimate(f Family) Estimate {
	var text float64
	for i, n := range s.features {
		if n != 0 {
			text += float64(n) * float64(weights[i][f])
		}
	}
	known := s.fixed + s.counted
	e := Estimate{Tokens: known + s.media.Tokens + int64(math.Ceil(text)), Low: known + s.media.Low, High: known + s.media.High}
	if text > 0 {
		factor := 1 + table[f].err
		e.Low += max(1, int64(text/factor)-slack)
		e.High += int64(math.Ceil(text*factor)) + slack
	}
	return e
}

// longestToken is the length of the longest token of both encodings, in bytes.
const longestToken = 128

// proven bounds what is counted and the bytes that nobody has counted: a token
// has at least one, and at most as many as the longest one.
func (s *sum) proven() (low, high int64) {
	known := s.fixed + s.counted
	return known + s.media.Low + over(s.bytes, longestToken), known + s.media.High + s.bytes
}
