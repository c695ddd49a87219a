package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/clip"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/upstream"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Chat serves POST /ai/chat/completions.
func (s *Server) Chat() http.Handler {
	return s.endpoint("POST", func(v *visit) error {
		v.buffers = &upstream.Buffers{}
		err := s.infer(v, "chat", s.chat)
		v.buffers.Release() // unless it panicked: who knows what still runs then
		return err
	})
}

func (s *Server) chat(ctx context.Context, v *visit, c *gateway.Call, body []byte) error {
	var out answer
	defer func() {
		if st, ok := out.(*stream); ok {
			st.stop() // if it panicked, nobody else would stop the heartbeat
		}
	}()
	c.Admitted = func() { out = newAnswer(v, c) }
	err := s.Gateway.Chat(v.buffers.Context(ctx), c, body, func(e *llm.Event) error { return out.event(e) })
	if out != nil {
		err = out.end(err)
	}
	return err
}

// infer is the frame of every request that runs a model: the key, the body,
// the work, the answer to a failure, and the books, which are closed whatever
// happens and before the response ends.
func (s *Server) infer(v *visit, operation string, work func(context.Context, *visit, *gateway.Call, []byte) error) (err error) {
	ctx := v.r.Context()
	if s.Open != nil {
		defer s.Open()()
	}
	end := func(*usage.Record) {}
	if s.Trace != nil {
		route := v.r.URL.Path // which is the pattern of most
		if strings.Contains(v.r.Pattern, "{") {
			route = v.r.Pattern
		}
		ctx, end = s.Trace(ctx, v.r, unversioned(route))
	}
	ctx, cancel := context.WithDeadlineCause(ctx, v.start.Add(admission.Lifetime), errTooLong)
	defer cancel()
	c, err := s.begin(v, operation)
	defer func() {
		p := recover()
		if p != nil {
			err = fault.New(fault.Internal, "Internal error.")
		}
		if err != nil && !v.sent {
			writeCallHeaders(v.Header(), c)
			writeError(v, err)
		}
		s.Gateway.Settle(ctx, c, outcome(v, err), err)
		end(&c.Record)
		if p != nil {
			panic(p)
		}
	}()
	if err != nil {
		return err
	}
	body, err := v.body()
	if err != nil {
		return s.Gateway.Refuse(ctx, c, err)
	}
	return work(ctx, v, c, body)
}

// errTooLong ends what would outlive its lease: that is settled, by whoever
// finds it, as if the request were dead. Lambda's own deadline comes earlier.
var errTooLong = fault.New(fault.Timeout, "The request took longer than %s.", admission.Lifetime)

// answer renders events for the client. end gets what Gateway.Chat returned;
// it returns what remains an error for the caller to tell, or to log.
type answer interface {
	event(*llm.Event) error
	end(error) error
}

func newAnswer(v *visit, c *gateway.Call) answer {
	if c.Record.Stream {
		return newStream(v, c)
	}
	return &whole{v: v, c: c}
}

// outcome is the status for the books: what the client got, or 499 if it left.
func outcome(v *visit, err error) int {
	switch {
	case clientLeft(v.r.Context(), err):
		return kinds[fault.Canceled].status
	case v.sent:
		return v.status
	}
	return Status(err)
}

// maxDropped is how many bytes of names a header may have: clients give up on
// answers with long ones.
const maxDropped = 2 << 10

// writeCallHeaders tells what is known of the call so far.
func writeCallHeaders(h http.Header, c *gateway.Call) {
	limits(h, c.Grant.Limits)
	r := &c.Record
	if r.Provider != "" {
		h["X-Gateway-Provider"] = []string{r.Provider}
		h["X-Gateway-Model"] = []string{r.Model}
		h["X-Gateway-Attempts"] = []string{strconv.Itoa(r.Attempts)}
		cache := c.Cache
		if cache == "" {
			cache = "bypass"
		}
		h["X-Gateway-Cache"] = []string{cache}
	}
	if len(c.Dropped) > 0 {
		names := strings.Join(c.Dropped, ", ")
		if len(names) > maxDropped {
			names = clip.To(names, maxDropped) + " ..."
		}
		h["X-Gateway-Dropped"] = []string{names}
	}
	if c.Assembly != nil {
		h["X-Gateway-Context"] = []string{c.Assembly.Account.Header()}
	}
	if len(r.Skipped) > 0 {
		h["X-Gateway-Skipped"] = []string{strings.Join(r.Skipped, ", ")}
	}
	h["X-Gateway-Overhead-Ms"] = []string{strconv.FormatFloat(float64(c.Overhead().Microseconds())/1e3, 'f', 3, 64)}
}

// writeFinalHeaders is writeCallHeaders for an answer that is complete: what it
// costs is known.
func writeFinalHeaders(h http.Header, c *gateway.Call) {
	writeCallHeaders(h, c)
	h["X-Gateway-Cost-Usd"] = []string{c.Record.Cost.USD()}
}

// whole is an answer in one JSON object.
type whole struct {
	v    *visit
	c    *gateway.Call
	sum  llm.Answer
	sent bool
}

func (a *whole) event(e *llm.Event) error {
	if e.Raw == nil {
		a.sum.Add(e)
		return nil
	}
	a.sent = true
	return a.write(e.Raw)
}

func (a *whole) end(err error) error {
	if err != nil || a.sent {
		return err
	}
	return a.write(appendCompletion(nil, &a.sum, a.c))
}

func (a *whole) write(body []byte) error {
	if as := a.c.Assembly; as != nil {
		body = addMember(nil, body, "gateway", appendAssembly(nil, as))
	}
	writeFinalHeaders(a.v.Header(), a.c)
	writeJSON(a.v, http.StatusOK, body)
	return nil
}
