package bedrock_test

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream/eventstreamapi"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/devmentor/ai-gateway/shared/bedrock"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/llmtest"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

// signed lets only requests through that carry a SigV4 signature for Bedrock.
type signed struct {
	t testing.TB
	http.RoundTripper
}

func (s signed) RoundTrip(r *http.Request) (*http.Response, error) {
	auth := r.Header.Get("Authorization")
	if !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") || !strings.Contains(auth, "/eu-west-1/bedrock/aws4_request, SignedHeaders=") {
		s.t.Errorf("Authorization = %q, want a signature for bedrock in eu-west-1", auth)
	}
	return s.RoundTripper.RoundTrip(r)
}

func newProvider(t testing.TB, baseURL string) *bedrock.Provider {
	return bedrock.New(aws.Config{
		Region:       "eu-west-1",
		Credentials:  credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", "session"),
		BaseEndpoint: aws.String(baseURL),
	}, signed{t, upstream.NewTransport()})
}

func TestConverse(t *testing.T) {
	llmtest.Provider(t, func(baseURL string) llm.Provider { return newProvider(t, baseURL) }, "testdata/chat", llmtest.Encode(frames(t)))
}

func TestEmbed(t *testing.T) {
	llmtest.Embedder(t, func(baseURL string) llm.Embedder { return newProvider(t, baseURL) }, "testdata/embed")
}

// frames returns a function that turns lines into Amazon's binary event
// stream. A line is "type payload", "!type payload" for an exception, or
// "!! code message" for an error that has no type. "cut N" leaves out the last
// N bytes of what came before. JSON and HTML stay as they are.
func frames(t testing.TB) func([]byte) []byte {
	return func(body []byte) []byte {
		if len(body) == 0 || body[0] == '{' || body[0] == '<' {
			return body
		}
		var out bytes.Buffer
		for line := range strings.Lines(string(body)) {
			kind, payload, _ := strings.Cut(strings.TrimSpace(line), " ")
			var m eventstream.Message
			set := func(name, value string) { m.Headers.Set(name, eventstream.StringValue(value)) }
			switch {
			case kind == "":
				continue
			case kind == "cut":
				n, err := strconv.Atoi(payload)
				if err != nil {
					t.Fatal(err)
				}
				out.Truncate(out.Len() - n)
				continue
			case kind == "!!":
				code, message, _ := strings.Cut(payload, " ")
				set(eventstreamapi.MessageTypeHeader, eventstreamapi.ErrorMessageType)
				set(eventstreamapi.ErrorCodeHeader, code)
				set(eventstreamapi.ErrorMessageHeader, message)
			case kind[0] == '!':
				set(eventstreamapi.MessageTypeHeader, eventstreamapi.ExceptionMessageType)
				set(eventstreamapi.ExceptionTypeHeader, kind[1:])
			default:
				set(eventstreamapi.MessageTypeHeader, eventstreamapi.EventMessageType)
				set(eventstreamapi.EventTypeHeader, kind)
			}
			if kind != "!!" {
				set(eventstreamapi.ContentTypeHeader, "application/json")
				m.Payload = []byte(payload)
			}
			if err := eventstream.NewEncoder().Encode(&out, m); err != nil {
				t.Fatal(err)
			}
		}
		return out.Bytes()
	}
}
