package gateway

import (
	"context"
	"encoding/json"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/prompt"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/tokens"
)

// fit makes messages fit the window of the model that is asked first, as the
// request wants it. Where no window is known it leaves them as they are, and
// says so.
func (s *Session) fit(ctx context.Context, w *Work, counter tokens.Counter, messages []json.RawMessage, a *prompt.Account) ([]json.RawMessage, error) {
	size := w.window()
	a.Strategy, a.Window = w.opts.Context, size
	if size == 0 {
		s.skip(ctx, "context", fault.New(fault.Internal, "no window is known for %s", w.model.Name))
		return messages, nil
	}
	window := prompt.Window{Size: size, Reserve: w.chat.MaxTokens, Counter: counter, Strategy: w.opts.Context,
		Question: prompt.Question(w.said), More: llm.Beside(w.chat.Fields)}
	if window.Reserve == 0 {
		window.Reserve = min(DefaultMaxTokens, size/4)
	}
	if s.c.Whole {
		window.Stay = len(w.said)
	}
	f, err := window.Fit(messages)
	if err != nil {
		return nil, blame(err, w.source(), "")
	}
	if f.Summary != nil {
		text, err := s.summarize(ctx, w, f.Summary)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			s.skip(ctx, "context.summary", err) // then the turns are just left out
		default:
			f, a.Summarized = f.Summary.Insert(text), true
		}
	}
	a.Fitted(messages, f, counter)
	return f.Messages, nil
}

// summarize asks the request's model for a summary, on the request's bill.
func (s *Session) summarize(ctx context.Context, w *Work, of *prompt.Summary) (string, error) {
	fields := rawjson.Fields(nil, of.Request)
	req, err := llm.ParseRequest(rawjson.Apply(nil, of.Request, fields, rawjson.Edit{Name: "model", Value: rawjson.AppendString(nil, w.asked)}))
	if err != nil {
		return "", err
	}
	side := &Work{chat: req, Side: true, opts: Options{Only: w.opts.Only, Order: w.opts.Order, Fallbacks: w.opts.Fallbacks, Timeout: w.opts.Timeout, TTFT: w.opts.TTFT}}
	if side, err = s.g.plan(ctx, s.c, side); err != nil {
		return "", err
	}
	if most := w.opts.MaxPrice; most > 0 {
		for _, first := range side.route.First() {
			if t := first.Of.(*Target); side.est.cost(t)+w.est.cost(t) > most {
				return "", tooDear(side.est.cost(t) + w.est.cost(t))
			}
		}
	}
	a, err := s.Answer(ctx, side)
	if err != nil {
		return "", err
	}
	if len(a.Choices) == 0 || a.Choices[0].Text.Len() == 0 {
		return "", fault.New(fault.Upstream, "the summary is empty")
	}
	return a.Choices[0].Text.String(), nil
}
