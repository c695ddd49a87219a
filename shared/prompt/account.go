package prompt

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Account says what became of every part of a prompt.
type Account struct {
	Parts  []Part `json:"parts"`
	Tokens int64  `json:"tokens"` // of the prompt that was sent, counted or estimated here

	Saved int64 `json:"saved,omitempty"` // tokens, about, that Tidy has saved

	CachePoints int `json:"cache_points,omitempty"` // that were set
	// Prefix is how many messages at the beginning are the same from request to
	// request, as long as the template and the project are.
	Prefix int `json:"-"`

	// If the prompt had to fit a window:
	Window     int64    `json:"window,omitempty"` // what the model takes; 0 if that is not known, or nobody asked
	Strategy   Strategy `json:"strategy,omitempty"`
	Dropped    int      `json:"dropped,omitempty"`    // messages that were left out
	Summarized bool     `json:"summarized,omitempty"` // a summary stands in for them
}

// Part is one kind of messages.
type Part struct {
	Name    string `json:"name"` // system, project, examples, memory, passages, messages
	Tokens  int64  `json:"tokens"`
	Budget  int64  `json:"budget,omitempty"` // what it might have had; 0: as much as it needs
	Kept    int    `json:"kept"`             // messages; of memory, turns; of passages, passages
	Dropped int    `json:"dropped,omitempty"`
	Cut     int64  `json:"cut,omitempty"` // tokens of a text whose beginning alone was kept
}

func (a *Account) add(name string, tokens, budget int64, kept, dropped int) {
	a.Parts = append(a.Parts, Part{Name: name, Tokens: tokens, Budget: budget, Kept: kept, Dropped: dropped})
	a.Tokens += tokens
}

// Header is the account in one line, such as
// "system=120 memory=512/2000;dropped=3 messages=40 total=672/8192".
func (a *Account) Header() string {
	var b strings.Builder
	for _, p := range a.Parts {
		b.WriteString(p.Name + "=" + strconv.FormatInt(p.Tokens, 10))
		if p.Budget > 0 {
			b.WriteString("/" + strconv.FormatInt(p.Budget, 10))
		}
		if p.Dropped > 0 {
			b.WriteString(";dropped=" + strconv.Itoa(p.Dropped))
		}
		if p.Cut > 0 {
			b.WriteString(";cut=" + strconv.FormatInt(p.Cut, 10))
		}
		b.WriteByte(' ')
	}
	b.WriteString("total=" + strconv.FormatInt(a.Tokens, 10))
	if a.Window > 0 {
		b.WriteString("/" + strconv.FormatInt(a.Window, 10))
	}
	if a.Strategy != "" {
		b.WriteString(" strategy=" + string(a.Strategy) + " dropped=" + strconv.Itoa(a.Dropped))
	}
	if a.Summarized {
		b.WriteString(" summarized")
	}
	if a.Saved > 0 {
		b.WriteString(" saved=" + strconv.FormatInt(a.Saved, 10))
	}
	return b.String()
}

// JSON is the account in full.
func (a *Account) JSON() []byte {
	text, err := json.Marshal(a)
	if err != nil {
		panic(err) // numbers and names of ours
	}
	return text
}
