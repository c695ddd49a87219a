package projectservice

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/devmentor/ai-gateway/shared/lru"
)

const (
	maxKeep    = 5 * time.Minute
	maxKept    = 4 << 20 // bytes of all answers that are kept
	entryBytes = 256     // what an answer takes beside its texts
)

// key is whose question an answer is to: no user gets what another was told.
type key struct{ user, project string }

// answers are those that the service allows to be kept, for as long as it does.
type answers struct {
	mu   sync.Mutex
	kept lru.Cache[key, kept]
}

type kept struct {
	text  string
	until time.Time
}

func newAnswers() *answers { return &answers{kept: lru.Cache[key, kept]{Most: maxKept}} }

func (c *answers) get(k key) (text string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.kept.Get(k)
	if !ok || !time.Now().Before(e.until) {
		c.kept.Drop(k)
		return "", false
	}
	return e.text, true
}

// put keeps an answer, if it may be kept.
func (c *answers) put(k key, a answer) {
	if a.keep <= 0 {
		return
	}
	k.project = strings.Clone(k.project) // it may be a piece of a request's body
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept.Put(k, kept{a.text, time.Now().Add(a.keep)}, int64(len(k.user)+len(k.project)+len(a.text)+entryBytes))
}

// freshness is how long an answer may be kept: its max-age less the age it came
// with, at most five minutes. Nothing is kept that does not say so.
func freshness(h http.Header) time.Duration {
	seconds := 0
	for _, line := range h.Values("Cache-Control") {
		for directive := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
			switch name {
			case "no-store", "no-cache":
				return 0
			case "max-age":
				n, err := strconv.Atoi(strings.Trim(value, `"`))
				if err != nil || n < 0 {
					return 0
				}
				seconds = min(n, int(maxKeep/time.Second))
			}
		}
	}
	age, err := strconv.Atoi(h.Get("Age"))
	if err != nil {
		age = 0
	}
	return time.Duration(seconds-max(0, age)) * time.Second
}
