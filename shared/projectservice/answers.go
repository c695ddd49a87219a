package projectservice

import (
	"container/list"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxKeep    = 5 * time.Minute
	maxKept    = 4 << 20 // bytes of all answers that are kept
	entryBytes = 256     // what an answer takes beside its texts
)

// key is whose question an answer is to: no user gets what another was told.
type key struct{ user, project string }

// answers are those that the service allows to be kept, for as long as it does.
// What nobody has asked for longest goes first. The zero value is ready.
type answers struct {
	mu    sync.Mutex
	bytes int
	of    map[key]*list.Element
	order list.List // of *kept, the newest first
}

type kept struct {
	key
	text  string
	until time.Time
}

func (k *kept) bytes() int { return len(k.user) + len(k.project) + len(k.text) + entryBytes }

func (c *answers) get(k key) (text string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el := c.of[k]
	if el == nil {
		return "", false
	}
	e := el.Value.(*kept)
	if !time.Now().Before(e.until) {
		c.drop(el)
		return "", false
	}
	c.order.MoveToFront(el)
	return e.text, true
}

// put keeps an answer, if it may be kept.
func (c *answers) put(k key, a answer) {
	if a.keep <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if el := c.of[k]; el != nil {
		c.drop(el)
	}
	if c.of == nil {
		c.of = map[key]*list.Element{}
	}
	k.project = strings.Clone(k.project) // it may be a piece of a request's body
	e := &kept{key: k, text: a.text, until: time.Now().Add(a.keep)}
	c.of[k] = c.order.PushFront(e)
	c.bytes += e.bytes()
	for c.bytes > maxKept {
		c.drop(c.order.Back())
	}
}

func (c *answers) drop(el *list.Element) {
	e := c.order.Remove(el).(*kept)
	delete(c.of, e.key)
	c.bytes -= e.bytes()
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
