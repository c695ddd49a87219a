package bedrock_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/devmentor/ai-gateway/shared/bedrock"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

func parse(t testing.TB, body string) *llm.Request {
	t.Helper()
	req, err := llm.ParseRequest([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func parseEmbed(t testing.TB, model string, inputs []string) *llm.EmbedRequest {
	t.Helper()
	body, err := json.Marshal(map[string]any{"model": model, "input": inputs})
	if err != nil {
		t.Fatal(err)
	}
	req, err := llm.ParseEmbedRequest(body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

const streamBody = `messageStart {"role":"assistant"}
contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"%s"}}
contentBlockStop {"contentBlockIndex":0}
messageStop {"stopReason":"end_turn"}
metadata {"usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2}}
`

// TestStreamsSideBySide checks that streams of one Provider do not get into
// each other's way, and that connections outlive their streams.
func TestStreamsSideBySide(t *testing.T) {
	encode := frames(t)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Messages []struct{ Content []struct{ Text string } }
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
		text := in.Messages[0].Content[0].Text
		for line := range strings.Lines(fmt.Sprintf(streamBody, strings.Repeat(text, 1000))) {
			w.Write(encode([]byte(line)))
			http.NewResponseController(w).Flush()
		}
	}))
	var mu sync.Mutex
	opened := 0
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			mu.Lock()
			opened++
			mu.Unlock()
		}
	}
	srv.Start()
	defer srv.Close()
	p := newProvider(t, srv.URL)
	const workers, rounds = 4, 25
	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() {
			for j := range rounds {
				text := fmt.Sprintf("<%d.%d>", i, j)
				req := parse(t, `{"model":"anthropic.x","stream":true,"messages":[{"role":"user","content":"`+text+`"}]}`)
				a, err := llm.Collect(t.Context(), p, req)
				if err != nil {
					t.Error(err)
					return
				}
				if got := a.Choices[0].Text.String(); got != strings.Repeat(text, 1000) || a.Usage == nil {
					t.Errorf("stream %s got %.40q…, usage %v", text, got, a.Usage)
				}
			}
		})
	}
	all.Wait()
	mu.Lock()
	defer mu.Unlock()
	if opened > 2*workers {
		t.Errorf("%d connections for %d streams, %d at a time: a finished stream must leave its connection open", opened, workers*rounds, workers)
	}
}

func TestMaxTokens(t *testing.T) {
	var body []byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		io.WriteString(w, `{"output":{"message":{"role":"assistant","content":[]}},"stopReason":"end_turn"}`)
	}))
	defer srv.Close()
	p := newProvider(t, srv.URL)
	known := func(model string) int64 { return map[string]int64{"amazon.a": 77}[model] }
	for _, tc := range []struct {
		model, asked string
		known        func(string) int64
		want         int64
	}{
		{"amazon.a", "", nil, 4096},
		{"amazon.a", "", known, 77},
		{"amazon.b", "", known, 4096},
		{"amazon.a", `,"max_tokens":5`, known, 5},
		{"amazon.a", `,"max_tokens":99999999999`, known, 1<<31 - 1},
	} {
		p.MaxTokens = tc.known
		req := parse(t, `{"model":"`+tc.model+`","messages":[{"role":"user","content":"x"}]`+tc.asked+`}`)
		if err := p.Complete(t.Context(), req, func(*llm.Event) error { return nil }); err != nil {
			t.Fatal(err)
		}
		var sent struct{ InferenceConfig struct{ MaxTokens int64 } }
		if err := json.Unmarshal(body, &sent); err != nil || sent.InferenceConfig.MaxTokens != tc.want {
			t.Errorf("%s%s: maxTokens = %d, %v, want %d", tc.model, tc.asked, sent.InferenceConfig.MaxTokens, err, tc.want)
		}
	}
}

func TestMetadataIsHarmlessOrLeftOut(t *testing.T) {
	var body []byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		io.WriteString(w, `{"output":{"message":{"role":"assistant","content":[]}},"stopReason":"end_turn"}`)
	}))
	defer srv.Close()
	many := strings.TrimSuffix(strings.Repeat(`"k%d":"v",`, 17), ",")
	numbers := make([]any, 17)
	for i := range numbers {
		numbers[i] = i
	}
	for _, tc := range []struct{ fields, want, dropped string }{
		{`"metadata":{"team":"a b","empty":""},"user":"u-1"`, `{"empty":"","team":"a b","user":"u-1"}`, ""},
		{`"metadata":{"user":"mine"},"user":"u-1"`, `{"user":"mine"}`, "user"},
		{`"metadata":{"team":"ü"},"user":"u-1"`, `{"user":"u-1"}`, "metadata"},
		{`"metadata":{"team":1}`, `null`, "metadata"},
		{`"metadata":{` + fmt.Sprintf(many, numbers...) + `}`, `null`, "metadata"},
		{`"user":"{\"name\":1}"`, `null`, "user"},
		{`"user":""`, `null`, ""},
	} {
		req := parse(t, `{"model":"a.b","messages":[{"role":"user","content":"x"}],`+tc.fields+`}`)
		if err := newProvider(t, srv.URL).Complete(t.Context(), req, func(*llm.Event) error { return nil }); err != nil {
			t.Fatal(err)
		}
		var sent struct{ RequestMetadata map[string]string }
		if err := json.Unmarshal(body, &sent); err != nil {
			t.Fatal(err)
		}
		if got, _ := json.Marshal(sent.RequestMetadata); string(got) != tc.want || strings.Join(req.Dropped, ",") != tc.dropped {
			t.Errorf("%s: requestMetadata = %s, dropped %q, want %s, %q", tc.fields, got, req.Dropped, tc.want, tc.dropped)
		}
	}
}

func TestNoCredentials(t *testing.T) {
	failing := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("no profile")
	})
	for _, tc := range []struct {
		name string
		cfg  aws.Config
	}{
		{"they cannot be had", aws.Config{Region: "eu-west-1", Credentials: failing}},
		{"there are none", aws.Config{Region: "eu-west-1"}},
		{"there is no region", aws.Config{Credentials: failing}},
	} {
		p := bedrock.New(tc.cfg, upstream.NewTransport(), func(o *bedrockruntime.Options) { o.BaseEndpoint = aws.String("http://127.0.0.1:1") })
		for _, stream := range []string{"true", "false"} {
			err := p.Complete(t.Context(), parse(t, `{"model":"a.b","messages":[{"role":"user","content":"x"}],"stream":`+stream+`}`), nil)
			if f := fault.As(err); f.Kind != fault.Upstream || f.Code != "upstream_credentials" || f.Provider != "bedrock" || f.Err == nil {
				t.Errorf("%s, stream %s: %+v, want upstream_credentials with its cause", tc.name, stream, f)
			}
		}
	}
}

func TestUnreachable(t *testing.T) {
	srv := httptest.NewServer(nil)
	srv.Close()
	err := newProvider(t, srv.URL).Complete(t.Context(), parse(t, `{"model":"a.b","messages":[{"role":"user","content":"x"}],"stream":true}`), nil)
	if f := fault.As(err); f.Kind != fault.Upstream || f.Code != "upstream_unreachable" || f.Status != 0 {
		t.Errorf("Complete = %+v, want upstream_unreachable without a status", f)
	}
}

func TestDeadlineInAStream(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
		w.Write(frames(t)([]byte("messageStart {}\ncontentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"text\":\"a\"}}\n")))
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer srv.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	err := newProvider(t, srv.URL).Complete(ctx, parse(t, `{"model":"a.b","messages":[{"role":"user","content":"x"}],"stream":true}`), func(*llm.Event) error {
		cancel(context.DeadlineExceeded)
		return nil
	})
	if !errors.Is(err, fault.Timeout) || fault.As(err).Provider != "bedrock" {
		t.Errorf("Complete = %v, want fault.Timeout of bedrock", err)
	}
}

// TestOptionsComeLast checks that wiring can name another endpoint.
func TestOptionsComeLast(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer srv.Close()
	p := bedrock.New(aws.Config{Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", "")}, upstream.NewTransport(),
		func(o *bedrockruntime.Options) { o.BaseEndpoint = aws.String(srv.URL) })
	err := p.Complete(t.Context(), parse(t, `{"model":"a.b","messages":[{"role":"user","content":"x"}]}`), nil)
	if f := fault.As(err); f.Status != http.StatusTeapot {
		t.Errorf("Complete = %v, want the other endpoint's 418", err)
	}
}

func TestBatch(t *testing.T) {
	p := newProvider(t, "http://127.0.0.1:1")
	for model, want := range map[string]llm.Batch{
		"amazon.titan-embed-text-v2:0": {Inputs: 1, Calls: 8},
		"amazon.titan-embed-text-v1":   {Inputs: 1, Calls: 8},
		"cohere.embed-english-v3":      {Inputs: 96},
		"us.cohere.embed-v4:0":         {Inputs: 96},
	} {
		if got := p.Batch(model); got != want {
			t.Errorf("Batch(%s) = %+v, want %+v", model, got, want)
		}
		inputs := make([]string, want.Inputs+1)
		for i := range inputs {
			inputs[i] = "x"
		}
		if _, err := p.Embed(t.Context(), parseEmbed(t, model, inputs)); fault.As(err).Param != "input" {
			t.Errorf("%s: Embed of %d inputs = %v, want a refusal of input", model, len(inputs), err)
		}
	}
}

func TestEmbedStopsWhenTheClientLeaves(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newProvider(t, s.URL).Embed(ctx, parseEmbed(t, "amazon.titan-embed-text-v1", []string{"x"})); !errors.Is(err, fault.Canceled) {
		t.Errorf("Embed = %v, want fault.Canceled", err)
	}
}
