package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
)

// events is a stream of typed server-sent events, each with its JSON. It says
// that it is alive while nothing happens.
type events struct {
	v  *visit
	rc *http.ResponseController

	mu    sync.Mutex // against the heartbeat
	timer *time.Timer
	last  time.Time
	ended bool
}

// newEvents begins a stream; the caller must stop it.
func newEvents(v *visit) *events {
	h := v.Header()
	h["Content-Type"] = []string{"text/event-stream"}
	h["Cache-Control"] = []string{"no-cache"}
	h["X-Accel-Buffering"] = []string{"no"} // NGINX must not gather the stream
	e := &events{v: v, rc: http.NewResponseController(v), last: time.Now()}
	e.timer = time.AfterFunc(heartbeat, e.beat)
	return e
}

// send writes an event. It fails if nobody can get it any more.
func (e *events) send(typ string, data any) error {
	body, err := json.Marshal(data)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	b.WriteString("event: " + typ + "\ndata: ")
	b.Write(body)
	b.WriteString("\n\n")
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.write(b.Bytes())
}

// write needs mu.
func (e *events) write(p []byte) error {
	e.last = time.Now()
	_, err := e.v.Write(p)
	if err == nil {
		err = e.rc.Flush()
	}
	if err != nil {
		return fault.Wrap(fault.Canceled, err, "The client closed the request.")
	}
	return nil
}

// beat writes a comment if nothing else was written for a while.
func (e *events) beat() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended {
		return
	}
	if idle := time.Since(e.last); idle < heartbeat {
		e.timer.Reset(heartbeat - idle)
		return
	}
	_ = e.write([]byte(": ping\n\n")) // if the client is gone, the next event will tell
	e.timer.Reset(heartbeat)
}

func (e *events) stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = true
	e.timer.Stop()
}
