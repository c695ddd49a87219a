package prompt

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/devmentor/ai-gateway/shared/tokens"
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
	NoSummary  string   `json:"no_summary,omitempty"` // why not, if one was asked for

	// What was left out, for whatever reason: the newest, up to MaxLeft, and how
	// many more there are.
	Left     []Left `json:"left_out,omitempty"`
	LeftMore int    `json:"left_out_more,omitempty"`

	origins []Left // of the messages of the prompt; those of ours have no part
}

// MaxLeft bounds Account.Left.
const MaxLeft = 50

// Left is a message, or a passage, that was left out of a prompt.
type Left struct {
	Part   string `json:"part"`           // as of Part
	Index  int    `json:"index"`          // of messages: in the request's; of the others: in the part as it was gathered, memory from the oldest
	ID     string `json:"id,omitempty"`   // of memory: the message's; of passages: the document's
	Role   string `json:"role,omitempty"` // none of passages
	Tokens int64  `json:"tokens"`         // about
	Why    Why    `json:"why"`
}

// Why says for what reason something was left out.
type Why string

// The reasons.
const (
	OverBudget Why = "budget"   // its part had no room for it
	Unpaired   Why = "unpaired" // calls of tools and their results are not all there
	OverWindow Why = "window"   // the model has no room for it
)

// leave adds what was left out, of which the tokens may not be counted yet:
// tokens does that for those that are named.
func (a *Account) leave(list []Left, tokens func(i int) int64) {
	from := max(0, len(list)-MaxLeft)
	for i := range list[from:] {
		list[from+i].Tokens = tokens(from + i)
	}
	all := append(a.Left, list[from:]...)
	a.LeftMore += from + max(0, len(all)-MaxLeft)
	a.Left = slices.Clone(all[max(0, len(all)-MaxLeft):])
}

// Fitted notes what Window.Fit has made of the messages that Build, or Tidy, has
// returned, or why it could not.
func (a *Account) Fitted(messages []json.RawMessage, f *Fitted) {
	a.Tokens, a.Dropped = f.Tokens, f.Dropped
	if f.each != nil {
		a.recount(f.each)
	}
	var list []Left
	var which []int
	for i := range messages {
		if _, kept := slices.BinarySearch(f.Kept, i); kept {
			continue
		}
		one := a.origins[i]
		one.Role, one.Why = role(messages[i]), OverWindow
		list, which = append(list, one), append(which, i)
	}
	a.leave(list, func(i int) int64 { return f.each[which[i]] })
}

// recount corrects, with the tokens of the messages, the parts that no budget
// bounds. Those that one does have what was held against it.
func (a *Account) recount(each []int64) {
	counted, estimated := map[string]int64{}, map[string]int64{}
	for i, n := range each {
		counted[a.origins[i].Part] += n
	}
	for _, p := range a.Parts {
		estimated[p.Name] = p.Tokens
	}
	if counted["passages"] > 0 { // they are a message of their own
		estimated["passages"] = 0
	}
	for i := range a.Parts {
		switch p := &a.Parts[i]; p.Name {
		case "system":
			p.Tokens = max(0, counted[""]-estimated["project"])
		case "messages":
			p.Tokens = max(0, counted["messages"]+counted["template"]-estimated["passages"])
		}
	}
}

// Tidy is the function of that name for messages that Build has returned.
func (a *Account) Tidy(messages []json.RawMessage, c tokens.Counter) []json.RawMessage {
	var moved []Left
	for _, front := range []bool{true, false} {
		for i, m := range messages {
			if isSystem(m) == front {
				moved = append(moved, a.origins[i])
			}
		}
	}
	a.origins = moved
	messages, a.Saved = Tidy(messages, c)
	a.Tokens -= a.Saved
	return messages
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
