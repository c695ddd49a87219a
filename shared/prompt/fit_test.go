package prompt_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/prompt"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/tokens"
)

var gpt, claude = tokens.For("openai", "gpt-4o"), tokens.For("anthropic", "claude-sonnet-5")

// plan is a dialogue about a journey. Facts are stated once, early.
func plan() []json.RawMessage {
	messages := raw(`{"role":"system","content":"You plan journeys."}`)
	add := func(question, answer string) { messages = append(messages, raw(user(question), assistant(answer))...) }
	add("We are four people: Mara, Jonas and our twins Ida and Ole, who are six.", "Nice to meet you all. I will look for things that children of six enjoy.")
	add("Ida is allergic to hazelnuts, so restaurants must be able to cook without them.", "Understood: no hazelnuts for Ida. I will note it for every restaurant.")
	add("Our budget for the hotel is 180 euros per night.", "180 euros per night for the hotel is a good start for four people.")
	add("Jonas would love to see the old steam locomotives in the railway museum.", "The railway museum opens at ten and shows steam locomotives on Sundays.")
	for i := range 40 {
		add(fmt.Sprintf("Tell me something about sight number %d of the city, please.", i), fmt.Sprintf("Sight number %d is a well known place with a view over the river, many steps and a café.", i))
	}
	add("What is the weather like there in May?", "In May it is mild, around eighteen degrees, with some rain in the evenings.")
	return messages
}

func count(c tokens.Counter, messages []json.RawMessage, more ...[]byte) int64 {
	return c.CountMessages(prompt.Join(messages), more...)
}

func TestFitKeepsWhatFits(t *testing.T) {
	messages := plan()
	n := count(gpt, messages)
	for _, strategy := range []prompt.Strategy{prompt.Error, prompt.Truncate, prompt.Summarize} {
		for _, size := range []int64{0, n + 100, 100 * n} {
			f, err := prompt.Window{Size: size, Reserve: 100, Counter: gpt, Strategy: strategy}.Fit(t.Context(), messages)
			if err != nil || text(f.Messages) != text(messages) || f.Dropped != 0 || len(f.Kept) != len(messages) || f.Summary != nil {
				t.Errorf("%s in %d: %+v, %v, want the messages as they are", strategy, size, f, err)
			}
		}
	}
}

func TestFitRefusesWhatIsTooLong(t *testing.T) {
	messages := plan()
	n := count(gpt, messages)
	long := raw(`{"role":"system","content":"S"}`, user(strings.Repeat("word ", 500)))
	tools := []byte(`[` + strings.Repeat(`{"type":"function","function":{"name":"f","description":"does things"}},`, 40) + `{}]`)
	for _, tc := range []struct {
		name     string
		w        prompt.Window
		messages []json.RawMessage
		want     string
	}{
		{"a token too many", prompt.Window{Size: n - 1, Strategy: prompt.Error}, messages, fmt.Sprintf("maximum context length is %d tokens for the prompt; the prompt has %d tokens", n-1, n)},
		{"the answer needs room", prompt.Window{Size: n, Reserve: 1, Strategy: prompt.Error}, messages, "of which 1 are reserved"},
		{"no strategy is error", prompt.Window{Size: n - 1}, messages, "context_length_exceeded"},
		{"the newest message alone is too long", prompt.Window{Size: 300, Strategy: prompt.Truncate}, long, "the prompt has 5"},
		{"nor would a summary help", prompt.Window{Size: 300, Strategy: prompt.Summarize}, long, "the prompt has 5"},
		{"tools count", prompt.Window{Size: 300, Strategy: prompt.Truncate, More: [][]byte{tools}}, raw(user("hi")), "context_length_exceeded"},
	} {
		tc.w.Counter = gpt
		f, err := tc.w.Fit(t.Context(), tc.messages)
		e, _ := errors.AsType[*fault.Error](err)
		if e == nil || e.Kind != fault.Invalid || e.Code != "context_length_exceeded" || e.Param != "messages" || !strings.Contains(e.Message+e.Code, tc.want) {
			t.Errorf("%s: %+v, %v, want context_length_exceeded that says %q", tc.name, f, err, tc.want)
		}
	}
}

// TestFitCountsWhereItCanBeExact: these have two thirds, or four times, of the
// tokens that they look like.
func TestFitCountsWhereItCanBeExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	dna := make([]byte, 16_000)
	for i := range dna {
		dna[i] = "ACGT"[r.IntN(4)]
	}
	for name, content := range map[string]string{
		"newlines": "Fix:\n" + strings.Repeat("line\n"+strings.Repeat("\n", 40), 250), "DNA": string(dna), "Russian": strings.Repeat("Городские власти объявили о новом плане развития общественных парков. ", 840),
	} {
		messages := raw(string(llm.TextMessage("user", content)), assistant("Hm."), user("Well?"))
		for _, c := range []tokens.Counter{gpt, tokens.For("openai", "gpt-4")} {
			n := count(c, messages)
			for _, strategy := range []prompt.Strategy{prompt.Error, prompt.Truncate, prompt.Summarize} {
				f, err := prompt.Window{Size: n, Counter: c, Strategy: strategy}.Fit(t.Context(), messages)
				if err != nil || text(f.Messages) != text(messages) || f.Tokens != n || f.Dropped != 0 {
					t.Errorf("%s, %s: of %d tokens that fit, Fit = %.300v, %v", name, strategy, n, f, err)
				}
			}
			if _, err := (prompt.Window{Size: n - 1, Counter: c, Strategy: prompt.Error}).Fit(t.Context(), messages); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("the prompt has %d tokens", n)) {
				t.Errorf("%s: of %d tokens that are one too many, Fit = %v", name, n, err)
			}
			if f, err := (prompt.Window{Size: n - 1, Counter: c, Strategy: prompt.Truncate}).Fit(t.Context(), messages); err != nil || f.Dropped != 2 {
				t.Errorf("%s: of %d tokens that are one too many, Fit = %.300v, %v", name, n, f, err)
			}
		}
	}
}

// TestFitEndsWithItsContext: whether a prompt is only measured, is made shorter,
// or is to be searched for what matters.
func TestFitEndsWithItsContext(t *testing.T) {
	long, words := strings.Repeat("a", 1<<18), strings.Repeat("some words ", 1<<15)
	for name, w := range map[string]prompt.Window{
		"counted": {Size: 100_000, Counter: gpt, Strategy: prompt.Error}, "shortened": {Size: 1000, Counter: gpt, Strategy: prompt.Truncate}, "estimated": {Size: 1000, Counter: claude, Strategy: prompt.Summarize},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if f, err := w.Fit(ctx, raw(user(long), assistant(words), user("And?"))); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: Fit = %+v, %v, want the context's error", name, f, err)
		}
	}
}

// TestFitCountsNoMoreThanItMust: by how much is said only of what is little too
// long.
func TestFitCountsNoMoreThanItMust(t *testing.T) {
	long := strings.Repeat("some words ", 1<<16)
	for _, strategy := range []prompt.Strategy{prompt.Error, prompt.Truncate} {
		f, err := prompt.Window{Size: 20_000, Counter: gpt, Strategy: strategy}.Fit(t.Context(), raw(user(long)))
		var least int
		if err == nil || !strings.Contains(err.Error(), "the prompt has at least ") {
			t.Fatalf("%s: Fit = %v, want what it has at least", strategy, err)
		}
		if _, after, _ := strings.Cut(err.Error(), "at least "); true {
			fmt.Sscanf(after, "%d", &least)
		}
		if least <= 20_000 || least > 60_000 || f.Tokens != int64(least) {
			t.Errorf("%s: Fit = %d tokens, %v, want somewhat more than 20,000 of 131,079, and the same", strategy, f.Tokens, err)
		}
	}
}

// TestErrorLeavesToTheProviderWhatNobodyKnows: an estimate is no reason to
// refuse what may fit.
func TestErrorLeavesToTheProviderWhatNobodyKnows(t *testing.T) {
	messages := plan()
	e := claude.EstimateMessages(prompt.Join(messages))
	for _, tc := range []struct {
		size int64
		ok   bool
	}{{e.Low - 1, false}, {e.Low, true}, {e.Tokens - 1, true}} {
		if _, err := (prompt.Window{Size: tc.size, Counter: claude, Strategy: prompt.Error}).Fit(t.Context(), messages); (err == nil) != tc.ok {
			t.Errorf("%d tokens, estimated at %+v: error %v, want one: %v", tc.size, e, err, !tc.ok)
		}
	}
}

func TestTruncateKeepsWhatTheQuestionIsAbout(t *testing.T) {
	for _, tc := range []struct{ question, fact string }{
		{"Which restaurant do you suggest, given Ida's allergy?", "hazelnuts, so restaurants"},
		{"Please pick a hotel within our budget.", "180 euros per night."},
		{"When can Jonas see the locomotives?", "old steam locomotives"},
		{"and?", "What is the weather like"}, // says nothing: the turn before says it
	} {
		messages := append(plan(), raw(user(tc.question))...)
		for _, c := range []tokens.Counter{gpt, claude} {
			size := count(c, messages) / 4
			f, err := prompt.Window{Size: size, Counter: c, Strategy: prompt.Truncate}.Fit(t.Context(), messages)
			if err != nil {
				t.Fatal(err)
			}
			got := text(f.Messages)
			if !strings.Contains(got, tc.fact) || !strings.Contains(got, "What is the weather like") || !strings.Contains(got, "You plan journeys.") || !strings.HasSuffix(got, user(tc.question)+"\n") {
				t.Errorf("%q: the fact, the newest turns or the system message are missing in\n%s", tc.question, got)
			}
			if n := count(c, f.Messages); n > size || f.Dropped != len(messages)-len(f.Kept) || f.Dropped == 0 {
				t.Errorf("%q: %d of %d tokens, %d of %d messages dropped", tc.question, n, size, f.Dropped, len(messages))
			}
			if strings.Count(got, "left out to save space") != 1 || role(f.Messages[1]) != "system" {
				t.Errorf("%q: the gap must be told of once, behind the system message:\n%s", tc.question, got)
			}
		}
	}
}

func role(m json.RawMessage) string {
	r, _ := rawjson.String(rawjson.Get(rawjson.Fields(nil, m), "role"))
	return r
}

// TestTruncateKeepsMoreEvidenceThanDroppingTheOldest is what make eval measures
// on real dialogues.
func TestTruncateKeepsMoreEvidenceThanDroppingTheOldest(t *testing.T) {
	questions := []struct{ question, evidence string }{
		{"How many people are we?", "four people"}, {"Are there hazelnuts in the cake for Ida?", "allergic to hazelnuts"}, {"Is the hotel within the budget?", "180 euros per night."},
		{"Does the museum show a steam locomotive?", "old steam locomotives"}, {"What did you say about sight number 3?", "Sight number 3 is"}, {"Will it rain in May?", "some rain"},
	}
	for _, size := range []int64{400, 800, 1600} {
		ours, theirs := 0, 0
		for _, q := range questions {
			messages := append(plan(), raw(user(q.question))...)
			f, err := prompt.Window{Size: size, Counter: gpt, Strategy: prompt.Truncate}.Fit(t.Context(), messages)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(text(f.Messages), q.evidence) {
				ours++
			}
			oldest := slices.Clone(messages)
			for count(gpt, oldest) > size {
				oldest = slices.Delete(oldest, 1, 2)
			}
			if strings.Contains(text(oldest), q.evidence) {
				theirs++
			}
		}
		if ours < len(questions)-1 || ours <= theirs {
			t.Errorf("in %d tokens the evidence for %d of %d questions is kept, and for %d if the oldest messages are left out", size, ours, len(questions), theirs)
		}
	}
}

// TestLongTaskKeepsItsQuestion: an agent works for many steps on one message.
// Steps can be left out, but not the message, nor the newest step.
func TestLongTaskKeepsItsQuestion(t *testing.T) {
	messages := raw(`{"role":"developer","content":"You fix bugs."}`, user("Find out why the invoice totals are wrong."))
	step := func(i int) []json.RawMessage {
		return raw(fmt.Sprintf(`{"role":"assistant","content":null,"tool_calls":[{"id":"a%d","type":"function","function":{"name":"read","arguments":"{\"file\":%d}"}},{"id":"b%d","type":"function","function":{"name":"list","arguments":"{}"}}]}`, i, i, i),
			fmt.Sprintf(`{"role":"tool","tool_call_id":"a%d","content":"file %d: nothing to see here at all %s"}`, i, i, strings.Repeat("x y z ", 20)), fmt.Sprintf(`{"role":"tool","tool_call_id":"b%d","content":"no files"}`, i))
	}
	for i := range 30 {
		messages = append(messages, step(i)...)
		if i == 4 {
			messages[len(messages)-2] = json.RawMessage(`{"role":"tool","tool_call_id":"a4","content":"rounding: the invoice totals are rounded per line, which is wrong"}`)
		}
	}
	f, err := prompt.Window{Size: count(gpt, messages) / 3, Counter: gpt, Strategy: prompt.Truncate}.Fit(t.Context(), messages)
	if err != nil {
		t.Fatal(err)
	}
	got := text(f.Messages)
	for _, want := range []string{"You fix bugs.", "Find out why", `"a29"`, `"b29"`, "rounded per line"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	whole(t, messages, f)
}

// whole fails if a call is without its result in f, or the other way round,
// which was not so in messages.
func whole(t *testing.T, messages []json.RawMessage, f *prompt.Fitted) {
	t.Helper()
	in := map[string]int{}
	for _, i := range f.Kept {
		for _, id := range idsOf(messages[i]) {
			in[id]++
		}
	}
	before := map[string]int{}
	for _, m := range messages {
		for _, id := range idsOf(m) {
			before[id]++
		}
	}
	for id, n := range in {
		if n != before[id] {
			t.Fatalf("of call %s %d of %d messages are left in\n%s", id, n, before[id], text(f.Messages))
		}
	}
}

func idsOf(m json.RawMessage) (ids []string) {
	var w struct {
		ToolCallID string `json:"tool_call_id"`
		ToolCalls  []struct {
			ID string `json:"id"`
		} `json:"tool_calls"`
	}
	json.Unmarshal(m, &w)
	for _, c := range w.ToolCalls {
		ids = append(ids, c.ID)
	}
	if w.ToolCallID != "" {
		ids = append(ids, w.ToolCallID)
	}
	return ids
}

// TestImagesOfUnknownSizeAreNoReasonToRefuse: they may be small. Nothing else is
// kept beside them, though.
func TestImagesOfUnknownSizeAreNoReasonToRefuse(t *testing.T) {
	mini := tokens.For("openai", "gpt-4o-mini")
	photos := func(n int) string {
		return `{"role":"user","content":[{"type":"text","text":"Which?"}` + strings.Repeat(`,{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}`, n) + `]}`
	}
	for _, tc := range []struct {
		images, kept int
		strategy     prompt.Strategy
	}{{2, 3, prompt.Error}, {2, 3, prompt.Truncate}, {5, 3, prompt.Error}, {5, 1, prompt.Truncate}, {5, 1, prompt.Summarize}, {16, 0, prompt.Error}, {16, 0, prompt.Truncate}} {
		f, err := prompt.Window{Size: 128_000, Counter: mini, Strategy: tc.strategy}.Fit(t.Context(), raw(user("Hello"), assistant("Hello. "+strings.Repeat("word ", 1000)), photos(tc.images)))
		if (err != nil) != (tc.kept == 0) || err == nil && len(f.Kept) != tc.kept {
			t.Errorf("%d images of 8,500 to 48,169 tokens, %s: Fit = %.300v, %v, want %d messages kept", tc.images, tc.strategy, f, err, tc.kept)
		}
	}
}

// TestImagesDropNothingForWhatTheyMightBe: of a usual size they fit; and where
// nothing can be left out, nothing is said to be.
func TestImagesDropNothingForWhatTheyMightBe(t *testing.T) {
	mini := tokens.For("openai", "gpt-4o-mini")
	const image = `{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}`
	photo := `{"role":"user","content":[` + image + `]}`
	for name, tc := range map[string]struct {
		messages []json.RawMessage
		tokens   int64
	}{
		"three turns":    {raw(photo, assistant("A cat."), photo, assistant("A dog."), photo, assistant("A cow."), user("And?")), 3 * 25_501},
		"in one message": {raw(`{"role":"user","content":[` + image + strings.Repeat(","+image, 5) + `]}`), 6 * 25_501},
	} {
		for _, strategy := range []prompt.Strategy{prompt.Truncate, prompt.Summarize} {
			f, err := prompt.Window{Size: 128_000, Counter: mini, Strategy: strategy}.Fit(t.Context(), tc.messages)
			if err != nil || text(f.Messages) != text(tc.messages) || f.Dropped != 0 || len(f.Kept) != len(tc.messages) || f.Summary != nil || f.NoSummary != nil || f.Tokens < tc.tokens || f.Tokens > tc.tokens+60 {
				t.Errorf("%s, %s: Fit = %.300v, %v, want the messages as they are, and %d tokens", name, strategy, f, err, tc.tokens)
			}
		}
	}
	_, err := prompt.Window{Size: 128_000, Counter: mini, Strategy: prompt.Error}.Fit(t.Context(), raw(`{"role":"user","content":[`+image+strings.Repeat(","+image, 19)+`]}`))
	if want := fmt.Sprintf("at least %d tokens", 20*8500+7); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("twenty images: Fit = %v, want %s", err, want)
	}
}

// TestShortQuestionsMeanTheTurnBefore: "and which one?" says nothing, so the
// turn before it says what earlier turns are to matter for.
func TestShortQuestionsMeanTheTurnBefore(t *testing.T) {
	messages := append(plan(), raw(user("Does the café cook without hazelnuts for people with an allergy?"), assistant("Yes, it does."), user("And which one?"))...)
	f, err := prompt.Window{Size: count(gpt, messages) / 4, Counter: gpt, Strategy: prompt.Truncate}.Fit(t.Context(), messages)
	if err != nil || !strings.Contains(text(f.Messages), "Ida is allergic") {
		t.Errorf("Fit = %v, want the turn about the allergy in\n%s", err, text(f.Messages))
	}
}

func FuzzFit(f *testing.F) {
	const system, ask, answer, calls, result, parts, long = 0, 1, 2, 3, 4, 5, 96 // long adds words
	f.Add([]byte{system, ask, answer, ask + long, calls, result, result + long, answer, ask}, uint16(120), uint8(0))
	f.Add([]byte{ask, answer + long, system, answer, ask + long, answer, parts, answer, ask}, uint16(130), uint8(0))
	f.Add([]byte{ask, calls, ask, result + long, result, calls, ask, result, answer + long, ask, calls, result, result}, uint16(140), uint8(5))
	f.Add([]byte{ask, ask, ask + long, answer, answer, ask + long, ask}, uint16(80), uint8(2))
	f.Add([]byte{ask, answer + long, system, answer + long, ask + long, answer + long, ask, answer, ask}, uint16(180), uint8(2))
	f.Fuzz(func(t *testing.T, shape []byte, size uint16, mode uint8) {
		var messages []json.RawMessage
		var open []string
		for i, b := range shape[:min(len(shape), 60)] {
			filler := strings.Repeat("some words about things ", int(b/16))
			switch b % 6 {
			case 0:
				messages = append(messages, llm.TextMessage("system", fmt.Sprint("system ", i)))
			case 1:
				messages = append(messages, llm.TextMessage("user", fmt.Sprint("question ", i, filler)))
			case 2:
				messages = append(messages, llm.TextMessage("assistant", fmt.Sprint("answer ", i, filler)))
			case 3:
				messages = append(messages, json.RawMessage(fmt.Sprintf(`{"role":"assistant","content":null,"x":%d,"tool_calls":[{"id":"p%d","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"q%d","type":"function","function":{"name":"g","arguments":"{}"}}]}`, i, i, i)))
				open = append(open, fmt.Sprint("p", i), fmt.Sprint("q", i))
			case 4:
				if len(open) > 0 {
					messages = append(messages, json.RawMessage(fmt.Sprintf(`{"role":"tool","tool_call_id":%q,"content":%q}`, open[0], filler)))
					open = open[1:]
				}
			default:
				messages = append(messages, json.RawMessage(fmt.Sprintf(`{"role":"user","content":[{"type":"text","text":%q},{"type":"odd"}]}`, filler)))
			}
		}
		w := prompt.Window{Size: int64(size), Reserve: int64(mode / 8), Counter: []tokens.Counter{gpt, claude}[mode&1], Strategy: []prompt.Strategy{prompt.Truncate, prompt.Summarize}[mode>>1&1]}
		fit, err := w.Fit(t.Context(), messages)
		if err != nil {
			if fault.As(err).Code != "context_length_exceeded" {
				t.Fatal(err)
			}
			return
		}
		check := func(f *prompt.Fitted) {
			t.Helper()
			n := count(w.Counter, f.Messages)
			for _, m := range f.Messages {
				n -= w.Counter.Unsure(m)
			}
			if w.Size > 0 && n > w.Size-w.Reserve {
				t.Fatalf("%d tokens do not fit %d less %d:\n%s", n, w.Size, w.Reserve, text(f.Messages))
			}
			if !slices.IsSorted(f.Kept) || len(f.Kept)+f.Dropped != len(messages) || !json.Valid(prompt.Join(f.Messages)) {
				t.Fatalf("kept %v of %d, %d dropped", f.Kept, len(messages), f.Dropped)
			}
			var want []string
			for _, i := range f.Kept {
				want = append(want, string(messages[i]))
			}
			var got []string
			for _, m := range f.Messages {
				if s := string(m); !strings.Contains(s, "earlier messages of this conversation") {
					got = append(got, s)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("messages differ from those kept:\n%s", diff)
			}
			newest := -1
			for i, m := range messages {
				switch role(m) {
				case "system":
					if !slices.Contains(f.Kept, i) {
						t.Fatalf("system message %d is lost", i)
					}
				case "user":
					newest = i
				}
			}
			if newest >= 0 && !slices.Contains(f.Kept, newest) {
				t.Fatalf("the newest user message %d is not in %v", newest, f.Kept)
			}
			if last := len(messages) - 1; last >= 0 && role(messages[last]) != "system" && !slices.Contains(f.Kept, last) {
				t.Fatalf("the newest message %d is not in %v", last, f.Kept)
			}
			whole(t, messages, f)
		}
		check(fit)
		if fit.Summary != nil {
			if _, err := llm.ParseRequest(append([]byte(`{"model":"m",`), fit.Summary.Request[1:]...)); err != nil {
				t.Fatal(err)
			}
			check(fit.Summary.Insert(strings.Repeat("A summary. ", int(mode))))
		}
	})
}

func BenchmarkFit(b *testing.B) {
	messages := append(plan(), raw(user("Which restaurant do you suggest?"))...)
	for name, w := range map[string]prompt.Window{
		"fits": {Size: 100_000, Counter: gpt, Strategy: prompt.Truncate}, "truncate": {Size: 800, Counter: gpt, Strategy: prompt.Truncate}, "estimated": {Size: 800, Counter: claude, Strategy: prompt.Truncate},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := w.Fit(b.Context(), messages); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestQuestionIsWhatTheUserSaidLast(t *testing.T) {
	long := strings.Repeat("x", 8<<10-1) + "é"
	for _, tc := range []struct {
		messages []string
		want     string
	}{
		{nil, ""},
		{[]string{`{"role":"assistant","content":"a"}`}, ""},
		{[]string{user("first"), user("second"), `{"role":"assistant","content":"a"}`}, "second"},
		{[]string{user("first"), `{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}`}, "first"},
		{[]string{user("first"), user("  ")}, "first"},
		{[]string{`{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}`}, "a\nb\n"},
		{[]string{user(long)}, long[:8<<10-1]},
	} {
		if got := prompt.Question(raw(tc.messages...)); got != tc.want {
			t.Errorf("Question(%.60v) = %.60q, want %.60q", tc.messages, got, tc.want)
		}
	}
}

// TestEstimatesLeaveAMargin: what can only be estimated must fit all the same,
// without leaving out much that would.
func TestEstimatesLeaveAMargin(t *testing.T) {
	var messages []json.RawMessage
	for range 100 {
		messages = append(messages, raw(user("And then?"), assistant("Then we went on."))...)
	}
	room := count(claude, messages) * 3 / 4
	f, err := prompt.Window{Size: room, Counter: claude, Strategy: prompt.Truncate}.Fit(t.Context(), messages)
	if err != nil {
		t.Fatal(err)
	}
	most := prompt.Estimated(room, claude.Family)
	if err := claude.Family.Error(); float64(most)*(1+err/4) > float64(room) || float64(most)*(1+err) < float64(room) {
		t.Errorf("Estimated(%d) = %d, want a margin for most of what estimates are off, %.2f at worst", room, most, err)
	}
	if n := count(claude, f.Messages); n > most || n < most*9/10 {
		t.Errorf("Fit keeps about %d tokens, want somewhat less than %d", n, most)
	}
	if f, err = (prompt.Window{Size: count(claude, messages), Counter: claude, Strategy: prompt.Truncate}).Fit(t.Context(), messages); err != nil || f.Dropped == 0 {
		t.Errorf("of an estimate as large as the room Fit drops %d messages, %v, want a margin", f.Dropped, err)
	}
}
