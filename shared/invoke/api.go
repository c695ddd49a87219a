package invoke

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// Route is a method of a REST API's resource.
type Route struct {
	Method   string // in capitals, or "ANY"
	Resource string // e.g. /ai/models/{id+}; {name} is one segment, {name+} one or more
	Stream   bool   // only answers in the streaming format are taken
	Function *Function
}

// GatewayResponse is what an API Gateway says itself.
type GatewayResponse struct {
	Status int         // 0 is AWS's own
	Header http.Header // the value context.requestId stands for an id
	Body   string
}

// API is a local REST API: an http.Handler that makes proxy events of
// requests and HTTP answers of what the functions answer, as it comes.
//
// Like the real one it finds the resource first and the method then: a method
// that the most specific resource lacks is refused, even if a greedy one has it.
type API struct {
	// Stage, if set, is the first segment of every path. Functions never see it.
	Stage  string
	Routes []Route
	// Responses are the API's own answers by type (e.g. "DEFAULT_4XX"), as
	// AWS::ApiGateway::GatewayResponse names them. Missing ones are AWS's.
	Responses map[string]GatewayResponse
}

func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := a.path(r.URL.EscapedPath())
	if !ok {
		a.respond(w, "MISSING_AUTHENTICATION_TOKEN", http.StatusForbidden, "Missing Authentication Token")
		return
	}
	route, params, ok := a.Route(r.Method, path)
	if !ok {
		a.respond(w, "MISSING_AUTHENTICATION_TOKEN", http.StatusForbidden, "Missing Authentication Token")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 10<<20))
	if err != nil {
		a.respond(w, "REQUEST_TOO_LARGE", http.StatusRequestEntityTooLarge, "Request Too Long")
		return
	}
	resp, err := route.Function.Invoke(r.Context(), event(r, a.Stage, path, route, params, body))
	if r.Context().Err() != nil {
		return // nobody listens
	}
	if e, ok := errors.AsType[*Error](err); ok && e.Type == "RequestEntityTooLargeException" {
		a.respond(w, "REQUEST_TOO_LARGE", http.StatusRequestEntityTooLarge, "Request Too Long")
		return
	}
	if err == nil && (resp.Status == 0 || route.Stream && !resp.Streamed) {
		resp.Body.Close()
		err = &Error{Type: "MalformedProxyResponse", Message: "the answer has not the format of the integration"}
	}
	if err != nil {
		slog.Error("invocation failed", "resource", route.Resource, "err", err)
		a.respond(w, "DEFAULT_5XX", http.StatusBadGateway, "Internal server error")
		return
	}
	defer resp.Body.Close()
	maps.Copy(w.Header(), resp.Header)
	w.Header().Set("x-amzn-RequestId", resp.RequestID)
	w.WriteHeader(resp.Status)
	if err := copyFlush(w, resp.Body); err != nil {
		slog.Error("the answer broke off", "resource", route.Resource, "err", err)
		panic(http.ErrAbortHandler) // the status is out: all that is left is to cut the connection
	}
}

// copyFlush sends what comes at once. A client that has left is no error.
func copyFlush(w http.ResponseWriter, r io.Reader) error {
	rc, buf := http.NewResponseController(w), make([]byte, 32<<10)
	rc.Flush() // the head, if the body takes its time
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if _, werr := w.Write(buf[:n]); werr != nil {
				return nil
			}
			rc.Flush()
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// path returns the request's path without the stage.
func (a *API) path(path string) (string, bool) {
	if a.Stage == "" {
		return path, true
	}
	rest, ok := strings.CutPrefix(path, "/"+a.Stage)
	if rest == "" {
		rest = "/"
	}
	return rest, ok && rest[0] == '/'
}

// Route finds the route of a path (without the stage, as sent) and the values
// of its parameters.
func (a *API) Route(method, path string) (found Route, params map[string]string, ok bool) {
	segments := strings.Split(strings.Trim(path, "/"), "/")
	best := ""
	for _, route := range a.Routes {
		p, rank, matches := matchResource(route.Resource, segments)
		if !matches || rank < best {
			continue
		}
		if rank > best {
			best, found, params, ok = rank, Route{}, nil, false // a more specific resource
		}
		if route.Method == method || route.Method == "ANY" && !ok {
			found, params, ok = route, p, true
		}
	}
	return found, params, ok
}

// matchResource reports whether a resource has that path. Of several, the one
// with the highest rank counts: per segment, text beats a parameter, and a
// parameter beats a greedy one.
func matchResource(resource string, segments []string) (params map[string]string, rank string, ok bool) {
	parts := strings.Split(strings.Trim(resource, "/"), "/")
	params = map[string]string{}
	for i, part := range parts {
		if i >= len(segments) {
			return nil, "", false
		}
		name, isParam := strings.CutPrefix(part, "{")
		name = strings.TrimSuffix(name, "}")
		switch greedy := strings.HasSuffix(name, "+"); {
		case isParam && segments[i] == "":
			return nil, "", false
		case isParam && greedy:
			params[name[:len(name)-1]] = unescape(strings.Join(segments[i:], "/"))
			return params, rank + "1", true
		case isParam:
			params[name] = unescape(segments[i])
			rank += "2"
		case part != segments[i]:
			return nil, "", false
		default:
			rank += "3"
		}
	}
	return params, rank, len(parts) == len(segments)
}

func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// event is the proxy event (format 1.0) of a request.
func event(r *http.Request, stage, path string, route Route, params map[string]string, body []byte) []byte {
	header := r.Header.Clone()
	for _, name := range []string{"Connection", "Content-Length", "Keep-Alive", "Te", "Transfer-Encoding", "Upgrade"} {
		header.Del(name)
	}
	ip, _, _ := net.SplitHostPort(r.RemoteAddr)
	header.Set("Host", r.Host)
	header.Set("X-Forwarded-For", strings.Join(append(header.Values("X-Forwarded-For"), ip), ", "))
	header.Set("X-Forwarded-Proto", "http")
	if _, port, err := net.SplitHostPort(r.Host); err == nil {
		header.Set("X-Forwarded-Port", port)
	}
	query := r.URL.Query()
	if stage == "" {
		stage = "local"
	}
	now := time.Now()
	ev := map[string]any{
		"resource": route.Resource, "path": path, "httpMethod": r.Method,
		"headers": last(header), "multiValueHeaders": orNull(header),
		"queryStringParameters": last(query), "multiValueQueryStringParameters": orNull(query),
		"pathParameters": orNull(params), "stageVariables": nil,
		"requestContext": map[string]any{
			"accountId": "000000000000", "apiId": "local", "resourceId": "local", "resourcePath": route.Resource, "httpMethod": r.Method, "path": r.URL.EscapedPath(),
			"stage": stage, "protocol": r.Proto, "domainName": r.Host, "domainPrefix": "local", "requestId": requestID(), "extendedRequestId": "",
			"requestTime": now.UTC().Format("02/Jan/2006:15:04:05 -0700"), "requestTimeEpoch": now.UnixMilli(),
			"identity": map[string]any{"sourceIp": ip, "userAgent": r.UserAgent()},
		},
		"body": nil, "isBase64Encoded": false,
	}
	switch {
	case len(body) == 0:
	case utf8.Valid(body):
		ev["body"] = string(body)
	default:
		ev["body"], ev["isBase64Encoded"] = base64.StdEncoding.EncodeToString(body), true
	}
	b, err := json.Marshal(ev)
	if err != nil { // strings and numbers only
		panic(err)
	}
	return b
}

func requestID() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// last and orNull make null of an empty map, as API Gateway does.
func last[M ~map[string][]string](m M) any {
	plain := map[string]string{}
	for name, values := range m {
		plain[name] = values[len(values)-1]
	}
	return orNull(plain)
}

func orNull[M ~map[string]V, V any](m M) any {
	if len(m) == 0 {
		return nil
	}
	return m
}

// respond gives the API's own answer of that type.
func (a *API) respond(w http.ResponseWriter, typ string, status int, message string) {
	class := "DEFAULT_4XX"
	if status >= 500 {
		class = "DEFAULT_5XX"
	}
	for _, t := range []string{typ, class} {
		if gr, ok := a.Responses[t]; ok {
			for name, values := range gr.Header {
				if values[0] == "context.requestId" {
					values = []string{requestID()}
				}
				w.Header()[name] = values
			}
			if gr.Status != 0 {
				status = gr.Status
			}
			reply(w, status, gr.Body)
			return
		}
	}
	body, _ := json.Marshal(map[string]string{"message": message})
	reply(w, status, string(body))
}
