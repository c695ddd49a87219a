// Package echo is the offline stand-in for a model: it answers chats, calls
// tools and makes vectors without a network, always the same for the same
// request. It keeps the first command on a bare machine, demonstrations and
// tests going; it knows nothing, and says so.
package echo

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
)

// Provider is the stand-in. Its zero value is ready.
type Provider struct {
	Delay time.Duration // before each word, so that a stream can be watched
}

var (
	_ llm.Provider = (*Provider)(nil)
	_ llm.Embedder = (*Provider)(nil)
)

const (
	name = "echo"
	// Notice is how every answer in words begins.
	Notice = "This is the gateway's offline stand-in, not a language model."
)

// supported are the fields that the stand-in obeys, or that cannot change an
// answer which is the same at every temperature.
var supported = []string{"model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "stop",
	"tools", "tool_choice", "parallel_tool_calls", "response_format",
	"temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty", "reasoning_effort", "user", "metadata"}

// Complete says that it is a stand-in and repeats the last user message, word
// by word. If a tool call is demanded (tool_choice "required" or a function) it
// calls that tool with the least arguments that its schema allows; if JSON is
// demanded, it answers with the least that the schema allows. max_tokens, stop
// and n are obeyed, with tokens as tokens defines them.
func (p *Provider) Complete(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
	if err := req.Drop(name, supported...); err != nil {
		return err
	}
	chat, err := req.Chat()
	if err != nil {
		return err
	}
	a, err := answer(chat)
	if err != nil {
		return err
	}
	words, finish := a.cut(chat.Stop, req.MaxTokens)
	n := max(1, int(req.N))
	id, model := "chatcmpl-"+req.ID, req.Model // on the first event only
	toAll := func(event func(choice int) llm.Event) error {
		for i := range n {
			ev := event(i)
			ev.Index, ev.ID, ev.Model = i, id, model
			id, model = "", ""
			if err := emit(&ev); err != nil {
				return err
			}
		}
		return nil
	}
	if a.tool != "" {
		err := toAll(func(choice int) llm.Event {
			return llm.Event{Tools: []llm.ToolDelta{{ID: a.callID(len(chat.Messages), choice), Name: a.tool}}}
		})
		if err != nil {
			return err
		}
	}
	for _, w := range words {
		if err := p.pause(ctx); err != nil {
			return err
		}
		err := toAll(func(int) llm.Event {
			if a.tool != "" {
				return llm.Event{Tools: []llm.ToolDelta{{Arguments: w}}}
			}
			return llm.Event{Text: w}
		})
		if err != nil {
			return err
		}
	}
	if err := toAll(func(int) llm.Event { return llm.Event{Finish: finish} }); err != nil {
		return err
	}
	return emit(&llm.Event{UsageOnly: true, Usage: &llm.Usage{Input: inputTokens(chat), Output: int64(len(words) * n)}})
}

// pause waits for Delay. It notices that ctx has ended even if there is none.
func (p *Provider) pause(ctx context.Context) error {
	if p.Delay > 0 {
		timer := time.NewTimer(p.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if ctx.Err() == nil {
		return nil
	}
	f := *fault.As(context.Cause(ctx))
	f.Provider = name
	return &f
}

// reply is what there is to say: text, or the arguments for a tool.
type reply struct{ text, tool string }

func answer(chat *llm.Chat) (*reply, error) {
	switch choice := chat.ToolChoice; {
	case choice.Mode == "function":
		for _, t := range chat.Tools {
			if t.Name == choice.Name {
				return call(t)
			}
		}
		return nil, fault.Field("tool_choice", "'tool_choice' names the function '%s', which is not among the tools.", choice.Name)
	case choice.Mode == "required":
		if len(chat.Tools) == 0 {
			return nil, fault.Field("tool_choice", "'tool_choice' is \"required\", but there are no tools.")
		}
		return call(chat.Tools[0])
	}
	said := lastUserText(chat.Messages)
	switch format := chat.ResponseFormat; format.Type {
	case "json_object":
		return &reply{text: string(object("notice", Notice, "echo", said))}, nil
	case "json_schema":
		text, err := sample(format.Schema)
		if err != nil {
			return nil, fault.Field("response_format.json_schema.schema", "The offline stand-in cannot make an example of this schema: %v.", err)
		}
		return &reply{text: text}, nil
	}
	if strings.TrimSpace(said) == "" {
		return &reply{text: Notice + " You said nothing."}, nil
	}
	return &reply{text: Notice + " You said: " + said}, nil
}

func call(t llm.Tool) (*reply, error) {
	if t.Parameters == nil {
		return &reply{text: "{}", tool: t.Name}, nil
	}
	text, err := sample(t.Parameters)
	if err != nil {
		return nil, fault.Field("tools", "The offline stand-in cannot make arguments for the function '%s': %v.", t.Name, err)
	}
	return &reply{text: text, tool: t.Name}, nil
}

// callID differs between the turns of a conversation and between choices.
func (a *reply) callID(turn, choice int) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%s\x00%d\x00%d", a.tool, a.text, turn, choice)
	return fmt.Sprintf("call_%016x", h.Sum64())
}

// cut applies stop sequences and the bound on tokens, 0 for none. A stop
// sequence beyond the bound was never reached. Stops do not apply to the
// arguments of tools.
func (a *reply) cut(stops []string, limit int64) (words []string, finish string) {
	text, finish := a.text, "stop"
	if a.tool != "" {
		stops, finish = nil, "tool_calls"
	}
	for _, s := range stops {
		if i := strings.Index(text, s); i >= 0 && s != "" {
			text = text[:i]
		}
	}
	words = tokens(text)
	if limit > 0 && int64(len(words)) > limit {
		return words[:limit], "length"
	}
	return words, finish
}

// lastUserText is the text of the last message of the user, or of the last
// message at all if there is none.
func lastUserText(messages []llm.Message) string {
	for i := len(messages) - 1; i >= 0; i-- {
		if messages[i].Role == "user" {
			return messages[i].Text()
		}
	}
	if len(messages) == 0 {
		return ""
	}
	return messages[len(messages)-1].Text()
}

// maxWord bounds a token, so that text without spaces has tokens too.
const maxWord = 12

// tokens splits text into words, each with the space before it; of a long word
// every 12 characters count as one. Joined they are the text.
func tokens(text string) []string {
	var list []string
	for len(text) > 0 {
		i := len(text) - len(strings.TrimLeft(text, " \t\r\n"))
		for n := 0; n < maxWord && i < len(text) && !strings.ContainsRune(" \t\r\n", rune(text[i])); n++ {
			_, size := utf8.DecodeRuneInString(text[i:])
			i += size
		}
		list = append(list, text[:i])
		text = text[i:]
	}
	return list
}

// inputTokens counts the prompt: its words, three for each message and 85 for
// what is not text, in the manner of OpenAI.
func inputTokens(chat *llm.Chat) int64 {
	n := 0
	for i := range chat.Messages {
		m := &chat.Messages[i]
		n += 3
		for _, part := range m.Content {
			if part.Type != "text" {
				n += 85
			}
			n += len(tokens(part.Text))
		}
		for _, c := range m.ToolCalls {
			n += len(tokens(c.Name)) + len(tokens(c.Arguments))
		}
	}
	for _, t := range chat.Tools {
		n += len(tokens(t.Name)) + len(tokens(t.Description)) + len(tokens(string(t.Parameters)))
	}
	return int64(n + len(tokens(string(chat.ResponseFormat.Schema))))
}
