package catalog

import (
	"math"
	"math/bits"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Price is what a model costs in nano-dollars per million tokens, so that
// every price in use is an integer: $0.15 per million is 150,000,000, and the
// 6.75 nano-dollars of one token at $6.75 per billion are 6,750,000.
// usage.ParseUSD reads it from dollars per million.
//
// Zero means "not given". What is not given costs what its neighbour does:
// CachedInput and CacheWrite as Input, CacheWrite1h as CacheWrite, Reasoning as
// Output.
type Price struct {
	Input        int64 `json:"input,omitempty"`
	CachedInput  int64 `json:"cached_input,omitempty"`
	CacheWrite   int64 `json:"cache_write,omitempty"`
	CacheWrite1h int64 `json:"cache_write_1h,omitempty"`
	Output       int64 `json:"output,omitempty"`
	Reasoning    int64 `json:"reasoning,omitempty"`

	BatchInput  int64 `json:"batch_input,omitempty"`
	BatchOutput int64 `json:"batch_output,omitempty"`

	// A request with more than Above tokens of input (0: there is no such
	// limit) is at the following prices as a whole. Those not given are the
	// ones from above, raised in the proportion of InputAbove to Input or of
	// OutputAbove to Output.
	Above             int64 `json:"above,omitempty"`
	InputAbove        int64 `json:"input_above,omitempty"`
	CachedInputAbove  int64 `json:"cached_input_above,omitempty"`
	CacheWriteAbove   int64 `json:"cache_write_above,omitempty"`
	CacheWrite1hAbove int64 `json:"cache_write_1h_above,omitempty"`
	OutputAbove       int64 `json:"output_above,omitempty"`
}

// Known reports whether there is a price at all. Models without one are
// previews and experiments; that they are free is not to be relied on.
func (p Price) Known() bool { return p.Input != 0 || p.Output != 0 }

// Cost is what a request cost, rounded once, half a nano-dollar up. It is never
// negative and at most usage.None. Usage that contradicts itself is cut down to
// its totals: cached tokens cannot be more than the input, nor reasoning more
// than the output.
func (p Price) Cost(u llm.Usage) usage.Nano {
	input, output := max(0, u.Input), max(0, u.Output)
	cached := min(max(0, u.CachedInput), input)
	write := min(max(0, u.CacheWrite), input-cached)
	write1h := min(max(0, u.CacheWrite1h), input-cached-write)
	reasoning := min(max(0, u.Reasoning), output)

	r := p.base()
	if p.Above > 0 && input > p.Above {
		r = p.above(r)
	}
	var s sum
	s.add(input-cached-write-write1h, r.input)
	s.add(cached, r.cached)
	s.add(write, r.write)
	s.add(write1h, r.write1h)
	s.add(output-reasoning, r.output)
	s.add(reasoning, r.reasoning)
	return s.nano(million / 2)
}

// Bound is the most that a request of at most so many tokens can cost, however
// they turn out to be billed. It is what to reserve: Cost of any usage within
// the two numbers is never more.
func (p Price) Bound(input, output int64) usage.Nano {
	r := p.base()
	in, out := r.dearest()
	if p.Above > 0 && input > p.Above {
		in2, out2 := p.above(r).dearest()
		in, out = max(in, in2), max(out, out2)
	}
	var s sum
	s.add(max(0, input), in)
	s.add(max(0, output), out)
	return s.nano(million - 1)
}

// Batch is the price of the same model through the provider's batch service.
// Where the service has a price of its own, everything else about input or
// output changes in the same proportion; a model without one costs as usual.
func (p Price) Batch() Price {
	b := p
	if p.BatchInput > 0 && p.Input > 0 {
		for _, v := range []*int64{&b.Input, &b.CachedInput, &b.CacheWrite, &b.CacheWrite1h,
			&b.InputAbove, &b.CachedInputAbove, &b.CacheWriteAbove, &b.CacheWrite1hAbove} {
			*v = scale(*v, p.BatchInput, p.Input)
		}
	}
	if p.BatchOutput > 0 && p.Output > 0 {
		for _, v := range []*int64{&b.Output, &b.Reasoning, &b.OutputAbove} {
			*v = scale(*v, p.BatchOutput, p.Output)
		}
	}
	return b
}

// rates is a price with everything given.
type rates struct{ input, cached, write, write1h, output, reasoning int64 }

func (p Price) base() rates {
	r := rates{input: max(0, p.Input), output: max(0, p.Output)}
	r.cached = given(p.CachedInput, r.input)
	r.write = given(p.CacheWrite, r.input)
	r.write1h = given(p.CacheWrite1h, r.write)
	r.reasoning = given(p.Reasoning, r.output)
	return r
}

func (p Price) above(base rates) rates {
	r := rates{input: given(p.InputAbove, base.input), output: given(p.OutputAbove, base.output)}
	r.cached = given(p.CachedInputAbove, scale(base.cached, r.input, base.input))
	r.write = given(p.CacheWriteAbove, scale(base.write, r.input, base.input))
	r.write1h = given(p.CacheWrite1hAbove, scale(base.write1h, r.input, base.input))
	r.reasoning = scale(base.reasoning, r.output, base.output)
	return r
}

func (r rates) dearest() (input, output int64) {
	return max(r.input, r.cached, r.write, r.write1h), max(r.output, r.reasoning)
}

func given(v, otherwise int64) int64 {
	if v > 0 {
		return v
	}
	return otherwise
}

// scale is v·num/den, rounded half up, at most the largest int64. None of them
// is negative; without a den there is nothing to be in proportion to.
func scale(v, num, den int64) int64 {
	if den == 0 {
		return v
	}
	hi, lo := bits.Mul64(uint64(v), uint64(num))
	lo, carry := bits.Add64(lo, uint64(den)/2, 0)
	hi += carry
	if hi >= uint64(den) {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, uint64(den))
	return int64(min(q, math.MaxInt64))
}

const million = 1_000_000 // the tokens that a price is for

// sum adds up tokens × price in 128 bits. Cost and Bound cannot overflow it:
// the tokens of all additions are two numbers below 2⁶³, so that the sum stays
// below 2¹²⁷.
type sum struct{ hi, lo uint64 }

func (s *sum) add(tokens, price int64) {
	hi, lo := bits.Mul64(uint64(tokens), uint64(price))
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, lo, 0)
	s.hi += hi + carry
}

// nano divides by a million after adding rest, which decides how it rounds.
func (s sum) nano(rest uint64) usage.Nano {
	lo, carry := bits.Add64(s.lo, rest, 0)
	hi := s.hi + carry
	if hi >= million {
		return usage.None
	}
	q, _ := bits.Div64(hi, lo, million)
	return usage.Nano(min(q, uint64(usage.None)))
}
