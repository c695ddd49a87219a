package chain

import (
	"context"
	"encoding/json"
	"maps"
	"strconv"
	"sync"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// mapped does w.s.Do for each item of a list. If it fails, the list holds what
// is done, and null for the rest.
func (w *work) mapped(ctx context.Context) (any, []ItemError, error) {
	s := w.s
	ctx, cancel := s.within(ctx)
	defer cancel()
	v, err := s.over.one(w.data, w.spend(ctx))
	if err != nil {
		return nil, nil, err
	}
	items, ok := v.([]any)
	switch {
	case v == nil: // of a step that was skipped
		items = nil
	case !ok:
		return nil, nil, fault.New(fault.Unprocessable, "%s is of type %s; a map needs an array.", s.over, rawjson.KindOf(v))
	case len(items) > MaxItems:
		return nil, nil, fault.New(fault.Unprocessable, "%s has %d items; the limit is %d.", s.over, len(items), MaxItems)
	}
	w.remain(len(items))
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var (
		outs   = make([]any, len(items))
		errs   = make([]error, len(items))
		next   = make(chan int)
		doing  sync.WaitGroup
		failed error
		once   sync.Once
	)
	for range min(s.Parallel, len(items)) {
		doing.Go(func() {
			for i := range next {
				outs[i], errs[i] = w.each(ctx, i, items[i])
				w.did()
				if errs[i] != nil && s.Do.OnError.fails() {
					once.Do(func() {
						failed = itemFailed(i, errs[i])
						stop(errStopped)
					})
				}
			}
		})
	}
feed:
	for i := range items {
		select {
		case next <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	doing.Wait()
	if failed == nil && ctx.Err() != nil {
		failed = context.Cause(ctx)
	}
	list, notes := []any{}, []ItemError(nil)
	for i, out := range outs {
		if errs[i] != nil {
			note := ItemError{Index: i, Error: failure(errs[i])}
			if out != nil {
				note.Output, _ = w.keep(out)
			}
			if failed == nil || note.Output != nil {
				notes = append(notes, note)
			}
			out = nil
		}
		if errs[i] != nil && failed == nil {
			if s.Do.OnError.Skip {
				continue
			}
			out = decode(s.Do.OnError.Default)
		}
		list = append(list, out)
	}
	return list, notes, failed
}

func itemFailed(i int, err error) error {
	f := *fault.As(err)
	f.Message = "Item " + strconv.Itoa(i) + ": " + f.Message
	return &f
}

// each does one item. What it gives is remembered until the map is done, so
// that a resumption does the rest only.
func (w *work) each(ctx context.Context, i int, item any) (any, error) {
	data := maps.Clone(w.data)
	data["item"], data["index"] = item, json.Number(strconv.Itoa(i))
	one := &work{runner: w.runner, s: w.s.Do, top: w.top, data: data, item: i, tally: w.tally}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	ctx, ended := w.span(ctx, w.top.ID, w.s.Do.Type, i)
	v, err := one.try(ctx)
	res := &Result{Status: OK}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		res.Status, res.Error = Canceled, failure(err)
	default:
		res.Status, res.Error = Failed, failure(err)
	}
	ended(res)
	return v, err
}
