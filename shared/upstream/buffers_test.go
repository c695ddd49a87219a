package upstream_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"testing"

	"github.com/devmentor/ai-gateway/shared/upstream"
)

// long is a body for which memory is lent, whether or not tests are run with
// the race detector.
const long = 60_000

// lend returns Buffers with a body in them, and the context for calls.
func lend(t *testing.T) (*upstream.Buffers, context.Context, []byte) {
	t.Helper()
	b := &upstream.Buffers{}
	body := append(b.Bytes(long), bytes.Repeat([]byte("x"), long)...)
	return b, b.Context(t.Context()), body
}

func TestBuffersAreUsedAgain(t *testing.T) {
	var got []byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got, _ = io.ReadAll(r.Body) }))
	defer server.Close()
	b, ctx, body := lend(t)
	for range 2 { // the second time over a connection that is there
		c := &upstream.Client{Provider: "p", HTTP: upstream.NewTransport()}
		for range 2 {
			resp, err := c.Post(ctx, server.URL, http.Header{}, body)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.ReadAll(ctx, resp); err != nil || !bytes.Equal(got, body) {
				t.Fatalf("upstream got %d bytes, %v, want the body", len(got), err)
			}
		}
		c.HTTP.(*http.Transport).CloseIdleConnections()
	}
	if !b.Release() {
		t.Error("Release = false although every body was written, want true")
	}
}

func TestBuffersWithoutCalls(t *testing.T) {
	b, _, _ := lend(t)
	if !b.Release() {
		t.Error("Release = false although nothing was sent, want true")
	}
}

// TestBuffersWhileTheyAreRead has answers come while the bodies are being
// written, and written they stay: to a pipe, which holds nothing, whose other end
// reads the head of a request only.
func TestBuffersWhileTheyAreRead(t *testing.T) {
	for _, answer := range []string{"200 OK", "413 Content Too Large"} {
		b := &upstream.Buffers{}
		want := bytes.Repeat([]byte("x"), 200_000) // more than a transport gathers
		body := append(b.Bytes(len(want)), want...)
		near, far := net.Pipe()
		transport := upstream.NewTransport()
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return unclosed{near}, nil }
		go func() {
			http.ReadRequest(bufio.NewReaderSize(far, 16))
			io.WriteString(far, "HTTP/1.1 "+answer+"\r\nContent-Length: 2\r\n\r\n{}")
		}()
		ctx := b.Context(t.Context())
		c := &upstream.Client{Provider: "p", HTTP: transport}
		if resp, err := c.Post(ctx, "http://upstream/", http.Header{}, body); err == nil {
			c.ReadAll(ctx, resp)
		}
		if b.Release() {
			t.Errorf("%s: Release = true while the transport writes the body, want false", answer)
		}
		if !bytes.Equal(body, want) {
			t.Errorf("%s: the body changed while the transport writes it", answer)
		}
		near.Close()
		far.Close()
	}
}

// unclosed is a connection that a transport cannot close.
type unclosed struct{ net.Conn }

func (unclosed) Close() error { return nil }

// hooks is a transport that tells of its work in the given steps.
type hooks string

func (h hooks) RoundTrip(r *http.Request) (*http.Response, error) {
	trace := httptrace.ContextClientTrace(r.Context())
	for _, step := range h {
		switch step {
		case 'c':
			trace.GotConn(httptrace.GotConnInfo{})
		case 'w':
			trace.WroteRequest(httptrace.WroteRequestInfo{})
		}
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

func TestBuffersWhoKnows(t *testing.T) {
	for name, tc := range map[string]struct {
		calls []hooks
		want  bool
	}{
		"one write":                        {[]hooks{"cw"}, true},
		"a race, both written":             {[]hooks{"cw", "cw"}, true},
		"a race, one is written still":     {[]hooks{"cw", "c"}, false},
		"a transport that does not tell":   {[]hooks{""}, false},
		"a second connection, not written": {[]hooks{"ccw"}, false},
		"a second connection, written":     {[]hooks{"cwcw"}, false},
		"a write without a connection":     {[]hooks{"w"}, false},
	} {
		b, ctx, body := lend(t)
		for _, call := range tc.calls {
			c := &upstream.Client{Provider: "p", HTTP: call}
			if _, err := c.Post(ctx, "http://upstream/", http.Header{}, body); err != nil {
				t.Fatal(err)
			}
		}
		if got := b.Release(); got != tc.want {
			t.Errorf("%s: Release = %v, want %v", name, got, tc.want)
		}
	}
}

// TestBuffersAfterRelease is about work that outlives its request: it has memory
// of its own.
func TestBuffersAfterRelease(t *testing.T) {
	b, ctx, _ := lend(t)
	b.Release()
	late := append(upstream.BuffersOf(ctx).Bytes(long), "late"...)
	again, _, _ := lend(t)
	defer again.Release()
	if string(late) != "late" {
		t.Errorf("memory lent after Release holds %.8q, want its own", late)
	}
	c := &upstream.Client{Provider: "p", HTTP: http.RoundTripper(roundTrip(func(r *http.Request) (*http.Response, error) {
		if httptrace.ContextClientTrace(r.Context()) != nil {
			t.Error("a call after Release is followed")
		}
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	}))}
	if _, err := c.Post(ctx, "http://upstream/", http.Header{}, late); err != nil {
		t.Fatal(err)
	}
}

func TestBuffersOfEverySize(t *testing.T) {
	var none *upstream.Buffers
	for _, size := range []int{0, 1, 512, 16 << 10, 16<<10 + 1, 32 << 10, 32<<10 + 1, 50_000, 64 << 10, 256 << 10, 256<<10 + 1, 6 << 20} {
		b := &upstream.Buffers{}
		for _, lender := range []*upstream.Buffers{none, b, b} {
			if got := lender.Bytes(size); len(got) != 0 || cap(got) < size || size > 0 && cap(got) > max(2*size, 32<<10) {
				t.Errorf("Bytes(%d) has length %d and room for %d", size, len(got), cap(got))
			}
		}
		if !b.Release() {
			t.Errorf("Release = false after Bytes(%d)", size)
		}
	}
	if upstream.BuffersOf(t.Context()) != nil {
		t.Error("BuffersOf finds some where there are none")
	}
}
