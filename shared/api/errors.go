package api

import (
	"math"
	"net/http"
	"strconv"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// wire is how a fault.Kind looks in HTTP and in OpenAI's error object.
type wire struct {
	status    int
	typ, code string
}

// kinds translates; a test checks that it is complete.
var kinds = map[fault.Kind]wire{
	fault.Invalid:       {http.StatusBadRequest, "invalid_request_error", "invalid_request"},
	fault.Unimplemented: {http.StatusBadRequest, "invalid_request_error", "not_implemented"},
	fault.Unauthorized:  {http.StatusUnauthorized, "invalid_request_error", "invalid_api_key"},
	fault.Forbidden:     {http.StatusForbidden, "permission_error", "forbidden"},
	fault.NotFound:      {http.StatusNotFound, "invalid_request_error", "not_found"},
	fault.Method:        {http.StatusMethodNotAllowed, "invalid_request_error", "method_not_allowed"},
	fault.Conflict:      {http.StatusConflict, "invalid_request_error", "conflict"},
	fault.TooLarge:      {http.StatusRequestEntityTooLarge, "invalid_request_error", "request_too_large"},
	fault.Unprocessable: {http.StatusUnprocessableEntity, "invalid_request_error", "unprocessable"},
	fault.RateLimited:   {http.StatusTooManyRequests, "rate_limit_error", "rate_limit_exceeded"},
	fault.Quota:         {http.StatusTooManyRequests, "insufficient_quota", "insufficient_quota"},
	fault.Canceled:      {fault.StatusClientLeft, "server_error", "client_closed_request"},
	fault.Upstream:      {http.StatusBadGateway, "server_error", "upstream_error"},
	fault.Unavailable:   {http.StatusServiceUnavailable, "server_error", "unavailable"},
	fault.Timeout:       {http.StatusGatewayTimeout, "server_error", "timeout"},
	fault.Internal:      {http.StatusInternalServerError, "server_error", "internal_error"},
}

// Status is the HTTP status of an error; 200 for nil.
func Status(err error) int {
	if err == nil {
		return http.StatusOK
	}
	return kinds[fault.As(err).Kind].status
}

// appendError appends OpenAI's error object; all four members are present.
func appendError(dst []byte, err error) []byte {
	f := fault.As(err)
	w := kinds[f.Kind]
	code := f.Code
	if code == "" {
		code = w.code
	}
	dst = append(dst, `{"message":`...)
	dst = rawjson.AppendString(dst, f.Message)
	dst = append(dst, `,"type":`...)
	dst = rawjson.AppendString(dst, w.typ)
	dst = append(dst, `,"param":`...)
	if f.Param == "" {
		dst = append(dst, "null"...)
	} else {
		dst = rawjson.AppendString(dst, f.Param)
	}
	dst = append(dst, `,"code":`...)
	dst = rawjson.AppendString(dst, code)
	return append(dst, '}')
}

// writeError answers with err, if nothing has been sent yet.
func writeError(w http.ResponseWriter, err error) { writeErrorWith(w, err, "", nil) }

// writeErrorWith is writeError with a further member beside the error: JSON,
// under a name.
func writeErrorWith(w http.ResponseWriter, err error, name string, value []byte) {
	f := fault.As(err)
	h := w.Header()
	switch {
	case f.Kind == fault.Quota, f.Kind == fault.RateLimited && f.RetryAfter == 0 && f.Provider == "": // more than any minute has room for
		h.Set("X-Should-Retry", "false") // waiting does not help; OpenAI's SDKs obey
	case f.RetryAfter > 0 || f.Kind == fault.RateLimited || f.Kind == fault.Unavailable:
		h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(f.RetryAfter.Seconds())))))
	}
	body := appendError([]byte(`{"error":`), err)
	if name != "" {
		body = append(append(rawjson.AppendString(append(body, ','), name), ':'), value...)
	}
	writeJSON(w, Status(err), append(body, '}'))
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}
