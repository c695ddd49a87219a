package router

import (
	"math"
	"slices"
	"sync"
	"time"
)

const (
	window   = 30 * time.Second // in which failures are counted
	slots    = 6
	slot     = window / slots
	minCalls = 20               // below that, nothing is concluded
	coolDown = 30 * time.Second // before an ill target is tried again; doubled each time that fails
	maxCool  = 5 * time.Minute

	decay   = 10 * time.Second // of the moving average of latency
	samples = 64               // of which the 95th percentile is taken
	enough  = 10               // samples for a percentile
)

// Health is what is known of a target: its breaker, its speed, its load. A nil
// Health knows nothing and lets everything pass. It may be used concurrently.
//
// The breaker opens when half of at least 20 calls within 30 seconds failed.
// After the cool-down one call is let through; its success closes the breaker,
// its failure doubles the cool-down.
type Health struct {
	name   string
	notify func(Change)

	mu      sync.Mutex
	counts  [slots]count
	fleet   tally // of other instances, in the window before heard
	heard   time.Time
	pending tally // of this one, not yet told to the others
	shutTo  time.Time
	cool    time.Duration // of the present opening; 0: closed
	probing bool

	average float64 // peak EWMA of the time to the first event, in seconds
	at      time.Time
	times   [samples]time.Duration
	timed   int
	open    int // calls under way
}

type count struct {
	slot  int64
	begun int64
	tally
}

type tally struct{ calls, failures int64 }

// Change is news of a breaker.
type Change struct {
	Target string
	Open   bool
	For    time.Duration // the cool-down, if open
}

// State describes a target for people.
type State struct {
	Target   string        `json:"target"`
	State    string        `json:"state"` // closed, open or half-open
	Calls    int64         `json:"calls"` // in the last 30 seconds
	Failures int64         `json:"failures"`
	TTFT     time.Duration `json:"-"` // the moving average
	Open     int           `json:"in_flight"`
}

// enter asks for a call. A target that is ill lets nobody in, or one for a
// trial when it has cooled down; force goes in regardless. Who got in must
// leave.
func (h *Health) enter(now time.Time, force bool) bool {
	if h == nil {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cool > 0 && !force {
		if now.Before(h.shutTo) || h.probing {
			return false
		}
		h.probing = true
	}
	h.open++
	h.during(now).begun++
	return true
}

// shut says whether enter would refuse.
func (h *Health) shut(now time.Time) bool {
	if h == nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.cool > 0 && (now.Before(h.shutTo) || h.probing)
}

// opens is when an ill target may be tried again; the zero time if it is well.
func (h *Health) opens() time.Time {
	if h == nil {
		return time.Time{}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.shutTo
}

// spoke notes the first event of a call.
func (h *Health) spoke(now time.Time, ttft time.Duration) {
	if h == nil {
		return
	}
	h.mu.Lock()
	h.observe(now, ttft)
	h.times[h.timed%samples] = ttft
	h.timed++
	closed := h.probing
	if closed {
		h.close()
	}
	h.mu.Unlock()
	if closed && h.notify != nil {
		h.notify(Change{Target: h.name})
	}
}

// lagged notes a call that was ended before it was heard: it would have taken
// longer than that.
func (h *Health) lagged(now time.Time, took time.Duration) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.observe(now, max(took, h.latency(now)))
	h.times[h.timed%samples] = took
	h.timed++
}

// leave notes the end of a call: success if the verdict is empty, and no
// failure of the target's unless the verdict says so.
func (h *Health) leave(now time.Time, took time.Duration, v Verdict) {
	if h == nil {
		return
	}
	h.mu.Lock()
	h.open--
	was := h.cool
	switch {
	case v.ill():
		h.add(now, tally{1, 1})
		h.observe(now, max(took, 2*h.latency(now), time.Second)) // what fails fast is not fast
		switch {
		case h.probing:
			h.openFor(now, min(2*h.cool, maxCool))
		case h.cool == 0:
			h.check(now)
		}
	case v == Stop || v == Poor: // the client left, or was not served: nothing is known
		h.probing = false
	default:
		h.add(now, tally{1, 0})
		if h.cool > 0 && (h.probing || !now.Before(h.shutTo)) {
			h.close()
		}
	}
	change := Change{Target: h.name, Open: h.cool > 0, For: h.cool}
	h.mu.Unlock()
	if h.notify != nil && was != change.For {
		h.notify(change)
	}
}

func (h *Health) openFor(now time.Time, d time.Duration) {
	h.cool, h.shutTo, h.probing = d, now.Add(d), false
}

func (h *Health) close() {
	h.cool, h.shutTo, h.probing = 0, time.Time{}, false
	h.counts, h.fleet = [slots]count{}, tally{} // what was before is over
}

// during is the count of the slot around a time, at most a window ago.
func (h *Health) during(now time.Time) *count {
	n := now.UnixNano() / int64(slot)
	c := &h.counts[n%slots]
	if c.slot != n {
		*c = count{slot: n}
	}
	return c
}

func (h *Health) add(now time.Time, t tally) {
	c := h.during(now)
	c.calls, c.failures = c.calls+t.calls, c.failures+t.failures
	h.pending.calls, h.pending.failures = h.pending.calls+t.calls, h.pending.failures+t.failures
}

// seen is what happened in the window, here and elsewhere.
func (h *Health) seen(now time.Time) tally {
	var sum tally
	if now.Sub(h.heard) < window {
		sum = h.fleet
	}
	n := now.UnixNano() / int64(slot)
	for _, c := range h.counts {
		if n-c.slot < slots {
			sum.calls, sum.failures = sum.calls+c.calls, sum.failures+c.failures
		}
	}
	return sum
}

// check opens the breaker if it must be. Calls that began lately and have not
// ended are taken for good ones: in a burst, what fails is known first.
func (h *Health) check(now time.Time) {
	young := h.during(now).begun + h.during(now.Add(-slot)).begun
	if s := h.seen(now); s.calls >= minCalls && 2*s.failures >= s.calls+min(young, int64(h.open)) {
		h.openFor(now, coolDown)
	}
}

// observe feeds the moving average: a slower answer counts at once, a faster
// one pulls it down in the course of ten seconds.
func (h *Health) observe(now time.Time, d time.Duration) {
	if x := d.Seconds(); x > h.average {
		h.average = x
	} else {
		w := math.Exp(-now.Sub(h.at).Seconds() / decay.Seconds())
		h.average = h.average*w + x*(1-w)
	}
	h.at = now
}

// latency is the moving average. It fades while nobody asks, so that a target
// which once was slow gets another chance.
func (h *Health) latency(now time.Time) time.Duration {
	return time.Duration(h.average * math.Exp(-now.Sub(h.at).Seconds()/decay.Seconds()) * float64(time.Second))
}

// expect is how long the first event of a call is likely to take; 0 is unknown.
func (h *Health) expect(now time.Time) time.Duration {
	if h == nil {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.latency(now)
}

// load is the number of calls under way.
func (h *Health) load() int {
	if h == nil {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open
}

// p95 is the time within which 95 of 100 calls began to answer lately; false
// while there are too few to tell.
func (h *Health) p95() (time.Duration, bool) {
	if h == nil {
		return 0, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	n := min(h.timed, samples)
	if n < enough {
		return 0, false
	}
	sorted := slices.Clone(h.times[:n])
	slices.Sort(sorted)
	return sorted[(n*95+99)/100-1], true
}

// state describes the target at now.
func (h *Health) state(now time.Time) State {
	h.mu.Lock()
	defer h.mu.Unlock()
	sum := h.seen(now)
	s := State{Target: h.name, State: "closed", Calls: sum.calls, Failures: sum.failures, TTFT: h.latency(now), Open: h.open}
	switch {
	case h.cool > 0 && now.Before(h.shutTo):
		s.State = "open"
	case h.cool > 0:
		s.State = "half-open"
	}
	return s
}
