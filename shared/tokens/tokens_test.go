package tokens

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/rawjson"
)

func TestFor(t *testing.T) {
	for _, tc := range []struct {
		provider, model string
		want            Family
	}{
		{"openai", "gpt-4o-mini", O200k},
		{"openai", "gpt-4.1-nano-2025-04-14", O200k},
		{"openai", "gpt-4.5-preview", O200k},
		{"openai", "gpt-5.2", O200k},
		{"openai", "gpt-6", O200k},
		{"openai", "o1", O200k},
		{"openai", "o3-mini", O200k},
		{"openai", "o4-mini", O200k},
		{"openai", "chatgpt-4o-latest", O200k},
		{"openai", "ft:gpt-4o-2024-08-06:team::id", O200k},
		{"bedrock", "openai.gpt-oss-120b-1:0", O200k},
		{"ollama", "openai/gpt-oss-20b", O200k},
		{"openai", "gpt-4", CL100k},
		{"openai", "gpt-4-turbo-2024-04-09", CL100k},
		{"openai", "gpt-3.5-turbo", CL100k},
		{"azure", "gpt-35-turbo", CL100k},
		{"openai", "ft:gpt-3.5-turbo-0125:team::id", CL100k},
		{"openai", "text-embedding-3-small", CL100k},
		{"openai", "text-embedding-ada-002", CL100k},
		{"anthropic", "claude-3-5-sonnet-20241022", Claude3},
		{"anthropic", "claude-sonnet-4-20250514", Claude3},
		{"anthropic", "claude-opus-4-6", Claude3},
		{"bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", Claude3},
		{"bedrock", "anthropic.claude-v2:1", Claude3},
		{"anthropic", "claude-opus-4-7", Claude},
		{"anthropic", "claude-sonnet-5", Claude},
		{"anthropic", "claude-opus-5-20260601", Claude},
		{"anthropic", "something-new", Claude},
		{"openrouter", "anthropic/claude-3-haiku", Claude3},
		{"gemini", "gemini-2.5-flash", Gemini},
		{"openrouter", "google/gemma-3-27b-it", Gemini},
		{"bedrock", "meta.llama3-1-8b-instruct-v1:0", General},
		{"bedrock", "amazon.nova-lite-v1:0", General},
		{"openai", "llama3.2", General},
		{"echo", "echo", General},
	} {
		if got := For(tc.provider, tc.model).Family; got != tc.want {
			t.Errorf("For(%q, %q) = %v, want %v", tc.provider, tc.model, got, tc.want)
		}
	}
}

// measured are the counts of samples by tokenizers that are no part of the
// product; weights.go says which.
var measured = map[string]map[Family]int64{
	"Arabic":   {Claude3: 179, Claude: 179, Gemini: 89, General: 152},
	"CSV":      {Claude3: 175, Claude: 201, Gemini: 240, General: 206},
	"Chinese":  {Claude3: 158, Claude: 157, Gemini: 100, General: 139},
	"English":  {Claude3: 206, Claude: 292, Gemini: 200, General: 204},
	"French":   {Claude3: 169, Claude: 224, Gemini: 123, General: 160},
	"German":   {Claude3: 192, Claude: 279, Gemini: 114, General: 168},
	"HTML":     {Claude3: 257, Claude: 312, Gemini: 229, General: 256},
	"Hindi":    {Claude3: 180, Claude: 180, Gemini: 101, General: 199},
	"JSON":     {Claude3: 305, Claude: 365, Gemini: 323, General: 308},
	"Japanese": {Claude3: 164, Claude: 163, Gemini: 82, General: 148},
	"Korean":   {Claude3: 189, Claude: 188, Gemini: 116, General: 149},
	"Markdown": {Claude3: 218, Claude: 287, Gemini: 222, General: 216},
	"Python":   {Claude3: 327, Claude: 429, Gemini: 310, General: 303},
	"Russian":  {Claude3: 166, Claude: 166, Gemini: 93, General: 141},
	"SQL":      {Claude3: 203, Claude: 310, Gemini: 199, General: 188},
	"Spanish":  {Claude3: 142, Claude: 202, Gemini: 106, General: 140},
	"chat":     {Claude3: 177, Claude: 243, Gemini: 176, General: 174},
	"emoji":    {Claude3: 136, Claude: 157, Gemini: 73, General: 120},
	"log":      {Claude3: 269, Claude: 329, Gemini: 340, General: 299},
}

// TestEstimatesAreWithinTheirBounds holds estimates of texts against the exact
// counts, and against what other tokenizers counted.
func TestEstimatesAreWithinTheirBounds(t *testing.T) {
	check := func(name, text string, f Family, want int64) {
		t.Helper()
		e := Counter{Family: f}.Estimate(text)
		if want < e.Low || want > e.High {
			t.Errorf("%s: %v estimates %+v, the truth is %d", name, f, e, want)
		}
		t.Logf("%-8s %-8v %5d, estimated %5d (%+.0f %%)", name, f, want, e.Tokens, 100*(float64(e.Tokens)/float64(want)-1))
	}
	for _, name := range slices.Sorted(maps.Keys(samples)) {
		for _, f := range []Family{O200k, CL100k} {
			check(name, samples[name], f, Counter{Family: f}.Count(samples[name]))
		}
		for f, want := range measured[name] {
			check(name, samples[name], f, want)
		}
	}
	for _, file := range []string{"net/http/transport.go", "go/parser/parser.go", "encoding/json/decode.go", "cmd/go/alldocs.go"} {
		text := goSource(t, file)
		for _, f := range []Family{O200k, CL100k} {
			check(file, text, f, Counter{Family: f}.Count(text))
		}
	}
}

// TestEstimatesAreRightOnAverage: the bounds are for single texts; over all of
// them no family may be far off in one direction.
func TestEstimatesAreRightOnAverage(t *testing.T) {
	for f := range General {
		var sum float64
		for name, text := range samples {
			want := measured[name][f]
			if f == O200k || f == CL100k {
				want = Counter{Family: f}.Count(text)
			}
			sum += float64(Counter{Family: f}.Estimate(text).Tokens)/float64(want) - 1
		}
		if mean := sum / float64(len(samples)); mean < -0.06 || mean > 0.06 {
			t.Errorf("estimates of %v are off by %+.1f %% on average", f, 100*mean)
		}
	}
}

// hard are texts that estimates are far off for.
func hard() map[string]string {
	r := rand.New(rand.NewPCG(1, 2))
	letters := make([]byte, 16_000)
	for i := range letters {
		letters[i] = "ACGT"[r.IntN(4)]
	}
	data := make([]byte, 6000)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return map[string]string{
		"newlines": "Fix:\n" + strings.Repeat("line\n"+strings.Repeat("\n", 40), 250),
		"DNA":      string(letters), "boxes": strings.Repeat("▁▂▃▅▂▇█▓▒░─│┌┐└┘├┤", 200),
		"Amharic": strings.Repeat("ከተማው አዲስ የፓርክ ልማት እቅድ አስታወቀ።", 60), "formal Russian": strings.Repeat("Городские власти объявили о новом плане развития общественных парков. ", 840),
		"base64": base64.StdEncoding.EncodeToString(data), "spaces": strings.Repeat("a"+strings.Repeat(" ", 200), 100), "emoji": strings.Repeat("😀", 2000),
		"family": strings.Repeat("👨‍👩‍👧‍👦 🇩🇪 ❤️🔥", 200), "one letter": strings.Repeat("a", 9000), "rule": strings.Repeat("-", 5000), "nothing": "",
	}
}

// measure measures messages that are one array.
func measure(t *testing.T, c Counter, limit int64, messages []byte) Estimate {
	t.Helper()
	var list []json.RawMessage
	if err := json.Unmarshal(messages, &list); err != nil {
		t.Fatal(err)
	}
	tally := c.Tally(t.Context())
	m := tally.Measure(limit, list)
	if tally.Err() != nil {
		t.Fatal(tally.Err())
	}
	return m.Estimate
}

// TestMeasuresAreExactWhereItMatters: of any text, on both sides of the limit
// that decides.
func TestMeasuresAreExactWhereItMatters(t *testing.T) {
	texts := hard()
	maps.Copy(texts, samples)
	for name, text := range texts {
		messages := []byte(`[{"role":"user","content":` + quoted(text) + `}]`)
		for _, c := range []Counter{For("openai", "gpt-4o"), For("openai", "gpt-4")} {
			n := c.CountMessages(messages)
			for _, limit := range []int64{0, n / 3, n - 1, n, n + 1, 2 * n, 100 * n, 1 << 20} {
				e := measure(t, c, limit, messages)
				if e.Low > n || e.High < n || (e.Tokens <= limit) != (n <= limit) || (e.Low > limit) != (n > limit) || (e.High <= limit) != (n <= limit) {
					t.Errorf("%s: %v measures %+v against %d, want an answer for %d tokens", name, c.Family, e, limit, n)
				}
			}
		}
	}
	claude := For("anthropic", "claude-opus-4-7")
	hello := []byte(`[{"role":"user","content":"Hello!"}]`)
	if e := measure(t, claude, 10, hello); claude.Exact() || e != claude.EstimateMessages(hello) || e.Tokens != claude.CountMessages(hello) {
		t.Errorf("without a tokenizer the measure is %+v, want the estimate", e)
	}
}

// TestShortPromptsAreNotCounted: what is far from the limit costs no more than
// an estimate.
func TestShortPromptsAreNotCounted(t *testing.T) {
	c := For("openai", "gpt-4o")
	messages := []byte(`[{"role":"user","content":` + quoted(samples["English"]) + `}]`)
	for _, tc := range []struct {
		limit   int64
		counted bool
	}{{int64(len(samples["English"])) + 10, false}, {100, true}, {5, false}} {
		if e := measure(t, c, tc.limit, messages); (e.Low == e.High) != tc.counted {
			t.Errorf("measured against %d: %+v, want a count: %v", tc.limit, e, tc.counted)
		}
	}
}

func TestTheLongestTokenIsKnown(t *testing.T) {
	for _, e := range []*encoding{o200k(), cl100k()} {
		if e.longest > longestToken {
			t.Errorf("a token has %d bytes, want at most %d", e.longest, longestToken)
		}
	}
}

func quoted(text string) string { return string(rawjson.AppendString(nil, text)) }

func TestNothingHasNoTokens(t *testing.T) {
	for f := range Family(families) {
		if e := (Counter{Family: f}).Estimate(""); e != (Estimate{}) {
			t.Errorf("%v: Estimate of nothing = %+v, want zeros", f, e)
		}
	}
}

// TestMessagesCountAsOpenAIBillsThem: the figures are what the rules of OpenAI's
// cookbook give with its tokenizer: three tokens a message and one for its
// role, one for a name, three for the answer.
func TestMessagesCountAsOpenAIBillsThem(t *testing.T) {
	c := For("openai", "gpt-4o")
	for _, tc := range []struct {
		name, messages string
		want           int64
	}{
		{"hello", `[{"role":"user","content":"Hello!"}]`, 3 + 4 + 2},
		{"two", `[{"role":"system","content":"Be brief."},{"role":"user","content":"What is the capital of France?"}]`, 3 + 4 + 3 + 4 + 7},
		{"parts", `[{"role":"user","content":[{"type":"text","text":"Hello"},{"type":"text","text":"!"}]}]`, 3 + 4 + 2},
		{"escapes", `[{"role":"user","content":"\u0048ello\u0021"}]`, 3 + 4 + 2},
		{"image", `[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,` + strings.Repeat("A", 9000) + `"}}]}]`, 3 + 4 + 85 + 4*170},
		{"small image", `[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://example.com/a.png","detail":"low"}}]}]`, 3 + 4 + 85},
		{"call", `[{"role":"assistant","content":null,"tool_calls":[{"id":"call_abcdefghijkl","type":"function","function":{"name":"add","arguments":"{\"a\":1}"}}]},` +
			`{"role":"tool","tool_call_id":"call_abcdefghijkl","content":"2"}]`, 3 + 4 + 6 + 1 + 5 + 4 + 1},
		{"none", `[]`, 3},
	} {
		if got := c.CountMessages([]byte(tc.messages)); got != tc.want {
			t.Errorf("%s: CountMessages = %d, want %d", tc.name, got, tc.want)
		}
		if e := c.EstimateMessages([]byte(tc.messages)); tc.want < e.Low || tc.want > e.High {
			t.Errorf("%s: EstimateMessages = %+v, which %d is outside of", tc.name, e, tc.want)
		}
	}
	tools := []byte(`[{"type":"function","function":{"name":"add"}}]`)
	hello := []byte(`[{"role":"user","content":"Hello!"}]`)
	if got, want := c.CountMessages(hello, tools, nil), 9+12+7+c.Count("add:"); got != want {
		t.Errorf("CountMessages with tools = %d, want %d", got, want)
	}
}

// TestMessagesCountAsTheCookbookSays: OpenAI has published what it billed for
// these two prompts.
func TestMessagesCountAsTheCookbookSays(t *testing.T) {
	names := []byte(`[{"role":"system","content":"You are a helpful, pattern-following assistant that translates corporate jargon into plain English."},` +
		`{"role":"system","name":"example_user","content":"New synergies will help drive top-line growth."},` +
		`{"role":"system","name":"example_assistant","content":"Things working well together will increase revenue."},` +
		`{"role":"system","name":"example_user","content":"Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."},` +
		`{"role":"system","name":"example_assistant","content":"Let's talk later when we're less busy about how to do better."},` +
		`{"role":"user","content":"This late pivot means we don't have time to boil the ocean for the client deliverable."}]`)
	weather := []byte(`[{"role":"system","content":"You are a helpful assistant that can answer to questions about the weather."},{"role":"user","content":"What's the weather like in San Francisco?"}]`)
	function := `{"name":"get_current_weather","description":"Get the current weather in a given location","parameters":{"type":"object","properties":{"location":{"type":"string","description":"The city and state, e.g. San Francisco, CA"},"unit":{"type":"string","description":"The unit of temperature to return","enum":["celsius","fahrenheit"]}},"required":["location"]}}`
	for _, tc := range []struct {
		model        string
		names, tools int64
	}{{"gpt-4", 129, 105}, {"gpt-3.5-turbo", 129, 105}, {"gpt-4o", 124, 101}, {"gpt-4o-mini", 124, 101}} {
		c := For("openai", tc.model)
		if got := c.CountMessages(names); got != tc.names {
			t.Errorf("%s: names: CountMessages = %d, want %d", tc.model, got, tc.names)
		}
		for form, tools := range map[string]string{"tools": `[{"type":"function","function":` + function + `}]`, "functions": `[` + function + `]`} {
			if got := c.CountMessages(weather, []byte(tools)); got != tc.tools {
				t.Errorf("%s: %s: CountMessages = %d, want %d", tc.model, form, got, tc.tools)
			}
		}
	}
}

// TestToolsOfAnyShapeAreCounted: what the cookbook does not know counts as JSON,
// and nothing is overlooked.
func TestToolsOfAnyShapeAreCounted(t *testing.T) {
	long := strings.Repeat("many words of it ", 50)
	c := For("openai", "gpt-4o")
	for _, tools := range []string{
		`[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"object","properties":{"b":{"description":"LONG"}}}}}}}]`,
		`[{"type":"function","function":{"name":"f","parameters":{"type":"object","$defs":{"x":{"description":"LONG"}}}}}]`,
		`[{"type":"function","function":{"name":"f","parameters":{"properties":{"a":{"type":["string","null"],"description":"LONG"}}}}}]`,
		`[{"type":"function","function":{"name":"f","parameters":{"properties":{"a":{"items":{"enum":["LONG"]}}}}}}]`,
		`[{"type":"function","function":{"name":"f","parameters":{"properties":{"a":"LONG"}}}}]`,
		`[{"type":"function","function":{"name":"f","parameters":{"properties":["LONG"]}}}]`,
		`[{"type":"function","function":{"name":"f","description":"LONG"}}]`, `[{"type":"custom","custom":{"name":"g","description":"LONG"}}]`,
		`[{"type":"function","function":"LONG"}]`, `["LONG"]`, `{"type":"json_schema","json_schema":{"schema":{"description":"LONG"}}}`,
	} {
		more := []byte(strings.ReplaceAll(tools, "LONG", long))
		if n, want := c.CountMessages(nil, more), c.Count(long); n < want || n > want+80 {
			t.Errorf("%s: CountMessages = %d, want about the %d of the long text", tools, n, want)
		}
		if e := c.EstimateMessages(nil, more); c.CountMessages(nil, more) < e.Low || c.CountMessages(nil, more) > e.High {
			t.Errorf("%s: EstimateMessages = %+v, want %d within it", tools, e, c.CountMessages(nil, more))
		}
	}
	if n := c.CountMessages(nil, []byte(`[]`)); n != 3 {
		t.Errorf("CountMessages of no tools = %d, want 3", n)
	}
}

// TestMessagesAreTheSumOfTheirParts: what fits messages into a window adds up
// single ones.
func TestMessagesAreTheSumOfTheirParts(t *testing.T) {
	messages := []string{`{"role":"user","content":"What is 2+2?","name":"ann"}`, `{"role":"assistant","content":"Four."}`, `{"role":"user","content":[{"type":"text","text":"Thanks"}]}`}
	for _, f := range []Family{O200k, CL100k} {
		var sum int64
		for _, m := range messages {
			sum += Counter{Family: f}.CountMessage([]byte(m))
		}
		if got := (Counter{Family: f}).CountMessages([]byte("[" + strings.Join(messages, ",") + "]")); got != sum+3 {
			t.Errorf("%v: CountMessages = %d, want the sum of CountMessage %d + 3", f, got, sum)
		}
	}
}

// TestLongRunsTakeTimeInProportion: a piece without a boundary is merged with a
// queue. Looking through a megabyte for every merge would take hours, so that
// this test would not end.
func TestLongRunsTakeTimeInProportion(t *testing.T) {
	if n := (Counter{Family: O200k}).Count(strings.Repeat("a", 1<<20)); n != 1<<17 {
		t.Errorf("a megabyte of one letter is %d tokens, want one for eight", n)
	}
	for name, unit := range map[string]string{"spaces": " ", "newlines": "\n", "emoji": "😀", "marks": "\u0301", "capitals": "\u0301A", "Chinese": "水"} {
		text := strings.Repeat(unit, 1<<16/len(unit))
		for _, f := range []Family{O200k, CL100k} {
			if n := (Counter{Family: f}).Count(text); n < 100 || n > int64(len(text)) {
				t.Errorf("%s: %d bytes are %d tokens of %v", name, len(text), n, f)
			}
		}
	}
}

func FuzzEstimate(f *testing.F) {
	for _, text := range samples {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for fam := range Family(families) {
			e := Counter{Family: fam}.Estimate(text)
			if e.Low < 0 || e.Low > e.Tokens || e.Tokens > e.High || e.Tokens > 6*int64(len(text))+1 {
				t.Fatalf("Estimate of %q for %v = %+v", text, fam, e)
			}
		}
	})
}
