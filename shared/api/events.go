package api

import (
	"bytes"
	"net/http"
	"sync"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
)

const (
	// heartbeat is how long a stream may be silent. Load balancers cut
	// connections that say nothing for a minute, or for 30 seconds.
	heartbeat = 15 * time.Second
	// fullBuffer is when a stream is written although more is about to come.
	fullBuffer = 16 << 10
)

// events is an answer in server-sent events. They are gathered until flush, and
// a comment says that it is alive while nothing happens. It is made as soon as
// the request has been admitted: what decides the status is the first event, or
// the first beat if a model takes longer to say anything.
type events struct {
	v  *visit
	c  *gateway.Call
	rc *http.ResponseController

	mu    sync.Mutex // against the heartbeat
	buf   *bytes.Buffer
	timer *time.Timer
	last  time.Time
	begun bool // the head is decided
	ended bool
}

var buffers = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, 2*fullBuffer)) }}

// newEvents begins a stream; the caller must stop it.
func newEvents(v *visit, c *gateway.Call) *events {
	s := &events{v: v, c: c, rc: http.NewResponseController(v), buf: buffers.Get().(*bytes.Buffer), last: time.Now()}
	s.buf.Reset()
	s.mu.Lock()
	s.timer = time.AfterFunc(heartbeat, s.beat)
	s.mu.Unlock()
	return s
}

// begin decides the head, once. Before the first event the call's record is
// still being written by others: nothing of it can be told. The caller holds mu.
func (s *events) begin(answered bool) {
	if s.begun {
		return
	}
	s.begun = true
	h := s.v.Header()
	h["Content-Type"] = []string{"text/event-stream"}
	h["Cache-Control"] = []string{"no-cache"}
	h["X-Accel-Buffering"] = []string{"no"} // NGINX must not gather the stream
	if answered {
		writeCallHeaders(h, s.c)
	} else {
		limits(h, s.c.Grant.Limits)
	}
}

// empty stops a stream in which nothing stands, and says whether it was one:
// then an error can have a status of its own.
func (s *events) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun || s.buf.Len() > 0 {
		return false
	}
	s.close()
	return true
}

// beat writes a comment if nothing else was written for a while.
func (s *events) beat() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	if idle := time.Since(s.last); idle < heartbeat {
		s.timer.Reset(heartbeat - idle)
		return
	}
	s.begin(false)
	// No empty line: OpenAI's SDK for Go took that for an event before v3.43.
	s.buf.WriteString(": ping\n")
	_ = s.flush() // if the client is gone, the next event will tell
	s.timer.Reset(heartbeat)
}

// stop ends the heartbeat: nothing is written any more. It may be called again.
func (s *events) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.close()
	}
}

// close ends the heartbeat and gives the buffer back. The caller holds mu.
func (s *events) close() {
	s.ended = true
	s.timer.Stop()
	buffers.Put(s.buf)
	s.buf = nil
}

// data gathers an event without a name. The caller holds mu.
func (s *events) data(json []byte) {
	s.buf.WriteString("data: ")
	s.buf.Write(json)
	s.buf.WriteString("\n\n")
}

// named gathers an event that has a name. The caller holds mu.
func (s *events) named(event string, json []byte) {
	s.buf.WriteString("event: ")
	s.buf.WriteString(event)
	s.buf.WriteByte('\n')
	s.data(json)
}

// flush writes what is gathered. It fails if nobody can get it any more. The
// caller holds mu.
func (s *events) flush() error {
	s.begin(true)
	s.last = time.Now()
	if s.buf.Len() == 0 {
		return nil
	}
	_, err := s.v.Write(s.buf.Bytes())
	s.buf.Reset()
	if err == nil {
		err = s.rc.Flush()
	}
	if err != nil {
		return fault.Wrap(fault.Canceled, err, "The client closed the request.")
	}
	return nil
}

// send writes an event that has a name, at once.
func (s *events) send(event string, json []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.named(event, json)
	return s.flush()
}
