package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/prompt"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/router"
	"github.com/devmentor/ai-gateway/shared/tokens"
)

// fit makes messages fit the window of the model that is asked first, as the
// request wants it. Where no window is known it leaves them as they are, and
// says so.
func (s *Session) fit(ctx context.Context, w *Work, counter tokens.Counter, messages []json.RawMessage, a *prompt.Account) ([]json.RawMessage, error) {
	size, reserve := w.room()
	a.Strategy, a.Window = w.opts.Context, size
	if size == 0 {
		s.skip(ctx, "context", fault.New(fault.Internal, "no window is known for %s", w.model.Name))
		return messages, nil
	}
	window := prompt.Window{Size: size, Reserve: reserve, Counter: counter, Strategy: w.opts.Context,
		Question: prompt.Question(w.said), More: llm.Beside(w.chat.Fields)}
	if s.c.Whole {
		window.Stay = len(w.said)
	}
	f, err := window.Fit(ctx, messages)
	switch {
	case err != nil && errors.Is(err, ctx.Err()):
		return nil, err
	case err != nil:
		a.Fitted(messages, f)
		return nil, w.blameLongest(w.mentionImages(err, counter, size), counter, a, reserve, s.c.Whole)
	}
	missing := f.NoSummary
	if f.Summary != nil {
		var text string
		switch text, missing = s.summarize(ctx, w, f.Summary); {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case missing == nil:
			f, a.Summarized = f.Summary.Insert(text), true
		}
	}
	if missing != nil { // then the turns are just left out
		s.skip(ctx, "context.summary", missing)
		a.NoSummary = fault.As(missing).Message
	}
	a.Fitted(messages, f)
	return f.Messages, nil
}

// room says how many tokens the prompt and the answer may have together, and how
// many of them are the answer's, at the target that leaves the prompt the least
// of those that are asked first; 0 if no window is known.
func (w *Work) room() (size, reserve int64) {
	for _, first := range w.route.First() {
		t := first.Of.(*Target)
		n, answer := t.MaxInput, int64(0)
		if n == 0 {
			n, answer = t.Window, w.chat.MaxTokens
			if answer == 0 {
				answer = min(DefaultMaxTokens, n/4)
			}
		}
		if n > 0 && (size == 0 || n-answer < size-reserve) {
			size, reserve = n, answer
		}
	}
	return size, reserve
}

// A summary is good to have, and the answer is what the client waits for: the
// summary gets a third of the time that is left, and no more than this.
const (
	summaryPatience = 20 * time.Second
	summaryPart     = 3
)

// summarize asks the request's model for a summary, once, on the request's bill.
func (s *Session) summarize(ctx context.Context, w *Work, of *prompt.Summary) (string, error) {
	fields := rawjson.Fields(nil, of.Request)
	req, err := llm.ParseRequest(rawjson.Apply(nil, of.Request, fields, rawjson.Edit{Name: "model", Value: rawjson.AppendString(nil, w.asked)}))
	if err != nil {
		return "", err
	}
	req.MaxTokens = of.MaxTokens
	first := w.route.First()[0].Of.(*Target) // there is one: its window is known
	side := &Work{chat: req, Side: true, opts: Options{Strategy: router.Priority, Only: []string{first.Provider}, Fallbacks: []string{}}}
	if side, err = s.g.plan(ctx, s.c, side); err != nil {
		return "", err
	}
	side.route.Retries, side.est.fits = 0, true
	if err := w.worth(w.Most() + side.Most()); err != nil {
		return "", err
	}
	answer := w.Most() // is not what a summary is paid with: either there is enough for both, or none is made
	s.commit(answer)
	defer s.commit(-answer)
	patience := summaryPatience
	if end, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(end)/summaryPart)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fault.New(fault.Timeout, "The summary took longer than %s.", patience.Round(time.Millisecond)))
	defer cancel()
	a, err := s.Answer(ctx, side)
	if err != nil {
		return "", err
	}
	if len(a.Choices) == 0 || a.Choices[0].Text.Len() == 0 {
		return "", fault.New(fault.Upstream, "the summary is empty")
	}
	return a.Choices[0].Text.String(), nil
}
