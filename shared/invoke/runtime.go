package invoke

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// streamType is the content type of a streaming integration's answer: a
// prelude of JSON, a separator of eight NULs, then the body as it is.
const streamType = "application/vnd.awslambda.http-integration-response"

// maxPrelude is where API Gateway stops to look for the separator.
const maxPrelude = 16 << 10

// invocation is an event on its way through a process.
type invocation struct {
	id       string
	event    []byte
	init     time.Duration
	deadline time.Time

	once     sync.Once
	answered chan struct{} // closed when resp, or else err, is known
	resp     *Response
	done     chan struct{} // closed when the process is done with it; then:
	err      error
}

// answer gives the caller the function's answer, unless there is one already.
func (inv *invocation) answer(resp *Response, err error) {
	inv.once.Do(func() {
		inv.resp, inv.err = resp, err
		close(inv.answered)
	})
}

// end says that nothing more will come. err is nil if the process lives; then
// the answer is complete, or there never will be one.
func (inv *invocation) end(err error) {
	if err == nil {
		inv.answer(nil, &Error{Type: "Runtime.NoResponse", Message: "the process asked for the next event without answering this one"})
	} else {
		inv.answer(nil, err)
		if inv.resp != nil {
			inv.err = err
		}
	}
	close(inv.done)
}

func (i *instance) api() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", i.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", i.response)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", i.failure)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", i.initFailure)
	return mux
}

// next holds the process until there is an event for it.
func (i *instance) next(w http.ResponseWriter, r *http.Request) {
	select {
	case i.ready <- time.Now():
	case <-i.exited:
		return
	}
	var inv *invocation
	select {
	case inv = <-i.work:
	case <-i.exited:
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Lambda-Runtime-Aws-Request-Id", inv.id)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(inv.deadline.UnixMilli(), 10))
	h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:"+i.f.cfg.Name)
	h.Set("Lambda-Runtime-Trace-Id", "Root=1-00000000-000000000000000000000000;Sampled=0")
	w.Write(inv.event)
}

// claim returns the running invocation if it has that id and no answer yet.
func (i *instance) claim(w http.ResponseWriter, r *http.Request) *invocation {
	i.mu.Lock()
	inv := i.current
	i.mu.Unlock()
	if inv != nil && inv.id == r.PathValue("id") {
		select {
		case <-inv.answered:
		default:
			return inv
		}
	}
	reply(w, http.StatusBadRequest, `{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}`)
	return nil
}

func reply(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, text)
}

func (i *instance) failure(w http.ResponseWriter, r *http.Request) {
	inv := i.claim(w, r)
	if inv == nil {
		return
	}
	inv.answer(nil, functionError(r.Body))
	reply(w, http.StatusAccepted, `{"status":"OK"}`)
}

func (i *instance) initFailure(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.initErr = functionError(r.Body)
	i.mu.Unlock()
	reply(w, http.StatusAccepted, `{"status":"OK"}`)
}

// functionError reads an error as runtimes report it.
func functionError(r io.Reader) *Error {
	b, err := io.ReadAll(io.LimitReader(r, MaxPayload))
	var e struct{ ErrorType, ErrorMessage string }
	if err != nil || json.Unmarshal(b, &e) != nil {
		return &Error{Type: "Runtime.Unknown", Message: string(b)}
	}
	return &Error{Type: e.ErrorType, Message: e.ErrorMessage}
}

func (i *instance) response(w http.ResponseWriter, r *http.Request) {
	if mode := r.Header.Get("Lambda-Runtime-Function-Response-Mode"); mode != "" && mode != "streaming" {
		reply(w, http.StatusBadRequest, `{"errorMessage":"Invalid response mode","errorType":"InvalidFunctionResponseMode"}`)
		return
	}
	inv := i.claim(w, r)
	if inv == nil {
		return
	}
	resp := &Response{RequestID: inv.id, Init: inv.init}
	if r.Header.Get("Content-Type") != streamType {
		payload, err := io.ReadAll(io.LimitReader(r.Body, MaxPayload+1))
		if err != nil {
			return // the process is gone; run says so
		}
		if len(payload) > MaxPayload {
			inv.answer(nil, &Error{Type: "Function.ResponseSizeTooLarge", Message: "Response payload size exceeded maximum allowed payload size (6291556 bytes)."})
			reply(w, http.StatusRequestEntityTooLarge, `{"errorMessage":"Exceeded maximum allowed payload size","errorType":"RequestEntityTooLarge"}`)
			return
		}
		buffered(resp, payload)
		inv.answer(resp, nil)
		reply(w, http.StatusAccepted, `{"status":"OK"}`)
		return
	}

	resp.Streamed = true
	br := bufio.NewReaderSize(r.Body, 32<<10)
	pr, pw := io.Pipe()
	resp.Body = pr
	err := prelude(resp, br)
	if _, malformed := errors.AsType[*Error](err); malformed {
		inv.answer(nil, err)
		io.Copy(io.Discard, br)
		reply(w, http.StatusAccepted, `{"status":"OK"}`)
		return
	}
	if err != nil {
		return // the process is gone; run says so
	}
	inv.answer(resp, nil)
	err = relay(pw, br)
	if err == nil {
		err = trailer(r)
		reply(w, http.StatusAccepted, `{"status":"OK"}`)
		http.NewResponseController(w).Flush()
	} else if <-inv.done; inv.err != nil { // the process is gone, and run knows why
		err = inv.err
	}
	pw.CloseWithError(err) // nil is io.EOF
}

// relay copies what comes to the caller, each read at once, and goes on
// without a caller: Lambda does not tell a function that nobody listens.
func relay(pw *io.PipeWriter, r io.Reader) error {
	buf := make([]byte, 32<<10)
	for out := io.Writer(pw); ; {
		n, err := r.Read(buf)
		if n > 0 {
			if _, werr := out.Write(buf[:n]); werr != nil {
				out = io.Discard
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// trailer returns the error that a function reports after a broken-off body.
func trailer(r *http.Request) error {
	typ := r.Trailer.Get("Lambda-Runtime-Function-Error-Type")
	if typ == "" {
		return nil
	}
	e := functionError(base64.NewDecoder(base64.StdEncoding, strings.NewReader(r.Trailer.Get("Lambda-Runtime-Function-Error-Body"))))
	e.Type = typ
	return e
}

type proxyResponse struct {
	StatusCode        int                 `json:"statusCode"`
	Headers           map[string]string   `json:"headers"`
	MultiValueHeaders map[string][]string `json:"multiValueHeaders"`
	Cookies           []string            `json:"cookies"`
	Body              string              `json:"body"`
	IsBase64Encoded   bool                `json:"isBase64Encoded"`
}

func (p *proxyResponse) header() http.Header {
	h := http.Header{}
	for name, value := range p.Headers {
		h.Set(name, value)
	}
	for name, values := range p.MultiValueHeaders {
		h[http.CanonicalHeaderKey(name)] = values
	}
	for _, c := range p.Cookies {
		h.Add("Set-Cookie", c)
	}
	return h
}

// prelude reads the head of a streamed answer.
func prelude(resp *Response, br *bufio.Reader) error {
	separator := make([]byte, 8)
	var head []byte
	for !bytes.HasSuffix(head, separator) {
		part, err := br.ReadSlice(0)
		head = append(head, part...)
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return err
		}
		if err == io.EOF || len(head) > maxPrelude {
			return &Error{Type: "MalformedProxyResponse", Message: "no prelude of JSON and eight NULs in the first 16 KB"}
		}
	}
	var p proxyResponse
	if err := json.Unmarshal(head[:len(head)-8], &p); err != nil {
		return &Error{Type: "MalformedProxyResponse", Message: "prelude: " + err.Error()}
	}
	if resp.Status = p.StatusCode; resp.Status == 0 {
		resp.Status = http.StatusOK
	}
	resp.Header = p.header()
	return nil
}

// buffered reads an answer that came in one piece: that of a proxy
// integration, or else any payload.
func buffered(resp *Response, payload []byte) {
	resp.Body = io.NopCloser(bytes.NewReader(payload))
	var p proxyResponse
	if json.Unmarshal(payload, &p) != nil || p.StatusCode == 0 {
		return
	}
	body := []byte(p.Body)
	if p.IsBase64Encoded {
		b, err := base64.StdEncoding.DecodeString(p.Body)
		if err != nil {
			return
		}
		body = b
	}
	resp.Status, resp.Header, resp.Body = p.StatusCode, p.header(), io.NopCloser(bytes.NewReader(body))
}
