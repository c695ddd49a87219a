package gateway

import (
	"encoding/json"
	"slices"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/prompt"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/tokens"
)

// stays is what of the client's own messages is sent whatever else is left out:
// all of them if nothing may be.
func (m said) stays(all bool) []json.RawMessage {
	from := 0
	if !all {
		for from = len(m.rest) - 1; from > 0 && roleOf(m.rest[from]) != "user"; {
			from--
		}
	}
	return slices.Concat(m.system, m.rest[max(0, from):])
}

func roleOf(m json.RawMessage) string {
	role, _ := rawjson.String(rawjson.Get(rawjson.Fields(nil, m), "role"))
	return role
}

// blameLongest makes a failure about the length of a prompt one about the field
// that takes the most of the window.
func (w *Work) blameLongest(err error, counter tokens.Counter, a *prompt.Account, reserve int64, whole bool) error {
	param, most := w.source(), int64(0)
	weigh := func(name string, n int64) {
		if n > most {
			param, most = name, n
		}
	}
	count := func(list []json.RawMessage) int64 { return counter.EstimateMessages(prompt.Join(list)).Tokens }
	drops := w.opts.Context != prompt.Error
	own := messagesOf(w.chat.Fields)
	if w.filled != nil {
		own = messagesOf(w.filled.own)
		n := counter.Estimate(w.filled.System).Tokens
		if !drops || len(own.rest) == 0 { // else the rest of it was left out
			n += counter.Estimate(w.filled.User).Tokens
		}
		for _, e := range w.filled.Examples {
			if !drops {
				n += counter.Estimate(e.User).Tokens + counter.Estimate(e.Assistant).Tokens
			}
		}
		weigh("gateway.template", n)
	}
	if len(own.system)+len(own.rest) > 0 {
		weigh("messages", count(own.stays(whole || !drops)))
	}
	for _, p := range a.Parts {
		switch {
		case p.Name == "passages":
			weigh("gateway.rag", p.Tokens)
		case p.Name == "project":
			weigh("gateway.project", p.Tokens)
		case p.Name == "memory" && !drops:
			weigh("gateway.conversation", p.Tokens)
		}
	}
	for _, f := range w.chat.Fields {
		for _, v := range llm.Beside([]rawjson.Field{f}) {
			weigh(f.Name, counter.EstimateMessages(nil, v).Tokens)
		}
	}
	for _, name := range []string{"max_tokens", "max_completion_tokens"} {
		if !rawjson.IsNull(rawjson.Get(w.chat.Fields, name)) {
			weigh(name, min(reserve, w.chat.MaxTokens))
		}
	}
	return blame(err, param, "")
}

// mentionImages says how images take less of a window, where they take much of
// it.
func (w *Work) mentionImages(err error, counter tokens.Counter, size int64) error {
	var n int64
	for _, m := range w.est.media {
		if is, _ := m.Image(); is {
			n += counter.Media(m).Tokens
		}
	}
	if n < size/4 {
		return err
	}
	f := *fault.As(err)
	f.Message += " Send fewer or smaller images, or images with \"detail\": \"low\"."
	return &f
}

// quotable is what passages and a project may have together, in tokens, without
// making a prompt too long that is to be made to fit, at least 1; 0: there is no
// bound.
func (w *Work) quotable(own said, counter tokens.Counter, whole bool) int64 {
	size, reserve := w.room()
	if size == 0 || w.opts.Context != prompt.Truncate && w.opts.Context != prompt.Summarize {
		return 0
	}
	must := counter.EstimateMessages(prompt.Join(own.stays(whole)), llm.Beside(w.chat.Fields)...).Tokens
	return max(1, prompt.Estimated(size-reserve, counter.Family)-must-noteTokens)
}

// noteTokens is more than a prompt takes to say that something was left out.
const noteTokens = 40
