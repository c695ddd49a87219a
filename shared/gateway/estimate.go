package gateway

import (
	"bytes"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/tokens"
	"github.com/devmentor/ai-gateway/shared/usage"
)

const (
	// bytesPerTokenLow is the fewest bytes a token has in texts that people
	// send; reservations divide by it. Measured: English 4.7, code 3.8, JSON 2.7.
	bytesPerTokenLow = 2
	// bytesPerTokenUsual is the divisor where tokens must be counted because
	// the provider did not say.
	bytesPerTokenUsual = 4
)

// estimate is what a request may take at most.
type estimate struct {
	input  int64          // tokens of text
	media  []tokens.Media // and what else is read
	output int64          // tokens per choice
	n      int64          // choices; 0 for embeddings
	caches bool           // it may ask for a prompt to be cached
	fits   bool           // it is made to fit the window before it is sent
}

// estimateChat bounds a chat request's tokens before anything is known of
// them: text by its bytes, images and the like as the target counts them, output
// by the client's own bound.
func estimateChat(req *llm.Request) estimate {
	e := estimate{output: req.MaxTokens, n: req.N, caches: bytes.Contains(req.Raw, []byte(`"cache_control"`))}
	if e.output == 0 {
		e.output = DefaultMaxTokens
	}
	text := int64(len(req.Raw))
	if req.Media {
		list, size := tokens.MediaIn(rawjson.Get(req.Fields, "messages"))
		e.media, text = list, text-size
	}
	e.input = text / bytesPerTokenLow
	return e
}

// tokens is the most that the request takes at t.
func (e estimate) tokens(t *Target) (input, output int64) {
	out := e.output
	if t.MaxOutput > 0 {
		out = min(out, t.MaxOutput)
	}
	in := e.input
	if len(e.media) > 0 {
		counter := tokens.For(t.Provider, t.Model)
		for _, m := range e.media {
			in += counter.Media(m).High
		}
	}
	if most := t.reads(); e.fits && most > 0 {
		in = min(in, most)
	}
	return in, out * e.n
}

// cost is the most that the request costs at t. Writing to a prompt cache costs
// up to twice the input, where there is a price for it; a request that does not
// ask for it does not pay it.
func (e estimate) cost(t *Target) usage.Nano {
	price := t.Price
	if price.CacheWrite > 0 && !e.caches {
		price.CacheWrite, price.CacheWrite1h, price.CacheWriteAbove, price.CacheWrite1hAbove = 0, 0, 0, 0
	}
	return price.Bound(e.tokens(t))
}

// less says how to ask for less.
func (e estimate) less() string {
	if e.n == 0 {
		return "Send fewer or shorter inputs"
	}
	return "Lower 'max_completion_tokens' or send a shorter prompt"
}

// advise tells who was refused for the size of the request what to do about it.
func (e estimate) advise(err error) error {
	f := *fault.As(err)
	switch {
	case f.Kind == fault.Quota && f.Code == "insufficient_quota":
		f.Message += " " + e.less() + ", or ask for a larger budget."
	case f.Kind == fault.RateLimited && f.RetryAfter == 0: // waiting does not help
		f.Message += " " + e.less() + "."
	default:
		return err
	}
	return &f
}

func estimateEmbed(req *llm.EmbedRequest) estimate {
	var n int64
	for _, s := range req.Inputs {
		n += int64(len(s))/bytesPerTokenLow + 1
	}
	for _, ids := range req.Tokens {
		n += int64(len(ids))
	}
	return estimate{input: n}
}

// countInputs counts embedding tokens where the provider does not.
func countInputs(req *llm.EmbedRequest) int64 {
	var n int64
	for _, s := range req.Inputs {
		n += (int64(len(s)) + bytesPerTokenUsual - 1) / bytesPerTokenUsual
	}
	for _, ids := range req.Tokens {
		n += int64(len(ids))
	}
	return n
}
