package gateway

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/devmentor/ai-gateway/shared/conversation"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/prompt"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/router"
	"github.com/devmentor/ai-gateway/shared/tokens"
)

const (
	// memoryTokens is what of a conversation is sent along at most, unless a
	// quarter of the model's window is less.
	memoryTokens = 8192
	// projectTokens is what is sent of a project at most, unless an eighth of the
	// model's window is less.
	projectTokens = 4096
	// passageTokens is what a passage may take: two thousand bytes, and its tags.
	passageTokens = 800
	// ruleTokens is more than what passages are introduced with.
	ruleTokens = 200
)

// Assembly is what became of a prompt that was put together here.
type Assembly struct {
	Account prompt.Account
	// Passages are those in the prompt: the answer cites the first as [1]. Nil:
	// none were asked for.
	Passages []rag.Hit
}

// budget bounds what is added to w's prompt.
func (w *Work) budget() (b prompt.Budget) {
	window := w.window()
	if w.opts.Conversation != "" {
		b.Memory = memoryTokens
		if window > 0 {
			b.Memory = min(b.Memory, window/4)
		}
	}
	if w.opts.Project != "" {
		b.Project = projectTokens
		if window > 0 {
			b.Project = min(b.Project, window/8)
		}
	}
	if r := w.opts.RAG; r != nil {
		b.Passages = int64(r.Top) * passageTokens
		if window > 0 {
			b.Passages = min(b.Passages, window/3)
		}
	}
	return b
}

// window is the smallest of those of the targets that are asked first: what they
// read; 0 if none is known.
func (w *Work) window() (tokens int64) {
	for _, first := range w.route.First() {
		if n := first.Of.(*Target).reads(); n > 0 && (tokens == 0 || n < tokens) {
			tokens = n
		}
	}
	return tokens
}

// reads is the most tokens of input; 0 means unknown.
func (t *Target) reads() int64 {
	if t.MaxInput > 0 {
		return t.MaxInput
	}
	return t.Window
}

// own returns the request's messages by what they are. A template's texts
// surround nothing: they come before what the client sent.
func (w *Work) own() (m said, examples []json.RawMessage) {
	if w.filled == nil {
		return messagesOf(w.chat.Fields), nil
	}
	m = messagesOf(w.filled.own)
	if w.filled.System != "" {
		m.system = slices.Insert(m.system, 0, llm.TextMessage("system", w.filled.System))
	}
	for _, e := range w.filled.Examples {
		examples = append(examples, llm.TextMessage("user", e.User), llm.TextMessage("assistant", e.Assistant))
	}
	if w.filled.User != "" {
		m.rest, m.at = slices.Insert(m.rest, 0, llm.TextMessage("user", w.filled.User)), slices.Insert(m.at, 0, -1)
	}
	return m, examples
}

// source is the field that says what is asked: the client's messages or, where
// it sends none, its template.
func (w *Work) source() string {
	if w.filled != nil {
		if m := messagesOf(w.filled.own); len(m.system)+len(m.rest) == 0 {
			return "gateway.template"
		}
	}
	return "messages"
}

// assemble puts the prompt together from all that the request asks for. It
// fails with what the client has to change.
func (s *Session) assemble(ctx context.Context, w *Work) error {
	own, examples := w.own()
	w.said = own.rest
	if w.opts.Conversation != "" {
		if err := w.keepable(); err != nil {
			return err
		}
	}
	found, err := s.gather(ctx, w, own)
	if err != nil {
		return err
	}
	p := prompt.Parts{System: own.system, Project: found.project, Examples: examples, Own: own.rest, OwnAt: own.at}
	if p.Older = max(0, len(found.turns)-maxTurns); p.Older > 0 {
		found.turns = found.turns[:maxTurns]
	}
	for _, t := range slices.Backward(found.turns) {
		p.Memory = append(p.Memory, t.Messages)
	}
	p.MemoryID = func(turn, message int) string {
		return conversation.MessageID(found.turns[len(found.turns)-1-turn].Request, message)
	}
	if w.opts.RAG != nil {
		p.Cite = w.opts.RAG.Citations
	}
	for _, h := range found.hits {
		p.Passages = append(p.Passages, prompt.Passage{Source: h.ID, Heading: h.Heading, Text: h.Text})
	}
	counter := w.counter()
	p.Media = func(part []byte) int64 {
		m, _ := tokens.MediaOf(part)
		return counter.Media(m).Tokens
	}
	if w.opts.Optimize {
		found.hits, p.Passages = distinct(found.hits, p)
	}
	budget := w.budget()
	budget.Quoted = w.quotable(own, counter, s.c.Whole)
	messages, used, account := prompt.Build(p, budget, func(text string) int64 { return counter.Estimate(text).Tokens })
	added := addedTo(account)
	a := &Assembly{Account: account}
	if w.opts.RAG != nil {
		a.Passages = append([]rag.Hit{}, found.hits[:used]...)
	}
	s.mu.Lock()
	s.c.Assembly = a
	s.mu.Unlock()
	if w.opts.Optimize {
		messages = a.Account.Tidy(messages, counter)
	}
	if w.opts.Context != "" {
		if messages, err = s.fit(ctx, w, counter, messages, &a.Account); err != nil {
			return err
		}
	}
	if w.opts.Optimize && a.Account.Dropped == 0 && w.caches() {
		messages, a.Account.CachePoints = prompt.CachePoints(messages, counter, rawjson.Get(w.chat.Fields, "tools"), a.Account.Prefix, len(messages)-len(p.Own))
	}
	return w.replace(messages, added)
}

// addedTo is what a prompt holds beside the client's own, as it was counted to
// keep within the budgets that were reserved.
func addedTo(a prompt.Account) (tokens int64) {
	for _, p := range a.Parts {
		switch p.Name {
		case "project", "memory", "passages":
			tokens += p.Tokens
		}
		if p.Name == "passages" && p.Kept > 0 {
			tokens += ruleTokens
		}
	}
	return tokens
}

// distinct leaves out the passages that are said elsewhere.
func distinct(hits []rag.Hit, p prompt.Parts) (kept []rag.Hit, passages []prompt.Passage) {
	said := slices.Concat(p.System, p.Own)
	for _, turn := range p.Memory {
		said = append(said, turn...)
	}
	for _, i := range prompt.Distinct(p.Passages, said) {
		kept, passages = append(kept, hits[i]), append(passages, p.Passages[i])
	}
	return kept, passages
}

// caches says whether whoever may be asked knows cache points.
func (w *Work) caches() bool {
	for _, group := range slices.Concat([]*router.Group{w.route.Group}, w.route.Fallbacks, w.route.Context, w.route.Content) {
		for _, to := range group.Targets {
			if t := to.Of.(*Target); t.Kind != "anthropic" && (t.Kind != "bedrock" || !strings.Contains(t.Model, "claude")) {
				return false
			}
		}
	}
	return true
}

// counter counts as the model does that is asked first.
func (w *Work) counter() tokens.Counter {
	first := w.route.First()
	if len(first) == 0 {
		return tokens.Counter{Family: tokens.General}
	}
	t := first[0].Of.(*Target)
	return tokens.For(t.Provider, t.Model)
}

// replace gives w's request other messages, of which added tokens are not the
// client's own. Those are known better than by their bytes: what was reserved
// for them is enough.
func (w *Work) replace(messages []json.RawMessage, added int64) error {
	old := w.chat
	body := rawjson.Apply(nil, old.Raw, old.Fields, rawjson.Edit{Name: "messages", Value: prompt.Join(messages)})
	req, err := llm.ParseRequest(body)
	if err != nil {
		return err
	}
	req.ID, req.MaxTokens, req.Strict, req.Need, req.Dropped = old.ID, old.MaxTokens, old.Strict, old.Need, old.Dropped
	est := estimateChat(req)
	if len(w.est.media) < len(est.media) {
		est.media = w.est.media // those of the memory are among what was added
	}
	est.input, est.output, est.fits = min(est.input, w.bare+added), w.est.output, w.est.fits
	w.chat, w.est = req, est
	return w.worth(w.Most())
}

// converse is Chat for a request with a conversation, which keeps the answer
// when it is complete. One that a budget cut off is not: the next request would
// send it as what the model had to say.
func (s *Session) converse(ctx context.Context, w *Work, emit func(*llm.Event) error) error {
	var a llm.Answer
	w.chat.Need |= llm.NeedText
	m := newMeter(&s.bill, w)
	err := m.run(ctx, func(e *llm.Event) error {
		a.Add(e)
		return emit(e)
	})
	if err == nil && !m.cut {
		s.keep(ctx, w, &a)
	}
	return err
}
