package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/devmentor/ai-gateway/shared/chain"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/requestid"
)

// RunRuns is the contract of stores of the runs of chains. It calls open as
// RunConversations does.
func RunRuns(t *testing.T, open func(t *testing.T, now func() time.Time) chain.Runs) {
	for _, c := range runCases {
		t.Run(c.name, func(t *testing.T) {
			k := &clock{}
			k.set(at(0))
			c.run(&runs{T: t, Runs: open(t, k.now), clock: k, tenant: "t-" + requestid.New(time.Now())})
		})
	}
}

// runs is a tenant with runs of chains.
type runs struct {
	*testing.T
	chain.Runs
	*clock
	tenant string
}

const someRun = "run_00000001"

// aRun is a run at the clock's time, with everything in it.
func (p *runs) aRun(id string, rev int) *chain.Run {
	return &chain.Run{ID: id, Chain: "c", Version: 3, Input: json.RawMessage(`{"n":12345678901234567890}`), Status: chain.Failed, Rev: rev,
		Error: &chain.Failure{Kind: fault.Upstream, Message: "It broke.", Code: "odd", Param: "steps[1]"}, Cost: 41, Usage: llm.Usage{Input: 3, Output: 1},
		Steps: []*chain.Result{{ID: "a", Type: chain.Prompt, Status: chain.OK, Output: json.RawMessage(`"<é>"`), Attempts: 2, Cost: 41, Duration: time.Second},
			{ID: "b", Type: chain.Map, Status: chain.Failed, Items: []chain.ItemError{{Index: 4, Error: &chain.Failure{Kind: fault.Timeout, Message: "Slow."}}}}},
		Memory:  []chain.Memory{{Call: "b[0", Output: json.RawMessage(`[1]`), Model: "m"}},
		Created: at(0).UTC(), Updated: p.now().UTC(), Until: at(900).UTC()}
}

func (p *runs) save(r *chain.Run) {
	p.Helper()
	if err := p.Save(p.Context(), p.tenant, r); err != nil {
		p.Fatalf("Save(%s, revision %d) = %v", r.ID, r.Rev, err)
	}
}

func (p *runs) conflicts(r *chain.Run) {
	p.Helper()
	if err := p.Save(p.Context(), p.tenant, r); !errors.Is(err, fault.Conflict) {
		p.Errorf("Save(%s, revision %d) = %v, want conflict", r.ID, r.Rev, err)
	}
}

func (p *runs) has(want *chain.Run) {
	p.Helper()
	got, err := p.Runs.Run(p.Context(), p.tenant, want.ID)
	if err != nil {
		p.Fatalf("Run(%s) = %v", want.ID, err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(chain.Result{})); diff != "" {
		p.Errorf("Run(%s) (-want +got):\n%s", want.ID, diff)
	}
}

func (p *runs) missing(id string) {
	p.Helper()
	if r, err := p.Runs.Run(p.Context(), p.tenant, id); !errors.Is(err, fault.NotFound) {
		p.Errorf("Run(%s) = %+v, %v, want not_found", id, r, err)
	}
}

var runCases = []struct {
	name string
	run  func(p *runs)
}{
	{"a run is stored whole, and replaced by its next revision", func(p *runs) {
		p.missing(someRun)
		first := p.aRun(someRun, 1)
		p.save(first)
		p.has(first)
		second := p.aRun(someRun, 2)
		second.Status, second.Error, second.Steps, second.Output, second.Memory = chain.OK, nil, second.Steps[:1], json.RawMessage("null"), nil
		p.save(second)
		p.has(second)
	}},
	{"only the revision after the stored one is taken", func(p *runs) {
		p.conflicts(p.aRun(someRun, 2))
		first := p.aRun(someRun, 1)
		p.save(first)
		for _, rev := range []int{1, 3, 0, -1} {
			p.conflicts(p.aRun(someRun, rev))
		}
		p.has(first)
	}},
	{"of those who save at once, one succeeds", func(p *runs) {
		p.save(p.aRun(someRun, 1))
		var won atomic.Int64
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				r := p.aRun(someRun, 2)
				r.Lost = fmt.Sprint(i)
				if err := p.Save(p.Context(), p.tenant, r); err == nil {
					won.Add(1)
				} else if !errors.Is(err, fault.Conflict) {
					p.Errorf("Save = %v, want conflict", err)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			p.Errorf("%d have saved revision 2, want 1", won.Load())
		}
	}},
	{"a run is there until a week after its last change", func(p *runs) {
		p.save(p.aRun(someRun, 1))
		p.set(at(0).Add(chain.Keep - time.Second))
		second := p.aRun(someRun, 2)
		p.save(second)
		p.set(at(0).Add(2*chain.Keep - 2*time.Second))
		p.has(second)
		p.set(at(0).Add(2*chain.Keep - time.Second))
		p.missing(someRun)
		p.conflicts(p.aRun(someRun, 3))
		again := p.aRun(someRun, 1)
		p.save(again)
		p.has(again)
	}},
	{"tenants never see each other's runs", func(p *runs) {
		mine := p.aRun(someRun, 1)
		p.save(mine)
		for _, other := range []string{p.tenant + "x", p.tenant[:len(p.tenant)-1], strings.ToUpper(p.tenant)} {
			o := &runs{p.T, p.Runs, p.clock, other}
			o.missing(someRun)
			theirs := o.aRun(someRun, 1)
			theirs.Chain = "theirs"
			o.save(theirs)
			if err := o.Forget(o.Context(), other); err != nil {
				p.Fatalf("Forget = %v", err)
			}
			o.missing(someRun)
		}
		p.has(mine)
	}},
	{"a tenant's runs can be forgotten", func(p *runs) {
		for i := range 40 {
			p.save(p.aRun(fmt.Sprintf("run_%08d", i), 1))
		}
		for range 2 {
			if err := p.Forget(p.Context(), p.tenant); err != nil {
				p.Fatalf("Forget = %v", err)
			}
		}
		for i := range 40 {
			p.missing(fmt.Sprintf("run_%08d", i))
		}
		p.save(p.aRun(someRun, 1))
	}},
	{"the largest run is taken, a larger one is not", func(p *runs) {
		r := p.aRun("run_"+strings.Repeat("x", 80), 1)
		body, err := r.Encode()
		if err != nil {
			p.Fatal(err)
		}
		room := chain.MaxRun - len(body) - len(`,"lost":""`)
		r.Lost = strings.Repeat("x", room)
		p.save(r)
		p.has(r)
		r.Lost += "x"
		r.Rev = 2
		if err := p.Save(p.Context(), p.tenant, r); !errors.Is(err, fault.TooLarge) {
			p.Errorf("Save of one byte more = %v, want too_large", err)
		}
	}},
}
