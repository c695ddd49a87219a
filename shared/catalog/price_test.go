package catalog

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// sonnet has every kind of price: $3, $0.30, $3.75, $6 and $15 per million,
// $6 and $22.50 above 200,000 tokens.
var sonnet = Price{Input: 3e9, CachedInput: 3e8, CacheWrite: 375e7, CacheWrite1h: 6e9, Output: 15e9,
	Above: 200_000, InputAbove: 6e9, OutputAbove: 225e8}

func TestCost(t *testing.T) {
	mini := Price{Input: 150_000_000, CachedInput: 75_000_000, Output: 600_000_000}
	tests := []struct {
		name  string
		price Price
		usage llm.Usage
		want  usage.Nano
	}{
		{"nothing", mini, llm.Usage{}, 0},
		{"input and output", mini, llm.Usage{Input: 1000, Output: 500}, 1000*150 + 500*600},
		{"cached input is cheaper", mini, llm.Usage{Input: 1000, CachedInput: 400}, 600*150 + 400*75},
		{"no cached price: as input", Price{Input: 1e9}, llm.Usage{Input: 10, CachedInput: 4}, 10_000},
		{"cache write", sonnet, llm.Usage{Input: 1000, CacheWrite: 600}, 400*3000 + 600*3750},
		{"hourly cache write", sonnet, llm.Usage{Input: 1000, CacheWrite1h: 600}, 400*3000 + 600*6000},
		{"no write price: as input", Price{Input: 1e9}, llm.Usage{Input: 10, CacheWrite: 3, CacheWrite1h: 3}, 10_000},
		{"no hourly price: as write", Price{Input: 1e9, CacheWrite: 2e9}, llm.Usage{Input: 10, CacheWrite1h: 4}, 6*1000 + 4*2000},
		{"everything of input", sonnet, llm.Usage{Input: 1000, CachedInput: 100, CacheWrite: 200, CacheWrite1h: 300},
			400*3000 + 100*300 + 200*3750 + 300*6000},
		{"reasoning is output", mini, llm.Usage{Output: 500, Reasoning: 400}, 500 * 600},
		{"reasoning has its price", Price{Output: 1e9, Reasoning: 3e9}, llm.Usage{Output: 500, Reasoning: 400}, 100*1000 + 400*3000},

		{"at the tier's limit", sonnet, llm.Usage{Input: 200_000, Output: 1000}, 200_000*3000 + 1000*15_000},
		{"one above it: all is dearer", sonnet, llm.Usage{Input: 200_001, Output: 1000}, 200_001*6000 + 1000*22_500},
		{"cached tokens count towards the tier", sonnet, llm.Usage{Input: 200_001, CachedInput: 200_001}, 200_001 * 600},
		{"writes in the tier", sonnet, llm.Usage{Input: 200_001, CacheWrite: 100_000, CacheWrite1h: 100_001},
			100_000*7500 + 100_001*12_000},
		{"given prices in the tier", Price{Input: 10e9, CachedInput: 1e9, Above: 1, InputAbove: 20e9, CachedInputAbove: 5e9,
			CacheWriteAbove: 30e9, CacheWrite1hAbove: 40e9, Output: 1e9, Reasoning: 2e9, OutputAbove: 2e9},
			llm.Usage{Input: 4, CachedInput: 1, CacheWrite: 1, CacheWrite1h: 1, Output: 2, Reasoning: 1},
			20_000 + 5_000 + 30_000 + 40_000 + 2_000 + 4_000},
		{"a tier for input only", Price{Input: 1e9, Output: 5e9, Above: 1, InputAbove: 2e9}, llm.Usage{Input: 2, Output: 1}, 4000 + 5000},

		{"6.75 nano-dollars a token: a fraction", Price{Input: 6_750_000}, llm.Usage{Input: 1}, 7},
		{"6.75 nano-dollars a token: whole", Price{Input: 6_750_000}, llm.Usage{Input: 4}, 27},
		{"6.75 nano-dollars a token: many", Price{Input: 6_750_000}, llm.Usage{Input: 1_000_001}, 6_750_007},
		{"half is rounded up", Price{Input: 500_000}, llm.Usage{Input: 1}, 1},
		{"less than half is rounded down", Price{Input: 499_999}, llm.Usage{Input: 1}, 0},
		{"rounded once, not per part", Price{Input: 400_000, Output: 400_000}, llm.Usage{Input: 1, Output: 1}, 1},

		{"more cached than there was", mini, llm.Usage{Input: 10, CachedInput: 11}, 10 * 75},
		{"more of all than there was", sonnet, llm.Usage{Input: 10, CachedInput: 6, CacheWrite: 6, CacheWrite1h: 6}, 6*300 + 4*3750},
		{"more reasoning than output", Price{Output: 1e9, Reasoning: 3e9}, llm.Usage{Output: 1, Reasoning: 5}, 3000},
		{"negative tokens", sonnet, llm.Usage{Input: -1, CachedInput: -1, CacheWrite: -1, CacheWrite1h: -1, Output: -1, Reasoning: -1}, 0},
		{"negative cached tokens", mini, llm.Usage{Input: 10, CachedInput: -5}, 10 * 150},
		{"negative price", Price{Input: -1e9, CachedInput: -1, Output: -1e9}, llm.Usage{Input: 10, CachedInput: 5, Output: 10}, 0},
		{"beyond all limits", Price{Input: math.MaxInt64, Output: math.MaxInt64}, llm.Usage{Input: math.MaxInt64, Output: math.MaxInt64}, usage.None},
		{"no price", Price{}, llm.Usage{Input: 10, Output: 10}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.price.Cost(tt.usage); got != tt.want {
				t.Errorf("Cost(%+v) = %d, want %d", tt.usage, got, tt.want)
			}
		})
	}
}

func TestCostOfKnownModels(t *testing.T) {
	tests := []struct {
		provider, id string
		usage        llm.Usage
		want         string // dollars
	}{
		{"openai", "gpt-4o-mini", llm.Usage{Input: 8, Output: 9}, "0.0000066"},
		{"anthropic", "claude-haiku-4-5", llm.Usage{Input: 10_000, CachedInput: 8_000, CacheWrite: 1_000, Output: 700}, "0.00655"},
		{"gemini", "gemini-2.5-pro", llm.Usage{Input: 200_001, Output: 100}, "0.5015025"},
		{"bedrock", "amazon.nova-2-pro-preview-20251202-v1:0", llm.Usage{Input: 3, CachedInput: 1, Output: 1}, "0.000022422"}, // …421.875
		{"openai", "text-embedding-3-small", llm.Usage{Input: 1234}, "0.00002468"},
	}
	for _, tt := range tests {
		m, ok := Lookup(tt.provider, tt.id)
		if got := m.Price.Cost(tt.usage).USD(); !ok || got != tt.want {
			t.Errorf("%s: Cost(%+v) = %s dollars, want %s", m.Name(), tt.usage, got, tt.want)
		}
	}
}

func TestBound(t *testing.T) {
	tests := []struct {
		name          string
		price         Price
		input, output int64
		want          usage.Nano
	}{
		{"plain", Price{Input: 1e9, Output: 2e9}, 10, 10, 30_000},
		{"the dearest of input and output", Price{Input: 1e9, CacheWrite: 2e9, Output: 1e9, Reasoning: 4e9}, 10, 10, 60_000},
		{"hourly writes", sonnet, 200_000, 0, 200_000 * 6000},
		{"above the tier", sonnet, 200_001, 1, 200_001*12_000 + 22_500},
		{"rounded up", Price{Input: 1}, 1, 0, 1},
		{"negative", sonnet, -5, -5, 0},
		{"beyond all limits", Price{Input: math.MaxInt64}, math.MaxInt64, 0, usage.None},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.price.Bound(tt.input, tt.output); got != tt.want {
				t.Errorf("Bound(%d, %d) = %d, want %d", tt.input, tt.output, got, tt.want)
			}
		})
	}
}

func TestBatchIsInProportion(t *testing.T) {
	p := sonnet
	if got := p.Batch(); got != p {
		t.Errorf("Batch without a price = %+v, want %+v", got, p)
	}
	p.BatchInput, p.BatchOutput = 15e8, 75e8
	got := p.Batch().Cost(llm.Usage{Input: 300_000, CachedInput: 1000, CacheWrite: 1000, CacheWrite1h: 1000, Output: 1000})
	want := usage.Nano(297_000*3000 + 1000*300 + 1000*3750 + 1000*6000 + 1000*11_250)
	if got != want {
		t.Errorf("Cost at batch prices = %d, want %d", got, want)
	}
}

// exact is the cost in the largest of numbers, for usage that is consistent.
func exact(p Price, u llm.Usage) *big.Rat {
	r := p.base()
	if p.Above > 0 && u.Input > p.Above {
		r = p.above(r)
	}
	total := new(big.Int)
	for _, part := range [][2]int64{{u.Input - u.CachedInput - u.CacheWrite - u.CacheWrite1h, r.input}, {u.CachedInput, r.cached},
		{u.CacheWrite, r.write}, {u.CacheWrite1h, r.write1h}, {u.Output - u.Reasoning, r.output}, {u.Reasoning, r.reasoning}} {
		total.Add(total, new(big.Int).Mul(big.NewInt(part[0]), big.NewInt(part[1])))
	}
	return new(big.Rat).SetFrac(total, big.NewInt(million))
}

func randomUsage(r *rand.Rand, most int64) llm.Usage {
	u := llm.Usage{Input: r.Int64N(most), Output: r.Int64N(most)}
	u.CachedInput = r.Int64N(u.Input + 1)
	u.CacheWrite = r.Int64N(u.Input - u.CachedInput + 1)
	u.CacheWrite1h = r.Int64N(u.Input - u.CachedInput - u.CacheWrite + 1)
	u.Reasoning = r.Int64N(u.Output + 1)
	return u
}

func TestCostOfAnyUsageIsExactBoundedMonotoneAndAdditive(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for m := range All() {
		p := m.Price
		for range 200 {
			most := int64(1) << (1 + r.Int64N(20))
			u := randomUsage(r, most)
			cost := p.Cost(u)

			diff := new(big.Rat).Sub(new(big.Rat).SetInt64(int64(cost)), exact(p, u))
			if half := big.NewRat(1, 2); diff.Cmp(half) > 0 || diff.Neg(diff).Cmp(half) >= 0 {
				t.Fatalf("%s: Cost(%+v) = %d, want %s", m.Name(), u, cost, exact(p, u).FloatString(3))
			}
			in, out := u.Input+r.Int64N(1000), u.Output+r.Int64N(1000)
			if bound := p.Bound(in, out); bound < cost {
				t.Fatalf("%s: Bound(%d, %d) = %d, less than Cost(%+v) = %d", m.Name(), in, out, bound, u, cost)
			}
			more := u
			more.Input += r.Int64N(most)
			more.Output += r.Int64N(most)
			if p.Cost(more) < cost {
				t.Fatalf("%s: Cost(%+v) = %d, less than Cost(%+v) = %d", m.Name(), more, p.Cost(more), u, cost)
			}
			v := randomUsage(r, most)
			w := llm.Usage{Input: u.Input + v.Input, CachedInput: u.CachedInput + v.CachedInput, CacheWrite: u.CacheWrite + v.CacheWrite,
				CacheWrite1h: u.CacheWrite1h + v.CacheWrite1h, Output: u.Output + v.Output, Reasoning: u.Reasoning + v.Reasoning}
			tier := func(u llm.Usage) bool { return p.Above > 0 && u.Input > p.Above }
			if tier(u) == tier(v) && tier(v) == tier(w) {
				if d := p.Cost(w) - cost - p.Cost(v); d < -1 || d > 1 {
					t.Fatalf("%s: Cost(%+v) is %d off the sum of its parts", m.Name(), w, d)
				}
			}
		}
	}
}

func TestLargeNumbersAreExactUpToTheLimit(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	number := func() int64 { return r.Int64() >> r.IntN(63) }
	limit := new(big.Rat).SetInt64(int64(usage.None))
	for range 20_000 {
		p := Price{Input: number(), CachedInput: number(), CacheWrite: number(), CacheWrite1h: number(), Output: number(), Reasoning: number()}
		u := randomUsage(r, max(1, number()))
		want := exact(p, u)
		if want.Cmp(limit) >= 0 {
			want = limit
		}
		got := p.Cost(u)
		diff := new(big.Rat).Sub(new(big.Rat).SetInt64(int64(got)), want)
		if half := big.NewRat(1, 2); diff.Cmp(half) > 0 || diff.Neg(diff).Cmp(half) >= 0 {
			t.Fatalf("%+v: Cost(%+v) = %d, want %s", p, u, got, want.FloatString(3))
		}
		if bound := p.Bound(u.Input, u.Output); bound < got {
			t.Fatalf("%+v: Bound(%d, %d) = %d, less than Cost(%+v) = %d", p, u.Input, u.Output, bound, u, got)
		}
	}
}

func TestScaleRoundsAndStaysInRange(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 20_000 {
		v, num, den := r.Int64()>>r.IntN(63), r.Int64()>>r.IntN(63), max(1, r.Int64()>>r.IntN(63))
		n := new(big.Int).Mul(big.NewInt(v), big.NewInt(num))
		n.Div(n.Add(n, big.NewInt(den/2)), big.NewInt(den))
		want := int64(math.MaxInt64)
		if n.IsInt64() {
			want = n.Int64()
		}
		if got := scale(v, num, den); got != want {
			t.Fatalf("scale(%d, %d, %d) = %d, want %d", v, num, den, got, want)
		}
	}
	if got := scale(7, 5, 0); got != 7 {
		t.Errorf("scale(7, 5, 0) = %d, want 7", got)
	}
}

func FuzzCost(f *testing.F) {
	f.Add(int64(3e9), int64(15e9), int64(200_000), int64(6e9), int64(100), int64(50), int64(10), int64(5))
	f.Add(int64(math.MaxInt64), int64(math.MaxInt64), int64(1), int64(math.MaxInt64), int64(math.MaxInt64), int64(math.MaxInt64), int64(math.MaxInt64), int64(1))
	f.Add(int64(math.MinInt64), int64(-1), int64(-1), int64(math.MinInt64), int64(math.MinInt64), int64(-1), int64(math.MaxInt64), int64(0))
	f.Fuzz(func(t *testing.T, input, output, above, inputAbove, in, out, cached, reasoning int64) {
		p := Price{Input: input, CachedInput: cached, CacheWrite: above, Output: output, Reasoning: reasoning, Above: above,
			InputAbove: inputAbove, OutputAbove: output, BatchInput: reasoning, BatchOutput: cached}
		u := llm.Usage{Input: in, CachedInput: cached, CacheWrite: out, CacheWrite1h: reasoning, Output: out, Reasoning: reasoning}
		for _, p := range []Price{p, p.Batch()} {
			cost, bound := p.Cost(u), p.Bound(in, out)
			if cost < 0 || cost > usage.None || bound < cost || bound > usage.None {
				t.Errorf("%+v: Cost(%+v) = %d, Bound = %d", p, u, cost, bound)
			}
		}
	})
}

func BenchmarkCost(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		sonnet.Cost(llm.Usage{Input: 1000, CachedInput: 100, Output: 500})
	}
}
