package openai

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/sse"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

const (
	// introductions is in how many chunks id and model are looked for: Azure
	// leaves them empty in its first one.
	introductions = 4
	// grace is how long the end of a body may take after [DONE]. A connection
	// whose answer was not read to its end cannot be used again.
	grace = 100 * time.Millisecond
)

// stream is the state of one stream's relay. Its buffers outlive it.
type stream struct {
	reader *sse.Reader
	ev     llm.Event
	fields []rawjson.Field

	c        *upstream.Client
	header   http.Header
	need     llm.Need
	emit     func(*llm.Event) error
	chunks   int
	named    bool  // id or model was found
	finished int64 // choices that have a finish_reason
	counted  bool  // the chunk with nothing but the usage came, which is the last
}

var streams = sync.Pool{New: func() any { return &stream{reader: sse.NewReader(nil)} }}

// relay passes a stream on, event by event. cancel ends the request.
func relay(ctx context.Context, cancel context.CancelFunc, c *upstream.Client, resp *http.Response, req *llm.Request, emit func(*llm.Event) error) error {
	defer resp.Body.Close()
	s := streams.Get().(*stream)
	defer s.release()
	s.c, s.header, s.need, s.emit = c, resp.Header, req.Need, emit
	s.reader.Reset(resp.Body)
	for {
		ev, err := s.reader.Next()
		switch {
		case err == io.EOF:
			if s.chunks > 0 && (s.counted || s.finished >= req.N) {
				return nil // some servers forget [DONE]
			}
			return c.Broken("ended its stream early", nil)
		case err == sse.ErrTooLarge:
			return c.Broken("sent too large an event", err)
		case err != nil:
			return c.NetError(ctx, err)
		}
		done, err := s.chunk(ev)
		if err != nil {
			return err
		}
		if done {
			drain(resp.Body, cancel)
			return nil
		}
	}
}

// release gives back the buffers, and nothing that the stream referred to.
func (s *stream) release() {
	s.reader.Reset(nil)
	clear(s.fields[:cap(s.fields)])
	*s = stream{reader: s.reader, fields: s.fields[:0]}
	streams.Put(s)
}

// drain reads what follows [DONE], which is nothing, to the end of the answer.
func drain(body io.Reader, cancel context.CancelFunc) {
	timer := time.AfterFunc(grace, cancel)
	defer timer.Stop()
	io.Copy(io.Discard, io.LimitReader(body, 64<<10))
}

// chunk passes one event on. done says that it was the terminal one.
func (s *stream) chunk(e sse.Event) (done bool, err error) {
	raw := e.Data
	if len(raw) == 0 || raw[0] != '{' || raw[len(raw)-1] != '}' {
		raw = bytes.TrimSpace(raw)
		switch {
		case len(raw) == 0:
			return false, nil // a way of keeping the connection alive
		case string(raw) == "[DONE]":
			if s.chunks == 0 {
				return false, s.c.Broken("sent an empty stream", nil)
			}
			return true, nil
		case raw[0] != '{' || raw[len(raw)-1] != '}':
			return false, s.c.Broken("sent a chunk that is not JSON", excerpt(raw))
		}
	}
	if bytes.IndexByte(raw, '\n') >= 0 { // data of several lines, which a relay must not break again
		var one bytes.Buffer
		if err := json.Compact(&one, raw); err != nil {
			return false, s.c.Broken("sent a chunk that is not JSON", errors.Join(err, excerpt(raw)))
		}
		raw = one.Bytes()
	}
	s.chunks++
	if len(e.Name) == 5 && string(e.Name) == "error" {
		return false, reported(s.c, s.header, raw)
	}
	if s.need&llm.NeedText == 0 && (s.named || s.chunks > introductions) {
		if n, ok := plain(raw); ok {
			s.ev = llm.Event{Raw: raw, More: s.reader.More(), Bytes: n}
			return false, s.emit(&s.ev)
		}
	}
	return false, s.parsed(raw)
}

// parsed passes on a chunk that says more than text, or whose text is needed.
func (s *stream) parsed(raw []byte) error {
	fields, err := rawjson.Object(s.fields[:0], raw, maxDepth)
	s.fields = fields
	if err != nil {
		return s.c.Broken("sent a chunk that is not JSON", errors.Join(err, excerpt(raw)))
	}
	if reportsError(fields) {
		return reported(s.c, s.header, raw)
	}
	a := answer{raw: raw, fields: fields}
	choices := a.choices()
	usage := parseUsage(rawjson.Get(fields, "usage"))
	s.counted = s.counted || usage != nil && len(choices) == 0
	for i := range choices {
		if choices[i].finish != "" {
			s.finished++
		}
	}
	if len(choices) > 1 {
		return s.split(&a, choices, usage)
	}
	s.ev = llm.Event{}
	if len(choices) == 1 {
		s.ev = *choices[0].event(s.need)
		s.ev.Bytes, _ = generated(choices[0].content, 0)
	}
	s.introduce(&a)
	s.ev.Raw, s.ev.More, s.ev.Usage = raw, s.reader.More(), usage
	s.ev.UsageOnly = usage != nil && len(choices) == 0
	return s.emit(&s.ev)
}

func (s *stream) introduce(a *answer) {
	if !s.named && s.chunks <= introductions {
		a.describe(&s.ev)
		s.named = s.ev.ID != "" || s.ev.Model != ""
	}
}

// split makes one chunk per choice of a chunk that holds several. Only the
// last of them keeps the usage.
func (s *stream) split(a *answer, choices []choice, usage *llm.Usage) error {
	more := s.reader.More()
	for i := range choices {
		list := append(append([]byte{'['}, choices[i].value...), ']')
		edits := []rawjson.Edit{{Name: "choices", Value: list}, {Name: "usage"}}
		last := i == len(choices)-1
		if last {
			edits = edits[:1]
		}
		s.ev = *choices[i].event(s.need)
		s.ev.Bytes, _ = generated(choices[i].content, 0)
		s.introduce(a)
		s.ev.Raw, s.ev.More = rawjson.Apply(nil, a.raw, a.fields, edits...), more || !last
		if last {
			s.ev.Usage = usage
		}
		if err := s.emit(&s.ev); err != nil {
			return err
		}
	}
	return nil
}
