package invoke_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/invoke"
)

const template = `
Resources:
  Api:
    Type: AWS::Serverless::Api
    Properties:
      GatewayResponses:
        DEFAULT_5XX:
          ResponseParameters: {Headers: {Access-Control-Allow-Origin: "'*'", X-Request-Id: context.requestId}}
          ResponseTemplates: {application/json: '{"error":"broken"}'}
        MISSING_AUTHENTICATION_TOKEN:
          StatusCode: 404
          ResponseTemplates: {application/json: '{"error":"nothing here"}'}
  HttpFunction:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        All: {Type: Api, Properties: {RestApiId: !Ref Api, Path: "/{proxy+}", Method: ANY, ResponseTransferMode: RESPONSE_STREAM}}
        Root: {Type: Api, Properties: {Path: /, Method: get, ResponseTransferMode: RESPONSE_STREAM}}
        Cron: {Type: ScheduleV2}
  BufferedFunction:
    Properties:
      Events:
        One: {Type: Api, Properties: {Path: /buffered, Method: POST}}
        Wrong: {Type: Api, Properties: {Path: /misspelt, Method: POST, ResponseTransferMode: STREAM}}
        Streamed: {Type: Api, Properties: {Path: /streamed, Method: POST, ResponseTransferMode: RESPONSE_STREAM}}
`

// serve runs the template's API with processes of this test's binary.
func serve(t *testing.T, stage string) (base string) {
	t.Helper()
	tmpl, err := invoke.ReadTemplate([]byte(template))
	if err != nil {
		t.Fatal(err)
	}
	api := tmpl.API(func(name string) *invoke.Function { return start(t, name) })
	api.Stage = stage
	s := httptest.NewServer(api)
	t.Cleanup(s.Close)
	if stage != "" {
		return s.URL + "/" + stage
	}
	return s.URL
}

func do(t *testing.T, method, url, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func TestAPI(t *testing.T) {
	base := serve(t, "")
	host := strings.TrimPrefix(base, "http://")
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"a request, whole", "PUT", "/echo?a=1&a=2&b=x%26y", "text", 201, "PUT " + host + " /echo?a=1&a=2&b=x%26y|text"},
		{"a body that is no text", "POST", "/echo", "\xff\x00", 201, "POST " + host + " /echo|\xff\x00"},
		{"its own error", "GET", "/panic", "", 500, "internal_error"},
		{"a crash", "GET", "/exit", "", 502, `{"error":"broken"}`},
		{"a buffered answer", "POST", "/buffered", "", 202, "in one piece"},
		{"a misspelt mode is a buffered route", "POST", "/misspelt", "", 202, "in one piece"},
		{"a buffered answer where streams are due", "POST", "/streamed", "", 502, `{"error":"broken"}`},
		{"a method that the best resource lacks", "GET", "/buffered", "", 404, `{"error":"nothing here"}`},
		{"a method that the root lacks", "POST", "/", "", 404, `{"error":"nothing here"}`},
		{"too large for a function", "POST", "/echo", strings.Repeat("x", invoke.MaxPayload), 413, "Request Too Long"},
		{"too large for the API", "POST", "/echo", strings.Repeat("x", 11<<20), 413, "Request Too Long"},
	} {
		resp, body := do(t, tc.method, base+tc.path, tc.body)
		if resp.StatusCode != tc.status || !strings.Contains(body, tc.want) {
			t.Errorf("%s: answer = %d %.200q, want %d %q", tc.name, resp.StatusCode, body, tc.status, tc.want)
		}
		if tc.status == 502 && (resp.Header.Get("Access-Control-Allow-Origin") != "*" || len(resp.Header.Get("X-Request-Id")) != 36) {
			t.Errorf("%s: header = %v", tc.name, resp.Header)
		}
	}
}

func TestAPIStreams(t *testing.T) {
	base := serve(t, "")
	file := t.TempDir() + "/go-on"
	resp, err := http.Get(base + "/stream?file=" + file)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b := make([]byte, 100)
	if n, err := resp.Body.Read(b); string(b[:n]) != "first" || err != nil {
		t.Fatalf("Read = %q, %v", b[:n], err)
	}
	os.WriteFile(file, nil, 0o600)
	if rest, err := io.ReadAll(resp.Body); string(rest) != "second" || err != nil {
		t.Errorf("rest = %q, %v", rest, err)
	}
}

// TestAPICutsBrokenStreams: the status is out, so all that can tell the client
// is the end of the connection without the end of the body.
func TestAPICutsBrokenStreams(t *testing.T) {
	resp, err := http.Get(serve(t, "") + "/cut")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(bufio.NewReader(resp.Body)); string(b) != "some" || err != io.ErrUnexpectedEOF {
		t.Errorf("body = %q, %v; want it cut off", b, err)
	}
}

func TestAPIHidesTheStage(t *testing.T) {
	base := serve(t, "v1")
	if _, body := do(t, "GET", base+"/echo", ""); !strings.Contains(body, " /echo|") {
		t.Errorf("the function saw %q", body)
	}
	for _, url := range []string{strings.TrimSuffix(base, "/v1") + "/echo", base + "x/echo"} {
		if resp, _ := do(t, "GET", url, ""); resp.StatusCode != 404 {
			t.Errorf("%s: status = %d; it is not on the stage", url, resp.StatusCode)
		}
	}
}

func TestRoute(t *testing.T) {
	api := &invoke.API{}
	for _, r := range []string{"GET /", "ANY /{proxy+}", "GET /a", "ANY /a/{id}", "PATCH /a/{id}", "DELETE /a/b", "ANY /a/{id}/c", "ANY /m/{id+}"} {
		method, resource, _ := strings.Cut(r, " ")
		api.Routes = append(api.Routes, invoke.Route{Method: method, Resource: resource})
	}
	for _, tc := range []struct {
		method, path, want string // method and resource; "" is none
		params             map[string]string
	}{
		{"GET", "/", "GET /", nil},
		{"GET", "/a", "GET /a", nil},
		{"GET", "/a/", "GET /a", nil},
		{"POST", "/a", "", nil}, // the greedy one has it, but is not asked
		{"GET", "/a/x", "ANY /a/{id}", map[string]string{"id": "x"}},
		{"PATCH", "/a/x%20y", "PATCH /a/{id}", map[string]string{"id": "x y"}},
		{"DELETE", "/a/b", "DELETE /a/b", nil},
		{"GET", "/a/b", "", nil},
		{"GET", "/a/b/c", "ANY /a/{id}/c", map[string]string{"id": "b"}},
		{"GET", "/a/b/d", "ANY /{proxy+}", map[string]string{"proxy": "a/b/d"}},
		{"GET", "/m/x/y%2Fz", "ANY /m/{id+}", map[string]string{"id": "x/y/z"}},
		{"GET", "/m", "ANY /{proxy+}", map[string]string{"proxy": "m"}},
		{"GET", "/m/", "ANY /{proxy+}", map[string]string{"proxy": "m"}},
	} {
		route, params, ok := api.Route(tc.method, tc.path)
		got := ""
		if ok {
			got = route.Method + " " + route.Resource
		}
		if got != tc.want || len(params)+len(tc.params) > 0 && !cmp.Equal(params, tc.params) {
			t.Errorf("Route(%s %s) = %q %v, want %q %v", tc.method, tc.path, got, params, tc.want, tc.params)
		}
	}
}

// TestEvent: what a function gets has the fields that API Gateway sends.
func TestEvent(t *testing.T) {
	var got map[string]any
	tmpl, err := invoke.ReadTemplate([]byte(template))
	if err != nil {
		t.Fatal(err)
	}
	api := tmpl.API(func(name string) *invoke.Function { return start(t, "payload") })
	api.Stage = "v1"
	s := httptest.NewServer(api)
	defer s.Close()
	req, _ := http.NewRequest("POST", s.URL+"/v1/buffered?q=1&q=2", strings.NewReader("{}"))
	req.Header = http.Header{"X-Tag": {"a", "b"}, "X-Forwarded-For": {"203.0.113.7"}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	rc := got["requestContext"].(map[string]any)
	for name, v := range map[string][2]any{
		"path": {got["path"], "/buffered"}, "context's path": {rc["path"], "/v1/buffered"}, "resource": {got["resource"], "/buffered"},
		"stage": {rc["stage"], "v1"}, "method": {got["httpMethod"], "POST"}, "source": {rc["identity"].(map[string]any)["sourceIp"], "127.0.0.1"},
		"query": {got["queryStringParameters"].(map[string]any)["q"], "2"}, "queries": {got["multiValueQueryStringParameters"].(map[string]any)["q"], []any{"1", "2"}},
		"header": {got["headers"].(map[string]any)["X-Tag"], "b"}, "headers": {got["multiValueHeaders"].(map[string]any)["X-Tag"], []any{"a", "b"}},
		"client": {got["headers"].(map[string]any)["X-Forwarded-For"], "203.0.113.7, 127.0.0.1"}, "length": {got["headers"].(map[string]any)["Content-Length"], nil},
		"host": {got["headers"].(map[string]any)["Host"], strings.TrimPrefix(s.URL, "http://")}, "body": {got["body"], "{}"}, "base64": {got["isBase64Encoded"], false},
		"parameters": {got["pathParameters"], nil},
	} {
		if !cmp.Equal(v[0], v[1]) {
			t.Errorf("%s = %v, want %v", name, v[0], v[1])
		}
	}
}

func TestTemplatesThatAreNone(t *testing.T) {
	for name, text := range map[string]string{"not YAML": "a: [", "no routes": "Resources: {F: {Type: X}}"} {
		if _, err := invoke.ReadTemplate([]byte(text)); err == nil {
			t.Errorf("%s: ReadTemplate must fail", name)
		}
	}
}
