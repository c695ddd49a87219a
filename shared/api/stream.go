package api

import (
	"bytes"

	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// stream is a chat's answer in OpenAI's chunks. They are written in one piece
// as far as the upstream has them at hand.
type stream struct {
	*events
	head chunkHead

	started   []bool // choices that have had their role
	usage     bool   // the usage chunk is out
	assembled bool   // how the prompt was put together is out
}

func newStream(v *visit, c *gateway.Call) *stream { return &stream{events: newEvents(v, c)} }

func (s *stream) event(e *llm.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case e.UsageOnly && !s.c.IncludeUsage():
		return nil // asked for by us, not by the client
	case e.Raw != nil && e.UsageOnly:
		s.usage = true
		s.data(appendGateway(nil, e.Raw, s.c))
	case e.Raw != nil:
		s.head.learn(e)
		s.data(s.withAssembly(e.Raw))
	case e.UsageOnly:
		s.usage = true
		s.data(s.head.appendUsage(nil, s.c))
	default:
		s.head.learn(e)
		s.parsed(e)
	}
	if e.More && s.buf.Len() < fullBuffer {
		return nil
	}
	return s.flush()
}

// parsed writes an event that did not come in OpenAI's format. Its usage waits
// for the end: there it stands in a chunk of its own.
func (s *stream) parsed(e *llm.Event) {
	for len(s.started) <= e.Index {
		s.started = append(s.started, false)
	}
	role := !s.started[e.Index]
	s.started[e.Index] = true
	if e.Usage != nil && e.Text == "" && e.Finish == "" && len(e.Tools) == 0 && e.Reasoning == "" && e.Thinking == nil && e.Refusal == "" {
		s.started[e.Index] = !role
		return
	}
	s.data(s.withAssembly(s.head.appendChunk(nil, e, role, s.c)))
}

// withAssembly adds to the first chunk what is known of the prompt: sources
// can be shown before the answer cites them.
func (s *stream) withAssembly(chunk []byte) []byte {
	a := s.c.Assembly
	if a == nil || s.assembled {
		return chunk
	}
	s.assembled = true
	return addMember(nil, chunk, "gateway", appendAssembly(nil, a))
}

// end closes the stream. After the first byte an error can only be told inside
// it; before, it is returned for a proper status.
func (s *stream) end(err error) error {
	if err != nil && s.empty() {
		return err
	}
	defer s.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		if clientLeft(s.v.r.Context(), err) {
			return err
		}
		s.data(s.head.appendFailure(nil, err, s.c))
		_ = s.flush()
		return err
	}
	if s.c.IncludeUsage() && !s.usage {
		s.data(s.head.appendUsage(nil, s.c))
	}
	s.buf.WriteString("data: [DONE]\n\n")
	return s.flush()
}

// appendGateway adds our own figures to the upstream's usage chunk.
func appendGateway(dst, chunk []byte, c *gateway.Call) []byte {
	end := bytes.LastIndexByte(chunk, '}')
	dst = append(dst, chunk[:end]...)
	dst = append(dst, `,"gateway":`...)
	dst = appendFigures(dst, c)
	return append(dst, '}')
}

// appendFigures writes the gateway object of a usage chunk.
func appendFigures(dst []byte, c *gateway.Call) []byte {
	dst = append(dst, `{"request_id":`...)
	dst = rawjson.AppendString(dst, c.Record.ID)
	dst = append(dst, `,"provider":`...)
	dst = rawjson.AppendString(dst, c.Record.Provider)
	dst = append(dst, `,"model":`...)
	dst = rawjson.AppendString(dst, c.Record.Model)
	dst = append(dst, `,"cost_usd":`...)
	dst = append(dst, c.Record.Cost.USD()...)
	if c.Record.Estimated {
		dst = append(dst, `,"estimated":true`...)
	}
	if c.Record.Unpriced {
		dst = append(dst, `,"unpriced":true`...)
	}
	return append(dst, '}')
}
