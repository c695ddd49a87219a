package lambdahttp

import (
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strings"
)

// writer is the handler's http.ResponseWriter. As with net/http, only one
// goroutine may use it at a time.
type writer struct {
	header http.Header
	pipe   *io.PipeWriter
	noBody bool // what is written is counted, but not sent: HEAD

	status int         // 0 until the head is sent
	sent   http.Header // what the prelude says
	head   chan struct{}
}

func (w *writer) Header() http.Header { return w.header }

func (w *writer) WriteHeader(code int) {
	if code < 100 || code > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", code)) // as net/http does
	}
	if w.status != 0 || code < 200 { // there is one head only, and no early hints
		return
	}
	w.send(code, outgoing(w.header))
}

func (w *writer) send(code int, h http.Header) {
	w.status, w.sent = code, h
	close(w.head)
}

// fail answers 500 in place of the handler.
func (w *writer) fail(id string) {
	w.send(http.StatusInternalServerError, errorHeader(w.header, id))
	if !w.noBody {
		io.WriteString(w.pipe, internal)
	}
}

// Write sends p at once: the pipe has no buffer, and the runtime's client
// flushes each read.
func (w *writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		if len(p) > 0 && w.header["Content-Type"] == nil && w.header["Content-Encoding"] == nil {
			w.header.Set("Content-Type", http.DetectContentType(p)) // as net/http does
		}
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.status == http.StatusNoContent || w.status == http.StatusNotModified:
		return 0, http.ErrBodyNotAllowed
	case w.noBody || len(p) == 0: // an empty write to the pipe would wait for a reader
		return len(p), nil
	}
	return w.pipe.Write(p)
}

// Flush sends the head if nothing has yet; what is written is flushed anyway.
func (w *writer) Flush() { w.WriteHeader(http.StatusOK) }

// hopByHop are the headers that belong to a connection, which is not ours but
// API Gateway's. A wrong Content-Length would cut the answer off.
var hopByHop = map[string]bool{
	"Connection": true, "Content-Length": true, "Keep-Alive": true, "Proxy-Connection": true,
	"Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
}

// outgoing copies h as far as it may be sent.
func outgoing(h http.Header) http.Header {
	sent := make(http.Header, len(h))
	for name, values := range h {
		if hopByHop[http.CanonicalHeaderKey(name)] || !isToken(name) || len(values) == 0 { // no token: also http.TrailerPrefix
			continue
		}
		clean := make([]string, len(values))
		for i, v := range values {
			clean[i] = oneLine.Replace(v)
		}
		sent[name] = clean
	}
	return sent
}

var oneLine = strings.NewReplacer("\r", " ", "\n", " ")

// stack is the trace of the goroutine that panics, cut to what one line of a
// log can carry.
func stack() string {
	s := debug.Stack()
	return string(s[:min(len(s), 8<<10)])
}
