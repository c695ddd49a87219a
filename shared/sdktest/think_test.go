package sdktest_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// question is a chat request in no provider's words.
type question struct {
	Model  string
	Stream bool
	N      int

	System, Prompt string
	Images         []string          // type and size of each
	Tools          []string          // names
	Choice         string            // "", "none", "required", or a tool's name
	Calls          map[string]string // names of earlier calls by their ids
	Results        []string          // of tools, since the model last spoke
	Schema         json.RawMessage   // that the answer must fit
	Thinks         bool
	Logprobs       bool
}

// reply is an answer in no provider's words.
type reply struct {
	Thinking  []string // in the pieces of a stream
	Text      []string
	Calls     []call
	Metered   bool
	Input     int // tokens, with those from the cache
	Cached    int
	Output    int // tokens, with those of thinking
	Reasoning int
}

type call struct{ ID, Name, Arguments string }

func (a *reply) text() string { return strings.Join(a.Text, "") }

// cities are what get_weather is asked for.
var cities = []string{"Paris", "Oslo"}

// think is the model: it repeats what it was sent, so that a test sees what
// arrived, and calls tools when asked for the weather.
func think(q *question) *reply {
	a := &reply{Metered: true, Input: 12 + len(q.Prompt)/4, Cached: 4}
	if q.Thinks {
		a.Thinking = []string{"Let", " me", " see."}
		a.Reasoning = len(a.Thinking)
	}
	what, arg := directive(q.Prompt)
	a.Metered = what != "unmetered"
	words, _ := strconv.Atoi(arg)
	object := strings.IndexByte(q.Prompt, '{')
	switch {
	case len(q.Results) > 0:
		a.Text = pieces("The tools say: " + strings.Join(q.Results, "; "))
	case slices.Contains(q.Tools, "get_weather") && q.Choice != "none" && strings.Contains(q.Prompt, "weather"):
		for _, c := range cities {
			if strings.Contains(q.Prompt, c) {
				a.Calls = append(a.Calls, call{"call_" + c, "get_weather", `{"city":"` + c + `","unit":"celsius"}`})
			}
		}
	case slices.Contains(q.Tools, q.Choice) && object >= 0: // the answer as a call
		a.Calls = []call{{"call_form", q.Choice, q.Prompt[object:]}}
	case q.Schema != nil && object >= 0:
		a.Text = pieces(q.Prompt[object:])
	case what == "flood":
		a.Text = slices.Repeat([]string{"word "}, words)
	case len(q.Images) > 0:
		a.Text = pieces("I see " + strings.Join(q.Images, " and "))
	case len(q.Prompt) > 2000:
		a.Text = pieces(fmt.Sprintf("You sent %d bytes", len(q.Prompt)))
	default:
		a.Text = pieces("You said: " + q.Prompt)
	}
	a.Output = a.Reasoning + len(a.Text)
	for _, c := range a.Calls {
		a.Output += len(c.Arguments) / 4
	}
	return a
}

// pieces cuts a text as a tokenizer might: words, with the space before them.
func pieces(text string) []string {
	var list []string
	for i, word := range strings.Split(text, " ") {
		if i > 0 {
			word = " " + word
		}
		list = append(list, word)
	}
	return list
}

// fragments cuts the arguments of a call without regard for JSON.
func fragments(text string) []string {
	var list []string
	for len(text) > 7 {
		list = append(list, text[:7])
		text = text[7:]
	}
	return append(list, text)
}

type object = map[string]any

func toJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // of the tests' own making
	}
	return b
}
