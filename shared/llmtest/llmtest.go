// Package llmtest holds what tests of providers and of their users share:
// golden conversations with an upstream, and a scripted provider.
//
// A golden case is a txtar file:
//
//	Free text, and directives of one line each:
//	need: text                  the request's Need asks for parsed text
//	bound: N                    the gateway bounds the answer to N tokens, and the client does not
//	-- client.json --           the client's body
//	-- upstream.request --      method, path and body that the adapter must send (-update rewrites it)
//	-- upstream.response --     a status line, header lines, a blank line, the body
//	-- want --                  the events, one per line, then what else there is to say (-update rewrites it)
//
// In the response these headers are not sent, but obeyed:
//
//	X-Newline: crlf             the body's lines end in CR LF
//	X-Cut: N                    the last N bytes of the body are left out (txtar always ends in a newline)
//	X-Deliver: split=N          the body is sent N bytes at a time (bytewise: one at a time)
//	X-Deliver: reset-at-end     the connection breaks after the body
//	X-Deliver: hang=N           nothing follows the body; the client leaves after N events (0: after the body)
//
// An adapter that refuses a request by itself needs no upstream.response. The
// body's gateway.strict becomes Request.Strict.
package llmtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

var update = flag.Bool("update", false, "rewrite what the golden cases want")

const patience = 10 * time.Second

// Option changes how cases are run.
type Option func(*options)

type options struct {
	header         http.Header
	encode         func(body []byte) []byte
	returns, frees time.Duration // how long Complete may take to return, and then to free the connection
}

// WantHeader makes every request without that header an error: credentials,
// protocol versions.
func WantHeader(name, value string) Option {
	return func(o *options) { o.header.Set(name, value) }
}

// Encode turns the body of upstream.response into what is sent, for protocols
// that are not text.
func Encode(f func(body []byte) []byte) Option {
	return func(o *options) { o.encode = f }
}

// Patience is how long a run may take to return, and then to free its
// connection: at once, but a machine may be slow, so ten seconds each by
// default. They only ever pass when something is broken.
func Patience(returns, frees time.Duration) Option {
	return func(o *options) { o.returns, o.frees = returns, frees }
}

// Provider runs the cases of dir/*.txtar against the provider that open
// returns for an upstream at baseURL (scheme, host and port). Each case runs
// with the answer delivered as it stands and byte by byte, which must make no
// difference, and, if it has events, with an emit that fails: Complete must
// then return that error, call emit no more and let go of the connection. What
// the model wrote must count the same, and once, whether its text is needed or
// not: where upstreams report no usage it is what users pay for.
func Provider(t *testing.T, open func(baseURL string) llm.Provider, dir string, opts ...Option) {
	each(t, dir, opts, func(t *testing.T, c *testCase) {
		got := c.complete(t, open, asWritten)
		c.check(t, got)
		if bytewise := c.complete(t, open, byteByByte); bytewise.text != got.text {
			t.Errorf("byte by byte, the events are others (-as written +bytewise):\n%s", cmp.Diff(got.text, bytewise.text))
		}
		if got.events > 0 {
			c.complete(t, open, emitFails)
			c.counts(t, open)
		}
	})
}

// Embedder is Provider for embedders.
func Embedder(t *testing.T, open func(baseURL string) llm.Embedder, dir string, opts ...Option) {
	each(t, dir, opts, func(t *testing.T, c *testCase) {
		got := c.embed(t, open, asWritten)
		c.check(t, got)
		if bytewise := c.embed(t, open, byteByByte); bytewise.text != got.text {
			t.Errorf("byte by byte, the answer is another (-as written +bytewise):\n%s", cmp.Diff(got.text, bytewise.text))
		}
	})
}

type testCase struct {
	options
	path    string
	archive *txtar.Archive
}

// outcome is what a run looked like.
type outcome struct {
	request string // that reached the upstream
	text    string // events, dropped fields, error
	events  int
	counted int64 // bytes that the model wrote, as the events say
	read    int64 // in their parsed fields
}

func each(t *testing.T, dir string, opts []Option, run func(*testing.T, *testCase)) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases in %s: %v", dir, err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			c := &testCase{path: path, archive: archive, options: options{
				header: http.Header{"Content-Type": {"application/json"}}, returns: patience, frees: patience}}
			for _, o := range opts {
				o(&c.options)
			}
			run(t, c)
		})
	}
}

func (c *testCase) section(name string) []byte {
	for _, f := range c.archive.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

func (c *testCase) setSection(name, text string) {
	for i := range c.archive.Files {
		if c.archive.Files[i].Name == name {
			c.archive.Files[i].Data = []byte(text)
			return
		}
	}
	c.archive.Files = append(c.archive.Files, txtar.File{Name: name, Data: []byte(text)})
}

func (c *testCase) directive(line string) bool {
	return bytes.Contains(append([]byte{'\n'}, c.archive.Comment...), []byte("\n"+line+"\n"))
}

// bound is the one that the gateway sets; 0 if it sets none.
func (c *testCase) bound(t *testing.T) (n int64) {
	t.Helper()
	for line := range strings.Lines(string(c.archive.Comment)) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "bound: "); ok {
			var err error
			if n, err = strconv.ParseInt(text, 10, 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	return n
}

// check compares an outcome with the file, or rewrites the file.
func (c *testCase) check(t *testing.T, got outcome) {
	t.Helper()
	if *update {
		c.setSection("upstream.request", got.request)
		c.setSection("want", got.text)
		if err := os.WriteFile(c.path, txtar.Format(c.archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(c.section("upstream.request")), got.request); diff != "" {
		t.Errorf("request to the upstream (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(string(c.section("want")), got.text); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

var errEmit = errors.New("the client's connection broke")

// counts checks what the events of a case count as.
func (c *testCase) counts(t *testing.T, open func(string) llm.Provider) {
	t.Helper()
	if r, err := parseResponse(c.section("upstream.response"), nil); err == nil && r.hang >= 0 {
		return // how much comes before the client leaves is another matter
	}
	unread, read := c.answer(t, open, asWritten, 0), c.answer(t, open, asWritten, llm.NeedText)
	if unread.counted != read.counted || read.counted != read.read {
		t.Errorf("the model wrote %d bytes if nobody reads them, %d if somebody does, in fields of %d: want one number", unread.counted, read.counted, read.read)
	}
}

func (c *testCase) complete(t *testing.T, open func(string) llm.Provider, mode mode) outcome {
	t.Helper()
	if c.directive("need: text") {
		return c.answer(t, open, mode, llm.NeedText)
	}
	return c.answer(t, open, mode, 0)
}

func (c *testCase) answer(t *testing.T, open func(string) llm.Provider, mode mode, need llm.Need) outcome {
	t.Helper()
	req, err := llm.ParseRequest(bytes.TrimSpace(c.section("client.json")))
	if err != nil {
		t.Fatalf("client.json: %v", err)
	}
	req.ID, req.Model = "req_test", unprefixed(req.Model)
	req.Strict = strict(req.Fields)
	req.Need = need
	if n := c.bound(t); n > 0 {
		req.MaxTokens = n
	}
	up := c.serve(t, mode)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	defer up.watch(cancel)()
	up.leave(ctx, cancel, 0)

	var out outcome
	var b strings.Builder
	err = open(up.URL).Complete(ctx, req, func(e *llm.Event) error {
		out.events++
		out.counted += e.Generated()
		fields := *e
		fields.Raw, fields.Repeats = nil, false
		out.read += fields.Generated()
		b.WriteString(Format(e) + "\n")
		up.leave(ctx, cancel, out.events)
		if mode == emitFails {
			return errEmit
		}
		return nil
	})
	if mode == emitFails {
		if !errors.Is(err, errEmit) || out.events != 1 {
			t.Errorf("emit failed, then: %d more events, error %v, want 0 and emit's own", out.events-1, err)
		}
		err = nil
	}
	if len(req.Dropped) > 0 {
		fmt.Fprintf(&b, "dropped: %s\n", strings.Join(req.Dropped, ", "))
	}
	b.WriteString(formatError(t, err))
	out.request, out.text = up.finish(t), b.String()
	return out
}

func (c *testCase) embed(t *testing.T, open func(string) llm.Embedder, mode mode) outcome {
	t.Helper()
	req, err := llm.ParseEmbedRequest(bytes.TrimSpace(c.section("client.json")))
	if err != nil {
		t.Fatalf("client.json: %v", err)
	}
	req.ID, req.Model = "req_test", unprefixed(req.Model)
	req.Strict = strict(req.Fields)
	up := c.serve(t, mode)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	defer up.watch(cancel)()
	up.leave(ctx, cancel, 0)

	var b strings.Builder
	got, err := open(up.URL).Embed(ctx, req)
	if (got == nil) == (err == nil) {
		t.Errorf("Embed = %v, %v; want one of them", got, err)
	}
	if got != nil {
		b.WriteString(formatEmbeddings(got))
	}
	if len(req.Dropped) > 0 {
		fmt.Fprintf(&b, "dropped: %s\n", strings.Join(req.Dropped, ", "))
	}
	b.WriteString(formatError(t, err))
	return outcome{request: up.finish(t), text: b.String()}
}

func unprefixed(model string) string {
	if _, rest, ok := strings.Cut(model, "/"); ok {
		return rest
	}
	return model
}

func strict(fields []rawjson.Field) bool {
	var g struct{ Strict bool }
	return json.Unmarshal(rawjson.Get(fields, "gateway"), &g) == nil && g.Strict
}

// formatError writes "error: kind status code message param" and checks that
// the error is what Provider promises.
func formatError(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		t.Errorf("error %v is a %T, want a *fault.Error", err, err)
		f = fault.As(err)
	}
	if f.Provider == "" && f.Kind != fault.Invalid {
		t.Errorf("error %v names no provider", err)
	}
	s := fmt.Sprintf("error: %s %d code=%q message=%q param=%q", f.Kind, f.Status, f.Code, f.Message, f.Param)
	if f.RetryAfter > 0 {
		s += " retry-after=" + f.RetryAfter.String()
	}
	return s + "\n"
}
