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
	return e.with(t, func(m tokens.Estimate) int64 { return m.High })
}

// usual is what the request takes at t if what nobody knows of its images and
// files is as it usually is: good enough for limits that forget within a minute.
func (e estimate) usual(t *Target) (input, output int64) {
	return e.with(t, func(m tokens.Estimate) int64 { return m.Tokens })
}

func (e estimate) with(t *Target, media func(tokens.Estimate) int64) (input, output int64) {
	out := e.output
	if t.MaxOutput > 0 {
		out = min(out, t.MaxOutput)
	}
	in := e.input
	if len(e.media) > 0 {
		counter := tokens.For(t.Provider, t.Model)
		for _, m := range e.media {
			in += media(counter.Media(m))
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
	switch is, _ := e.images(); {
	case e.n == 0:
		return "Send fewer or shorter inputs"
	case is:
		return "Lower 'max_completion_tokens', send a shorter prompt, or fewer or smaller images, or images with \"detail\": \"low\""
	}
	return "Lower 'max_completion_tokens' or send a shorter prompt"
}

// images says whether there are any, and whether the size of one is not known.
func (e estimate) images() (is, unsized bool) {
	for _, m := range e.media {
		image, sized := m.Image()
		is, unsized = is || image, unsized || image && !sized
	}
	return is, unsized
}

// reserves says what to know of what the request reserves; "" if that is
// nothing.
func (e estimate) reserves() string {
	if _, unsized := e.images(); unsized {
		return " An image that is not sent inline, as a data: URL, may have any size: the most that it can cost is reserved."
	}
	return ""
}

// advise tells who was refused for the size of the request what to do about it.
func (e estimate) advise(err error) error {
	f := *fault.As(err)
	switch {
	case f.Kind == fault.Quota && f.Code == "insufficient_quota":
		f.Message += " " + e.less() + ", or ask for a larger budget." + e.reserves()
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
