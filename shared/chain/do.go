package chain

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/template"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// work is a step being done. For the items of a map it is shared.
type work struct {
	*runner
	s    *Step // what is done: of a map's item, Do
	top  *Step // the step of the chain
	data map[string]any
	item int // of a map; -1 otherwise
	*tally
}

// step does w, a step of the chain, to its end. The error is that of a result
// whose status is failed or canceled.
func (w *work) step(ctx context.Context) (*Result, error) {
	start, s := time.Now(), w.s
	defer w.remain(0)
	res := &Result{ID: s.ID, Type: s.Type}
	ctx, ended := w.span(ctx, s.ID, s.Type, -1)
	defer func() { ended(res) }()
	var v any
	var err error
	if s.Type == Map {
		v, res.Items, err = w.mapped(ctx)
	} else {
		v, err = w.try(ctx)
	}
	if err == nil {
		if res.Output, err = w.keep(v); err == nil {
			res.value = v
		}
	}
	res.Duration = time.Since(start)
	w.into(res)
	stopped := ctx.Err() != nil && err != nil
	switch {
	case err == nil:
		res.Status = OK
	case stopped:
		res.Status, res.Error = Canceled, failure(err)
	case s.OnError.fails():
		err = inStep(s, err)
		res.Status, res.Error = Failed, failure(err)
	case s.OnError.Skip:
		res.Status, res.Error, err = Skipped, failure(err), nil
	default:
		res.Status, res.Error, err = OK, failure(err), nil
		res.Output, res.value = s.OnError.Default, decode(s.OnError.Default)
	}
	if v != nil && (res.Status == Failed || s.Type == Map && res.Status != OK) { // what has been paid for is shown
		res.Output, _ = w.keep(v)
	}
	return res, err
}

// keep encodes an output, or what there is of one, and counts its bytes: it is in
// memory until the run ends. It fails if there is no room for it.
func (r *runner) keep(v any) (json.RawMessage, error) {
	out, err := encode(v)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.size+len(out) > maxOutputs {
		return nil, fault.New(fault.TooLarge, "The outputs of all steps have more than %d bytes.", maxOutputs)
	}
	r.size += len(out)
	return out, nil
}

// inStep says where err happened.
func inStep(s *Step, err error) error {
	f := *fault.As(err)
	f.Message = "Step '" + s.ID + "': " + f.Message
	f.Param = s.at
	return &f
}

// try does w until it succeeds or must not be tried again. With an error comes
// what there is of an answer.
func (w *work) try(ctx context.Context) (v any, err error) {
	s := w.s
	ctx, cancel := s.within(ctx)
	defer cancel()
	pause := s.Retry.Backoff
	for n := 1; ; n++ {
		w.locked(func() { w.tally.attempts++ })
		v, err = w.once(w.attempt(ctx, n))
		switch {
		case err == nil:
			return v, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case n >= s.Retry.Attempts || !slices.Contains(s.Retry.On, fault.As(err).Kind):
			return v, err
		}
		wait := max(pause, fault.As(err).RetryAfter)
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
			return v, err // there would be no time left
		}
		w.tell(Event{Type: "step.retry", Step: w.top.ID, Item: w.item, Error: failure(err)})
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, context.Cause(ctx)
		}
		pause = min(2*pause, maxBackoff)
	}
}

// within bounds ctx to the time that s may take.
func (s *Step) within(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.Timeout == 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, s.Timeout, fault.New(fault.Timeout, "It took longer than %s.", s.Timeout))
}

func (w *work) locked(f func()) {
	w.tally.mu.Lock()
	defer w.tally.mu.Unlock()
	f()
}

// once makes one attempt. A panic in it must not end the process: it would end
// the runs of others, too.
func (w *work) once(ctx context.Context) (v any, err error) {
	err = fault.Guard(func() (err error) {
		v, err = w.do(ctx)
		return err
	})
	if err != nil && !w.s.calls() {
		v = nil
	}
	return v, err
}

func (w *work) do(ctx context.Context) (any, error) {
	switch s := w.s; s.Type {
	case Prompt, Code:
		body, err := w.body(ctx)
		if err != nil {
			return nil, err
		}
		return w.remembered(ctx, body, func() (any, string, error) { return w.ask(ctx, body) })
	case Retrieve:
		text, err := s.query.render(w.data, w.spend(ctx))
		if err != nil {
			return nil, err
		}
		q := rag.Query{Collection: s.Collection, Text: text, Limit: s.Top, Filter: s.filter}
		key, err := json.Marshal(q)
		if err != nil {
			return nil, err
		}
		return w.remembered(ctx, key, func() (any, string, error) {
			v, err := w.retrieve(ctx, q)
			return v, "", err
		})
	case Transform:
		v, ok, err := s.sel.value(w.data, w.spend(ctx))
		if err == nil && !ok {
			if s.def == nil {
				return nil, fault.New(fault.Unprocessable, "%s selects nothing.", s.sel.path)
			}
			v = decode(s.def)
		}
		return v, err
	default:
		return s.test.holds(w.data, w.spend(ctx))
	}
}

// value is what sel makes of data. ok is false if a path selects nothing.
func (sel *selection) value(data map[string]any, spend template.Spend) (v any, ok bool, err error) {
	switch {
	case sel.text != nil:
		v, err = sel.text.render(data, spend)
		return v, true, err
	case sel.path != nil:
		return sel.path.selects(data, spend)
	}
	o := map[string]any{}
	for i, p := range sel.paths {
		if o[sel.names[i]], _, err = p.selects(data, spend); err != nil {
			return nil, false, err
		}
	}
	return o, true, nil
}

// body makes the chat request of a prompt.
func (w *work) body(ctx context.Context) ([]byte, error) {
	s := w.s
	edits := []rawjson.Edit{}
	if s.Model != "" {
		edits = append(edits, rawjson.Edit{Name: "model", Value: rawjson.AppendString(nil, s.Model)})
	}
	body := []byte(s.Parameters)
	if body == nil {
		body = []byte("{}")
	}
	if s.Template == nil {
		messages, err := w.messages(ctx)
		if err != nil {
			return nil, err
		}
		edits = append(edits, rawjson.Edit{Name: "messages", Value: messages})
	}
	body = rawjson.Apply(nil, body, rawjson.Fields(nil, body), edits...)
	spend := w.spend(ctx)
	if s.Template == nil {
		return body, spend(len(body) / stepBytes)
	}
	vars, err := s.Template.values(w.data, spend)
	if err != nil {
		return nil, err
	}
	t, err := w.o.Calls.Template(ctx, s.Template.Name, s.Template.Version)
	if err != nil {
		return nil, err
	}
	r, err := t.RenderWithin(vars, s.at+".template.variables", spend)
	if err != nil {
		return nil, err
	}
	return r.Apply(body, rawjson.Fields(nil, body)), nil
}

// values fills in the variables of a stored template.
func (t *TemplateRef) values(data map[string]any, spend template.Spend) (json.RawMessage, error) {
	o := map[string]any{}
	for _, b := range t.variables {
		switch {
		case b.text != nil:
			v, err := b.text.render(data, spend)
			if err != nil {
				return nil, err
			}
			o[b.name] = v
		case b.path != nil:
			v, err := b.path.one(data, spend)
			if err != nil {
				return nil, err
			}
			o[b.name] = v
		default:
			o[b.name] = b.value
		}
	}
	out, err := encode(o)
	if err != nil {
		return nil, err
	}
	return out, spend(len(out) / (stepBytes / 4)) // they are written, checked and read again
}

func (w *work) messages(ctx context.Context) ([]byte, error) {
	system, err := w.s.system.render(w.data, w.spend(ctx))
	if err != nil {
		return nil, err
	}
	user, err := w.s.user.render(w.data, w.spend(ctx))
	if err != nil {
		return nil, err
	}
	if w.s.Type == Code {
		system, user = codePrompt(w.s, system, user)
	}
	dst := []byte{'['}
	if system != "" {
		dst = append(append(dst, llm.TextMessage("system", system)...), ',')
	}
	return append(append(dst, llm.TextMessage("user", user)...), ']'), nil
}

// ask makes a call to a model and reads its answer.
func (w *work) ask(ctx context.Context, body []byte) (v any, model string, err error) {
	if err := w.slot(ctx); err != nil {
		return nil, "", err
	}
	defer func() { <-w.slots }()
	ask := Ask{Step: w.top.ID, Item: w.item, Body: body}
	if w.o.Deltas && w.o.Observe != nil {
		ask.Emit = func(text string) error {
			w.tell(Event{Type: "step.delta", Step: w.top.ID, Item: w.item, Text: text})
			return ctx.Err()
		}
	}
	l := &loan{}
	ask.Share = func(ctx context.Context, usual, most usage.Nano) (own, all usage.Nano, err error) {
		return w.share(ctx, l, usual, most)
	}
	ask.Hold = func(most usage.Nano) error { return w.hold(l, most) }
	a, err := w.prompt(ctx, ask, l)
	if err != nil {
		return w.partial(a), a.Model, err
	}
	switch {
	case w.s.Type == Code:
		v, err = codeValue(w.s, w.o.Tools, a)
	case w.s.JSON:
		v, err = jsonValue(a)
	default:
		v = a.Text
	}
	return v, a.Model, err
}

// prompt makes the call, and pays for it even if it panics: others may be waiting
// for what it holds.
func (w *work) prompt(ctx context.Context, ask Ask, l *loan) (a Answer, err error) {
	defer func() { w.pay(a, l) }()
	return w.o.Calls.Prompt(ctx, ask)
}

// partial is what there is of an answer that was cut off; nil for none.
func (w *work) partial(a Answer) any {
	switch {
	case a.Text == "":
		return nil
	case w.s.Type == Code:
		a.Finish = "length"
		if v, err := codeValue(w.s, w.o.Tools, a); err == nil {
			return v
		}
	}
	return a.Text
}

// slot waits until a call may be made.
func (w *work) slot(ctx context.Context) error {
	select {
	case w.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// jsonValue reads an answer that was to be JSON. Models that cannot be bound
// to it put it into a fence.
func jsonValue(a Answer) (any, error) {
	text := bytes.TrimSpace([]byte(a.Text))
	if rest, ok := bytes.CutPrefix(text, []byte("```")); ok {
		rest = bytes.TrimPrefix(rest, []byte("json"))
		text = bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("```")))
	}
	if err := rawjson.Valid(text, llm.MaxDepth); err != nil {
		why := ""
		if a.Finish == "length" {
			why = " It was cut off at its maximum length."
		}
		return nil, &fault.Error{Kind: fault.Upstream, Code: "invalid_json_answer", Message: "The model's answer is not JSON." + why, Err: err}
	}
	if rawjson.LongNumber(text, maxDigits) {
		return nil, &fault.Error{Kind: fault.Upstream, Code: "invalid_json_answer", Message: fmt.Sprintf("The model's answer has a number of more than %d digits.", maxDigits)}
	}
	return decode(text), nil
}

func (w *work) retrieve(ctx context.Context, q rag.Query) (any, error) {
	if err := w.slot(ctx); err != nil {
		return nil, err
	}
	defer func() { <-w.slots }()
	hits, err := w.o.Calls.Retrieve(ctx, q)
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, h := range hits {
		if rawjson.LongNumber(h.Metadata, maxDigits) {
			return nil, fault.New(fault.Unprocessable, "The metadata of the document '%.100s' has a number of more than %d digits.", h.ID, maxDigits)
		}
		metadata, ok := decode(h.Metadata).(map[string]any)
		if !ok {
			metadata = map[string]any{}
		}
		list = append(list, map[string]any{"id": h.ID, "collection": h.Collection, "heading": h.Heading, "text": h.Text, "metadata": metadata,
			"score": json.Number(strconv.FormatFloat(h.Score, 'g', -1, 64)), "passage": json.Number(strconv.Itoa(h.Passage))})
	}
	return list, nil
}
