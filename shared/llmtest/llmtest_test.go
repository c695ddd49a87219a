package llmtest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/llmtest"
	"github.com/devmentor/ai-gateway/shared/sse"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

// relay is the least that an adapter can be. The flags break its contract.
type relay struct {
	url                                                       string
	noKey, keepGoing, noClose, twice, lines, foreign, doubles bool
}

func (p *relay) client() *upstream.Client {
	return &upstream.Client{Provider: "relay", HTTP: http.DefaultTransport}
}

func (p *relay) post(ctx context.Context, path string, body []byte) (*http.Response, error) {
	h := http.Header{}
	if !p.noKey {
		h.Set("Authorization", "Bearer k")
	}
	if p.twice {
		if resp, err := p.client().Post(ctx, p.url+path, h, body); err == nil {
			resp.Body.Close()
		}
	}
	return p.client().Post(ctx, p.url+path, h, body)
}

func (p *relay) Complete(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
	if err := req.Drop("relay", "model", "messages", "stream"); err != nil {
		return err
	}
	resp, err := p.post(ctx, "/chat", req.Raw)
	if err != nil {
		if p.foreign {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	if !p.noClose {
		defer resp.Body.Close()
	}
	if p.lines { // an event per read, however the bytes arrive
		for buf := make([]byte, 1024); ; {
			n, err := resp.Body.Read(buf)
			if n > 0 {
				if err := emit(&llm.Event{Raw: buf[:n]}); err != nil {
					return err
				}
			}
			if err != nil {
				return nil
			}
		}
	}
	for r := sse.NewReader(resp.Body); ; {
		ev, err := r.Next()
		if err == io.EOF {
			return p.client().Broken("ended its stream early", nil)
		}
		if err != nil {
			return p.client().NetError(ctx, err)
		}
		if string(ev.Data) == "[DONE]" {
			return nil
		}
		e := &llm.Event{Raw: ev.Data, Bytes: len(ev.Data)}
		if req.Need&llm.NeedText != 0 { // all that it sends is text
			e.Text = string(ev.Data)
			if p.doubles {
				e.Bytes += len(e.Text)
			}
		}
		if err := emit(e); err != nil && !p.keepGoing {
			return err
		}
	}
}

func (p *relay) Embed(ctx context.Context, req *llm.EmbedRequest) (*llm.Embeddings, error) {
	resp, err := p.post(ctx, "/embeddings", req.Raw)
	if err != nil {
		return nil, err
	}
	raw, err := p.client().ReadAll(ctx, resp)
	if err != nil {
		return nil, err
	}
	return &llm.Embeddings{Raw: raw, Vectors: [][]float32{{0.5, -1}}}, nil
}

func TestProvider(t *testing.T) {
	open := func(url string) llm.Provider { return &relay{url: url} }
	llmtest.Provider(t, open, "testdata/chat", llmtest.WantHeader("Authorization", "Bearer k"))
}

func TestEmbedder(t *testing.T) {
	open := func(url string) llm.Embedder { return &relay{url: url} }
	llmtest.Embedder(t, open, "testdata/embed", llmtest.WantHeader("Authorization", "Bearer k"))
}

const (
	soon = 200 * time.Millisecond // for what never comes: a slow machine only confirms it
	late = time.Minute            // for what comes
)

// broken is what the golden runner must find, by the variable's value.
var broken = map[string]struct {
	p              relay
	returns, frees time.Duration
	want           string // in the test's output
}{
	"no credentials":      {relay{noKey: true}, late, late, "header Authorization"},
	"emits after failure": {relay{keepGoing: true}, soon, late, "emit failed, then"},
	"never returns":       {relay{keepGoing: true}, soon, late, "did not return"},
	"holds the body":      {relay{noClose: true}, late, soon, "must close the answer's body"},
	"retries":             {relay{twice: true}, late, late, "sent 2 requests"},
	"events per read":     {relay{lines: true}, late, late, "byte by byte, the events are others"},
	"foreign errors":      {relay{foreign: true}, late, late, "want a *fault.Error"},
	"other options":       {relay{}, late, late, "request to the upstream (-want +got)"},
	"counts text twice":   {relay{doubles: true}, late, late, "17 bytes if nobody reads them, 34 if somebody does, in fields of 17"},
}

const variable = "LLMTEST_BROKEN"

// TestBroken is run by TestFindsWhatIsBroken in a process of its own, since it
// is meant to fail.
func TestBroken(t *testing.T) {
	which := os.Getenv(variable)
	if which == "" {
		return // it is TestFindsWhatIsBroken, below, that runs this
	}
	tc, dir := broken[which], "testdata/chat"
	if which == "other options" {
		dir = "testdata/stale"
	}
	open := func(url string) llm.Provider {
		p := tc.p
		p.url = url
		return &p
	}
	llmtest.Provider(t, open, dir, llmtest.WantHeader("Authorization", "Bearer k"), llmtest.Patience(tc.returns, tc.frees))
}

func TestFindsWhatIsBroken(t *testing.T) {
	for which, tc := range broken {
		t.Run(which, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBroken$")
			cmd.Env = append(os.Environ(), variable+"="+which)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), tc.want) {
				t.Errorf("exit %v, want a failure with %q:\n%s", err, tc.want, out)
			}
		})
	}
}

// fakeT counts failures instead of failing.
type fakeT struct {
	testing.TB
	failures int
}

func (f *fakeT) Errorf(string, ...any) { f.failures++ }

func TestScript(t *testing.T) {
	gone := fault.New(fault.Unavailable, "gone")
	ft := &fakeT{TB: t}
	s := &llmtest.Script{T: ft, Name: "a", Calls: []llmtest.Call{
		{Err: gone},
		{Events: []llm.Event{{Text: "x"}, {Raw: []byte("{}")}}, Err: gone},
		{Again: true, Events: []llm.Event{{Text: "y"}}},
		{},
	}}
	req := &llm.Request{ID: "1", Model: "m"}
	if err := s.Complete(t.Context(), req, nil); !errors.Is(err, fault.Unavailable) || fault.As(err).Provider != "a" || gone.Provider != "" {
		t.Errorf("first call: %v", err)
	}
	var kept *llm.Event
	var lines []string
	err := s.Complete(t.Context(), req, func(e *llm.Event) error {
		lines = append(lines, llmtest.Format(e))
		kept = e
		return nil
	})
	if diff := cmp.Diff([]string{`text="x"`, "raw={}"}, lines); diff != "" || !errors.Is(err, fault.Unavailable) {
		t.Errorf("second call: %v, %s", err, diff)
	}
	if string(kept.Raw) == "{}" {
		t.Error("an event that was kept must be spoilt")
	}
	if err := s.Complete(t.Context(), req, func(*llm.Event) error { return io.ErrClosedPipe }); err != io.ErrClosedPipe || ft.failures != 0 {
		t.Errorf("a continuation: %v, %d failures", err, ft.failures)
	}
	if s.Complete(t.Context(), req, nil) == nil || ft.failures != 1 {
		t.Errorf("a call after a committed stream: %d failures, want 1", ft.failures)
	}
	if s.Complete(t.Context(), &llm.Request{ID: "2"}, nil) == nil || ft.failures != 2 {
		t.Errorf("a call too many: %d failures, want 2", ft.failures)
	}
	if got := s.Requests(); len(got) != 5 || got[4].ID != "2" || got[0].Model != "m" {
		t.Errorf("Requests = %+v", got)
	}
	other := &llmtest.Script{T: ft, Commits: s.Commits, Calls: []llmtest.Call{{}}}
	if other.Complete(t.Context(), req, nil) == nil || ft.failures != 3 {
		t.Errorf("another target after a committed stream: %d failures, want 3", ft.failures)
	}
}

func TestScriptWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &llmtest.Script{T: t, Calls: []llmtest.Call{
			{Wait: time.Second, Events: []llm.Event{{Text: "x"}, {Text: "y"}}},
			{Wait: time.Second, Err: fault.New(fault.Upstream, "x")},
			{Events: []llm.Event{{Text: "x"}}, Hang: true},
			{Wait: time.Hour, Events: []llm.Event{{Text: "x"}}},
		}}
		for i, want := range []struct {
			after  time.Duration
			events int
			err    error
		}{{2 * time.Second, 2, nil}, {time.Second, 0, fault.Upstream}, {time.Minute, 1, fault.Timeout}, {time.Minute, 0, fault.Timeout}} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			start, n := time.Now(), 0
			err := s.Complete(ctx, &llm.Request{ID: string(rune('a' + i))}, func(*llm.Event) error { n++; return nil })
			if !errors.Is(err, want.err) || n != want.events || time.Since(start) != want.after {
				t.Errorf("call %d: %d events and %v after %v, want %d, %v, %v", i, n, err, time.Since(start), want.events, want.err, want.after)
			}
			cancel()
		}
	})
}
