package dynamo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/devmentor/ai-gateway/shared/dynamotest"
)

// trouble is what can happen to one request on its way to DynamoDB. DynamoDB
// Local imitates none of it.
type trouble string

const (
	fine        trouble = ""
	lostRequest trouble = "request lost"
	lostReply   trouble = "reply lost"
	cutReply    trouble = "reply cut in two"
	noReply     trouble = "reply never comes"
	brokenAfter trouble = "500 after the write"
	broken      trouble = "500 before the write"
	throttled   trouble = "throttled"
	conflict    trouble = "transaction conflict"
	overloaded  trouble = "503 without a body"
	canceled    trouble = "transaction canceled by another"
	unprocessed trouble = "batch left unprocessed"
	held        trouble = "request on its way for long"
)

var troubles = []trouble{lostRequest, lostReply, cutReply, brokenAfter, broken, throttled, conflict, overloaded}

// wire is a proxy in front of DynamoDB with a will of its own.
type wire struct {
	*httptest.Server
	t      testing.TB
	mu     sync.Mutex
	plan   func(op string) trouble
	within string // what a request must contain for plan to be asked
	calls  int

	arrived, release chan struct{} // of the request that is held
}

func newWire(t testing.TB) *wire {
	target, err := url.Parse(dynamotest.Endpoint(t))
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{t: t}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 64}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.serve(proxy, rw, r) }))
	t.Cleanup(w.Close)
	return w
}

func (w *wire) set(plan func(op string) trouble) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.plan, w.within, w.calls = plan, "", 0
}

// at sends the next calls that contain what, an expression perhaps, into the
// given troubles, one each, and lets everything else through.
func (w *wire) at(what string, ts ...trouble) {
	w.set(func(string) trouble {
		if len(ts) == 0 {
			return fine
		}
		t := ts[0]
		ts = ts[1:]
		return t
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.within = what
}

// next sends the next calls of op into the given troubles, one each, and lets
// everything else through.
func (w *wire) next(op string, ts ...trouble) {
	w.set(func(got string) trouble {
		if got != op || len(ts) == 0 {
			return fine
		}
		t := ts[0]
		ts = ts[1:]
		return t
	})
}

// once sends the first call of each op into trouble.
func (w *wire) once(t trouble, ops ...string) {
	w.set(func(got string) trouble {
		if i := slices.Index(ops, got); i >= 0 {
			ops = slices.Delete(ops, i, i+1)
			return t
		}
		return fine
	})
}

// while starts f, whose first request that contains what takes so long that
// meanwhile happens first, and waits for f.
func (w *wire) while(what string, f, meanwhile func()) {
	w.at(what, held)
	w.arrived, w.release = make(chan struct{}), make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-w.arrived:
		meanwhile()
	case <-done:
		w.t.Errorf("there was no request that contains %q", what)
	}
	close(w.release)
	<-done
}

func (w *wire) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls
}

func (w *wire) serve(to http.Handler, rw http.ResponseWriter, r *http.Request) {
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	body, _ := io.ReadAll(r.Body) // all of it: only then does the server see that a client left
	r.Body = io.NopCloser(bytes.NewReader(body))
	w.mu.Lock()
	w.calls++
	happens := fine
	if w.plan != nil && bytes.Contains(body, []byte(w.within)) {
		happens = w.plan(op)
	}
	w.mu.Unlock()

	fail := func(status int, code string) {
		rw.Header().Set("Content-Type", "application/x-amz-json-1.0")
		rw.WriteHeader(status)
		if code != "" {
			fmt.Fprintf(rw, `{"__type":"com.amazonaws.dynamodb.v20120810#%s","message":"made up"}`, code)
		}
	}
	// A write whose client is gone happens all the same.
	forward := func() *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		to.ServeHTTP(rec, r.WithContext(context.WithoutCancel(r.Context())))
		return rec
	}
	switch happens {
	case held:
		close(w.arrived)
		<-w.release
		to.ServeHTTP(rw, r)
	case fine:
		to.ServeHTTP(rw, r)
	case lostRequest:
		panic(http.ErrAbortHandler)
	case lostReply:
		forward()
		panic(http.ErrAbortHandler)
	case noReply:
		forward()
		<-r.Context().Done()
	case cutReply:
		rec := forward()
		rw.Header().Set("Content-Length", fmt.Sprint(rec.Body.Len()+1))
		rw.WriteHeader(rec.Code)
		rw.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
		panic(http.ErrAbortHandler)
	case brokenAfter:
		forward()
		fail(500, "InternalServerError")
	case broken:
		fail(500, "InternalServerError")
	case throttled:
		fail(400, "ProvisionedThroughputExceededException")
	case conflict:
		fail(400, "TransactionConflictException")
	case overloaded:
		fail(503, "")
	case canceled:
		rw.Header().Set("Content-Type", "application/x-amz-json-1.0")
		rw.WriteHeader(400)
		io.WriteString(rw, `{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"made up",
			"CancellationReasons":[{"Code":"TransactionConflict"},{"Code":"None"}]}`)
	case unprocessed:
		var in struct{ RequestItems json.RawMessage }
		json.NewDecoder(r.Body).Decode(&in)
		rw.Header().Set("Content-Type", "application/x-amz-json-1.0")
		fmt.Fprintf(rw, `{"UnprocessedItems":%s}`, in.RequestItems)
	}
}
