package lambdahttp_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
)

// proxyEvent is an event as API Gateway sends it, with an Authorization that
// is none.
const proxyEvent = `{
  "resource": "/ai/chat/completions", "path": "/ai/chat/completions", "httpMethod": "POST",
  "headers": {"accept": "*/*", "Authorization": "Bearer gw_dev_x", "content-type": "application/json", "Host": "abc.execute-api.eu-central-1.amazonaws.com",
    "User-Agent": "OpenAI/Python 2.8.0", "X-Amzn-Trace-Id": "Root=1-69220000-0123456789abcdef01234567", "X-Forwarded-For": "203.0.113.7", "X-Forwarded-Port": "443", "X-Forwarded-Proto": "https", "x-tag": "b"},
  "multiValueHeaders": {"accept": ["*/*"], "Authorization": ["Bearer gw_dev_x"], "content-type": ["application/json"], "Host": ["abc.execute-api.eu-central-1.amazonaws.com"],
    "User-Agent": ["OpenAI/Python 2.8.0"], "X-Amzn-Trace-Id": ["Root=1-69220000-0123456789abcdef01234567"], "X-Forwarded-For": ["203.0.113.7"], "X-Forwarded-Port": ["443"], "X-Forwarded-Proto": ["https"], "x-tag": ["a", "b"]},
  "queryStringParameters": {"tag": "b", "q": "x&y"}, "multiValueQueryStringParameters": {"tag": ["a", "b"], "q": ["x&y"]},
  "pathParameters": null, "stageVariables": null,
  "requestContext": {"resourceId": "r1", "resourcePath": "/ai/chat/completions", "httpMethod": "POST", "extendedRequestId": "e1", "requestTime": "22/Nov/2026:12:00:00 +0000",
    "path": "/v1/ai/chat/completions", "accountId": "123456789012", "protocol": "HTTP/1.1", "stage": "v1", "domainPrefix": "abc", "requestTimeEpoch": 1795348800000, "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
    "identity": {"cognitoIdentityPoolId": null, "accountId": null, "caller": null, "sourceIp": "203.0.113.7", "userAgent": "OpenAI/Python 2.8.0", "user": null},
    "domainName": "abc.execute-api.eu-central-1.amazonaws.com", "apiId": "abc"},
  "body": "{}", "isBase64Encoded": false}`

// seen is what a handler can see of a request.
type seen struct {
	Method, Path, Escaped, Query, URI, Host, Remote, Body string
	Length                                                int64
	Header                                                http.Header
}

func see(t *testing.T, event string) seen {
	t.Helper()
	var ev events.APIGatewayProxyRequest
	if err := json.Unmarshal([]byte(event), &ev); err != nil {
		t.Fatal(err)
	}
	var got seen
	resp := call(t, t.Context(), ev, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("body: %v", err)
		}
		got = seen{r.Method, r.URL.Path, r.URL.EscapedPath(), r.URL.RawQuery, r.RequestURI, r.Host, r.RemoteAddr, string(b), r.ContentLength, r.Header}
	})
	read(t, resp.Body)
	return got
}

func TestRequest(t *testing.T) {
	for _, tc := range []struct {
		name, event string
		want        seen
	}{
		{"as API Gateway sends it", proxyEvent, seen{
			Method: "POST", Path: "/ai/chat/completions", Escaped: "/ai/chat/completions", Query: "q=x%26y&tag=a&tag=b", URI: "/ai/chat/completions?q=x%26y&tag=a&tag=b",
			Host: "abc.execute-api.eu-central-1.amazonaws.com", Remote: "203.0.113.7:0", Body: "{}", Length: 2,
			Header: http.Header{"Accept": {"*/*"}, "Authorization": {"Bearer gw_dev_x"}, "Content-Type": {"application/json"}, "User-Agent": {"OpenAI/Python 2.8.0"},
				"X-Amzn-Trace-Id": {"Root=1-69220000-0123456789abcdef01234567"}, "X-Forwarded-For": {"203.0.113.7"}, "X-Forwarded-Port": {"443"}, "X-Forwarded-Proto": {"https"}, "X-Tag": {"a", "b"}},
		}},
		{"by hand, single values only", `{"httpMethod":"GET","path":"/health","headers":{"host":"h","x-api-key":"k"},"queryStringParameters":{"a":"1"}}`, seen{
			Method: "GET", Path: "/health", Escaped: "/health", Query: "a=1", URI: "/health?a=1", Host: "h", Remote: ":0", Header: http.Header{"X-Api-Key": {"k"}},
		}},
		{"several values win", `{"httpMethod":"GET","path":"/","headers":{"A":"2"},"multiValueHeaders":{"A":["1","2"]},"queryStringParameters":{"q":"2"},"multiValueQueryStringParameters":{"q":["1","2"]}}`, seen{
			Method: "GET", Path: "/", Escaped: "/", Query: "q=1&q=2", URI: "/?q=1&q=2", Remote: ":0", Header: http.Header{"A": {"1", "2"}},
		}},
		{"one name in two spellings", `{"httpMethod":"GET","path":"/","multiValueHeaders":{"a-b":["1"],"A-B":["1"]}}`, seen{
			Method: "GET", Path: "/", Escaped: "/", URI: "/", Remote: ":0", Header: http.Header{"A-B": {"1", "1"}},
		}},
		{"nulls", `{"httpMethod":"GET","path":"/","headers":null,"multiValueHeaders":null,"queryStringParameters":null,"multiValueQueryStringParameters":null,"body":null,"requestContext":null}`, seen{
			Method: "GET", Path: "/", Escaped: "/", URI: "/", Remote: ":0", Header: http.Header{},
		}},
		{"base64 body", `{"httpMethod":"POST","path":"/","body":"/wBoaQ==","isBase64Encoded":true}`, seen{
			Method: "POST", Path: "/", Escaped: "/", URI: "/", Remote: ":0", Header: http.Header{}, Body: "\xff\x00hi", Length: 4,
		}},
		{"escaped path", `{"httpMethod":"GET","path":"/ai/models/openai%2Fgpt-4o"}`, seen{
			Method: "GET", Path: "/ai/models/openai/gpt-4o", Escaped: "/ai/models/openai%2Fgpt-4o", URI: "/ai/models/openai%2Fgpt-4o", Remote: ":0", Header: http.Header{},
		}},
		{"path with a stray percent", `{"httpMethod":"GET","path":"/100% sure?"}`, seen{
			Method: "GET", Path: "/100% sure?", Escaped: "/100%25%20sure%3F", URI: "/100%25%20sure%3F", Remote: ":0", Header: http.Header{},
		}},
		{"base path of a custom domain", `{"httpMethod":"GET","path":"/llm/ai/models/a/b","resource":"/ai/models/{id+}"}`, seen{
			Method: "GET", Path: "/ai/models/a/b", Escaped: "/ai/models/a/b", URI: "/ai/models/a/b", Remote: ":0", Header: http.Header{},
		}},
		{"greedy resource", `{"httpMethod":"GET","path":"/any/thing","resource":"/{proxy+}"}`, seen{
			Method: "GET", Path: "/any/thing", Escaped: "/any/thing", URI: "/any/thing", Remote: ":0", Header: http.Header{},
		}},
		{"no Host header", `{"httpMethod":"GET","path":"/","requestContext":{"domainName":"d","identity":{"sourceIp":"2001:db8::1"}}}`, seen{
			Method: "GET", Path: "/", Escaped: "/", URI: "/", Host: "d", Remote: "[2001:db8::1]:0", Header: http.Header{},
		}},
	} {
		if diff := cmp.Diff(tc.want, see(t, tc.event)); diff != "" {
			t.Errorf("%s: request (-want +got):\n%s", tc.name, diff)
		}
	}
}

// FuzzEvent: no event may crash an instance; each is a request or a 400.
func FuzzEvent(f *testing.F) {
	for _, s := range []string{proxyEvent, `{}`, `{"httpMethod":"GET","path":"/%zz","resource":"{"}`, `{"httpMethod":"POST","path":"/a/b","resource":"b{","body":"aGk=","isBase64Encoded":true}`,
		`{"httpMethod":"é","path":"/"}`, `{"httpMethod":"GET","path":"//host/x?y","headers":{"":"","\u0000":"\n"}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var ev events.APIGatewayProxyRequest
		if json.Unmarshal(in, &ev) != nil {
			return // Lambda passes JSON only
		}
		resp := call(t, t.Context(), ev, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "" || !strings.HasPrefix(r.RequestURI, "/") || r.URL.Host != "" || r.Header["Host"] != nil {
				t.Errorf("request = %+v", r)
			}
			if n, err := io.Copy(io.Discard, r.Body); n != r.ContentLength || err != nil {
				t.Errorf("body = %d bytes, %v; ContentLength %d", n, err, r.ContentLength)
			}
			w.WriteHeader(http.StatusNoContent)
		})
		read(t, resp.Body)
		if resp.StatusCode != http.StatusNoContent && resp.StatusCode != http.StatusBadRequest {
			t.Errorf("status = %d", resp.StatusCode)
		}
	})
}
