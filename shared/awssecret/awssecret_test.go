package awssecret_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/devmentor/ai-gateway/shared/awssecret"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

// vault plays SSM and Secrets Manager. There is no network, so that tests can
// tell what waits for what.
type vault struct {
	t testing.TB

	mu     sync.Mutex
	values map[string]string // by name; a name that is missing is an error
	down   bool
	calls  []string // target and name
	first  []int    // statuses of the first answers
	hold   chan struct{}
}

func newVault(t testing.TB, values map[string]string) *vault {
	return &vault{t: t, values: values}
}

// RoundTrip implements http.RoundTripper.
func (v *vault) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	v.ServeHTTP(w, r)
	return w.Result(), nil
}

func (v *vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		v.t.Error(err)
	}
	var in struct {
		Name, SecretID string
		WithDecryption bool
	}
	if err := json.Unmarshal(body, &in); err != nil {
		v.t.Errorf("body %s: %v", body, err)
	}
	target := r.Header.Get("X-Amz-Target")
	signedFor := map[string]string{"AmazonSSM.GetParameter": "/ssm/", "secretsmanager.GetSecretValue": "/secretsmanager/"}[target]
	if auth := r.Header.Get("Authorization"); signedFor == "" || !strings.Contains(auth, "/eu-west-1"+signedFor+"aws4_request") {
		v.t.Errorf("X-Amz-Target = %q with Authorization %q", target, auth)
	}
	if signedFor == "/ssm/" && !in.WithDecryption {
		v.t.Error("a parameter was asked for without decryption")
	}
	v.mu.Lock()
	v.calls = append(v.calls, target+" "+in.Name+in.SecretID)
	text, ok := v.values[in.Name+in.SecretID]
	ok, hold := ok && !v.down, v.hold
	status := 0
	if len(v.first) > 0 {
		status, v.first = v.first[0], v.first[1:]
	}
	v.mu.Unlock()
	if hold != nil {
		<-hold
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	switch {
	case status == http.StatusBadRequest:
		w.WriteHeader(status)
		fmt.Fprint(w, `{"__type":"com.amazonaws.ssm#ThrottlingException","message":"Rate exceeded"}`)
	case status != 0:
		w.WriteHeader(status)
		fmt.Fprint(w, "sk-never-shown")
	case !ok:
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type":"AccessDeniedException","message":"not yours"}`)
	case text == "(binary)":
		fmt.Fprint(w, `{"SecretBinary":"c2VjcmV0"}`)
	case signedFor == "/ssm/":
		json.NewEncoder(w).Encode(map[string]any{"Parameter": map[string]string{"Name": in.Name, "Value": text, "Type": "SecureString"}})
	default:
		json.NewEncoder(w).Encode(map[string]string{"Name": in.SecretID, "SecretString": text})
	}
}

func (v *vault) set(name, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.values[name] = text
}

func (v *vault) setDown(down bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.down = down
}

func (v *vault) wantCalls(n int) {
	v.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.calls) != n {
		v.t.Errorf("calls = %q, want %d", v.calls, n)
	}
}

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// store asks once.
func (v *vault) store() (*awssecret.Store, *clock) {
	cfg := v.config()
	cfg.RetryMaxAttempts = 1
	c := &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	s := awssecret.New(cfg, awssecret.Endpoints{})
	s.Now = c.Now
	return s, c
}

func (v *vault) config() aws.Config {
	return aws.Config{
		Region:       "eu-west-1",
		Credentials:  credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		BaseEndpoint: aws.String("http://vault"),
		HTTPClient:   upstream.AWSClient{RoundTripper: v},
	}
}

func want(t *testing.T, get func(context.Context) (string, error), text string) {
	t.Helper()
	if got, err := get(t.Context()); got != text || err != nil {
		t.Errorf("Get = %q, %v, want %q", got, err, text)
	}
}

func TestReferences(t *testing.T) {
	const arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:llm-AbCdEf"
	v := newVault(t, map[string]string{"/prod/pepper": "p3pp3r", "llm": "plain", arn: `{"openai":"sk-1","anthropic":"sk-2","n":1,"null":null}`, "bin": "(binary)"})
	s, _ := v.store()
	for _, tc := range []struct{ ref, want, err string }{
		{ref: "sk-literal", want: "sk-literal"},
		{ref: "", want: ""},
		{ref: "s3://bucket/key", want: "s3://bucket/key"},
		{ref: "ssm:/prod/pepper", want: "p3pp3r"},
		{ref: "secretsmanager:llm", want: "plain"},
		{ref: "secretsmanager:" + arn + "#openai", want: "sk-1"},
		{ref: "secretsmanager:" + arn + "#anthropic", want: "sk-2"},
		{ref: "secretsmanager:" + arn + "#gemini", err: "the secret has no such key"},
		{ref: "secretsmanager:" + arn + "#n", err: "the value under this key is not a string"},
		{ref: "secretsmanager:" + arn + "#null", err: "the value under this key is not a string"},
		{ref: "secretsmanager:llm#openai", err: "the secret is not a JSON object"},
		{ref: "secretsmanager:bin", err: "the secret is not text"},
		{ref: "ssm:/prod/other", err: "AccessDeniedException"},
		{ref: "ssm:", err: "the reference names nothing"},
	} {
		got, err := s.Get(tc.ref)(t.Context())
		if got != tc.want || (err != nil) != (tc.err != "") {
			t.Errorf("Get(%q) = %q, %v, want %q, error %q", tc.ref, got, err, tc.want, tc.err)
			continue
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), tc.ref) || !strings.Contains(err.Error(), tc.err) {
			t.Errorf("Get(%q): %v, want fault.Unavailable with the reference and %q", tc.ref, err, tc.err)
		}
		for _, secret := range []string{"sk-", "plain", "p3pp3r", "c2VjcmV0"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("Get(%q): %v holds a value", tc.ref, err)
			}
		}
		if message := fault.As(err).Message; strings.Contains(message, tc.ref) {
			t.Errorf("Get(%q): the client is told %q", tc.ref, message)
		}
	}
	v.wantCalls(5) // each value once, however many keys of it were asked for
}

func TestNothingIsFetchedBeforeItIsNeeded(t *testing.T) {
	v := newVault(t, nil)
	s, _ := v.store()
	s.Get("ssm:a")
	s.Get("secretsmanager:b")
	v.wantCalls(0)
}

func TestOneFetchForAllCallers(t *testing.T) {
	v := newVault(t, map[string]string{"a": "1"})
	v.hold = make(chan struct{})
	s, _ := v.store()
	get := s.Get("ssm:a")
	var callers sync.WaitGroup
	for range 50 {
		callers.Go(func() {
			if got, err := get(context.Background()); got != "1" || err != nil {
				t.Errorf("Get = %q, %v, want 1", got, err)
			}
		})
	}
	close(v.hold)
	callers.Wait()
	v.wantCalls(1)
}

func TestCallerThatLeavesDoesNotSpoilTheFetch(t *testing.T) {
	v := newVault(t, map[string]string{"a": "1"})
	v.hold = make(chan struct{})
	s, _ := v.store()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Get("ssm:a")(ctx); !errors.Is(err, fault.Canceled) {
		t.Errorf("Get of a caller that left: %v, want fault.Canceled", err)
	}
	close(v.hold)
	want(t, s.Get("ssm:a"), "1")
	v.wantCalls(1)
}

func TestRotation(t *testing.T) { synctest.Test(t, rotation) }

func rotation(t *testing.T) {
	v := newVault(t, map[string]string{"a": "old"})
	s, clock := v.store()
	get := s.Get("ssm:a")
	want(t, get, "old")
	v.set("a", "new")
	clock.advance(5*time.Minute - time.Second)
	want(t, get, "old")
	v.wantCalls(1)
	clock.advance(time.Second)
	want(t, get, "new")
	want(t, get, "new")
	v.wantCalls(2)
}

func TestFailureIsNotRemembered(t *testing.T) {
	v := newVault(t, map[string]string{"a": "1"})
	v.setDown(true)
	s, _ := v.store()
	get := s.Get("ssm:a")
	if got, err := get(t.Context()); !errors.Is(err, fault.Unavailable) {
		t.Errorf("Get = %q, %v, want fault.Unavailable", got, err)
	}
	v.setDown(false)
	want(t, get, "1")
	v.wantCalls(2)
}

func TestOldValueOutlivesAnOutage(t *testing.T) { synctest.Test(t, oldValueOutlivesAnOutage) }

func oldValueOutlivesAnOutage(t *testing.T) {
	v := newVault(t, map[string]string{"a": "old"})
	s, clock := v.store()
	get := s.Get("ssm:a")
	want(t, get, "old")
	v.setDown(true)
	clock.advance(time.Hour)
	want(t, get, "old")
	want(t, get, "old") // without asking again at once
	v.wantCalls(2)
	v.setDown(false)
	v.set("a", "new")
	clock.advance(30 * time.Second)
	want(t, get, "new")
	v.wantCalls(3)
}

func TestWhatMayPassIsTriedAgain(t *testing.T) { synctest.Test(t, whatMayPassIsTriedAgain) }

func whatMayPassIsTriedAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		first []int
		calls int
		err   string
	}{
		"failures":      {first: []int{503, 500}, calls: 3},
		"throttling":    {first: []int{400}, calls: 2},
		"too many":      {first: []int{429}, calls: 2},
		"three of them": {first: []int{503, 429, 500}, calls: 3, err: "status 500: Internal Server Error"},
		"no permission": {first: []int{403}, calls: 1, err: "status 403: Forbidden"},
	} {
		v := newVault(t, map[string]string{"a": "1"})
		v.first = tc.first
		got, err := awssecret.New(v.config(), awssecret.Endpoints{}).Get("ssm:a")(t.Context())
		if tc.err == "" && (got != "1" || err != nil) {
			t.Errorf("%s: Get = %q, %v, want 1", name, got, err)
		}
		if tc.err != "" && (!errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), tc.err) || strings.Contains(err.Error(), "sk-")) {
			t.Errorf("%s: err = %v, want %q and nothing of the body", name, err, tc.err)
		}
		v.wantCalls(tc.calls)
	}
}

// hosts notes where requests go, and answers none.
type hosts []string

func (h *hosts) Do(r *http.Request) (*http.Response, error) {
	*h = append(*h, r.URL.String())
	return nil, errors.New("no network")
}

func TestWhereServicesAre(t *testing.T) {
	ask := func(region, ref string, own awssecret.Endpoints) []string {
		var asked hosts
		cfg := aws.Config{Region: region, Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""), HTTPClient: &asked, RetryMaxAttempts: 1}
		if _, err := awssecret.New(cfg, own).Get(ref)(t.Context()); err == nil {
			t.Errorf("%s in %q: no error", ref, region)
		}
		return asked
	}
	for _, tc := range []struct{ region, ref, want string }{
		{"eu-west-1", "ssm:a", "[https://ssm.eu-west-1.amazonaws.com]"},
		{"us-gov-west-1", "secretsmanager:a", "[https://secretsmanager.us-gov-west-1.amazonaws.com]"},
		{"cn-north-1", "ssm:a", "[https://ssm.cn-north-1.amazonaws.com.cn]"},
		{"us-iso-east-1", "ssm:a", "[https://ssm.us-iso-east-1.c2s.ic.gov]"},
		{"us-isob-east-1", "ssm:a", "[https://ssm.us-isob-east-1.sc2s.sgov.gov]"},
		{"eusc-de-east-1", "ssm:a", "[https://ssm.eusc-de-east-1.amazonaws.eu]"},
		{"", "ssm:a", "[]"},
	} {
		if got := fmt.Sprint(ask(tc.region, tc.ref, awssecret.Endpoints{})); got != tc.want {
			t.Errorf("%s in %q is asked for at %s, want %s", tc.ref, tc.region, got, tc.want)
		}
	}
	own := awssecret.Endpoints{SSM: "http://vault.internal:4566", SecretsManager: "http://vault.internal:4567"}
	if got := fmt.Sprint(ask("eu-west-1", "secretsmanager:a", own), ask("eu-west-1", "ssm:a", own)); got != "[http://vault.internal:4567] [http://vault.internal:4566]" {
		t.Errorf("with endpoints of their own: %s", got)
	}
}

// TestOldValueIsUsedWhenTheNewOneTakesLong: nobody waits for the whole of it.
func TestOldValueIsUsedWhenTheNewOneTakesLong(t *testing.T) {
	synctest.Test(t, oldValueIsUsedWhenTheNewOneTakesLong)
}

func oldValueIsUsedWhenTheNewOneTakesLong(t *testing.T) {
	v := newVault(t, map[string]string{"a": "old"})
	s, clock := v.store()
	get := s.Get("ssm:a")
	want(t, get, "old")
	v.mu.Lock()
	v.hold = make(chan struct{})
	v.mu.Unlock()
	v.set("a", "new")
	clock.advance(time.Hour)
	want(t, get, "old")
	close(v.hold)
	want(t, get, "new") // the fetch went on beside
	v.wantCalls(2)
}
