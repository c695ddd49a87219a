// Package awssecret resolves references to secrets that AWS keeps. It signs the
// two calls that takes; the SDK's clients for them would add a megabyte and a
// half to every function.
package awssecret

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/devmentor/ai-gateway/shared/fault"
)

const (
	lifetime = 5 * time.Minute  // of a value: how long a rotation may go unnoticed
	holdOff  = 30 * time.Second // between attempts to refresh a value that has expired
	patience = 5 * time.Second  // for one fetch, with all its attempts

	// patienceWithOld is how long callers wait for a value that replaces one which
	// has expired. They do wait: that one may be from hours ago, before the
	// environment was frozen.
	patienceWithOld = time.Second
)

// Store fetches secrets when they are first asked for, and keeps them for five
// minutes. It may be used concurrently.
type Store struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	aws       aws.Config
	endpoints Endpoints

	mu     sync.Mutex
	values map[string]*value // by reference, without "#json-key"
}

// value is a secret that was fetched, or is being fetched.
type value struct {
	text    string
	known   bool
	fresh   time.Time     // no need to ask before
	pending chan struct{} // closed when the running fetch is over; nil if none runs
	err     error         // of the last fetch, if known is false
}

// Endpoints replace Amazon's own; "" keeps it.
type Endpoints struct{ SSM, SecretsManager string }

// New returns a Store that reads from cfg's region with cfg's credentials and
// client. It does no I/O.
func New(cfg aws.Config, endpoints Endpoints) *Store {
	return &Store{aws: cfg, endpoints: endpoints, values: map[string]*value{}}
}

// Get returns a function that resolves ref:
//
//	ssm:NAME                                a parameter, decrypted
//	secretsmanager:NAME_OR_ARN[#JSON-KEY]   a secret's text, or one string of the JSON object in it
//	anything else                           ref itself
//
// Callers who need the same value at the same time share one fetch. A failed
// fetch is not remembered, unless there is an older value: that one stays in
// use, also when AWS takes longer than a second, and is asked for again every 30
// seconds. Errors are fault.Unavailable
// and name the reference, never a value; when the caller's context ends first,
// they are its own.
func (s *Store) Get(ref string) func(context.Context) (string, error) {
	service, name, _ := strings.Cut(ref, ":")
	key := ""
	switch service {
	case "ssm":
	case "secretsmanager":
		name, key, _ = strings.Cut(name, "#")
	default:
		return func(context.Context) (string, error) { return ref, nil }
	}
	return func(ctx context.Context) (string, error) {
		text, err := s.get(ctx, service, name)
		if err == nil && key != "" {
			text, err = member(text, key)
		}
		if err == nil {
			return text, nil
		}
		if cause := context.Cause(ctx); cause != nil {
			return "", fault.As(cause)
		}
		return "", fault.Wrap(fault.Unavailable, fmt.Errorf("%s: %w", ref, err), "The gateway could not read one of its secrets; try again later.")
	}
}

func (s *Store) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s *Store) get(ctx context.Context, service, name string) (string, error) {
	s.mu.Lock()
	v := s.values[service+":"+name]
	if v == nil {
		v = &value{}
		s.values[service+":"+name] = v
	}
	if v.known && s.now().Before(v.fresh) {
		defer s.mu.Unlock()
		return v.text, nil
	}
	if v.pending == nil {
		v.pending = make(chan struct{})
		// The fetch serves others too, so it outlives the caller that began it.
		go s.refresh(context.WithoutCancel(ctx), v, service, name)
	}
	pending := v.pending
	var enough <-chan time.Time
	if v.known {
		enough = time.After(patienceWithOld)
	}
	s.mu.Unlock()

	select {
	case <-pending:
	case <-enough:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.known {
		return v.text, nil
	}
	return "", v.err
}

func (s *Store) refresh(ctx context.Context, v *value, service, name string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	text, err := s.fetch(ctx, service, name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.err = err; err == nil {
		v.text, v.known, v.fresh = text, true, s.now().Add(lifetime)
	} else {
		v.fresh = s.now().Add(holdOff) // heeded only if there is a value
	}
	close(v.pending)
	v.pending = nil
}

func (s *Store) fetch(ctx context.Context, service, name string) (string, error) {
	if name == "" {
		return "", errors.New("the reference names nothing")
	}
	if service == "ssm" {
		var out struct{ Parameter struct{ Value *string } }
		err := s.call(ctx, "ssm", "AmazonSSM.GetParameter", map[string]any{"Name": name, "WithDecryption": true}, &out)
		if err == nil && out.Parameter.Value == nil {
			err = errors.New("the parameter has no value")
		}
		if err != nil {
			return "", err
		}
		return *out.Parameter.Value, nil
	}
	var out struct{ SecretString *string }
	err := s.call(ctx, "secretsmanager", "secretsmanager.GetSecretValue", map[string]any{"SecretId": name}, &out)
	if err == nil && out.SecretString == nil {
		err = errors.New("the secret is not text")
	}
	if err != nil {
		return "", err
	}
	return *out.SecretString, nil
}

// member returns a string of a JSON object. Its errors hold nothing of text,
// unlike those of encoding/json.
func member(text, key string) (string, error) {
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &object) != nil {
		return "", errors.New("the secret is not a JSON object")
	}
	raw, ok := object[key]
	if !ok {
		return "", errors.New("the secret has no such key")
	}
	var s *string
	if json.Unmarshal(raw, &s) != nil || s == nil {
		return "", errors.New("the value under this key is not a string")
	}
	return *s, nil
}
