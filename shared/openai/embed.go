package openai

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

const (
	// maxInputs and maxTokens are OpenAI's own bounds on one call for vectors.
	maxInputs = 2048
	maxTokens = 300_000
)

// Batch implements llm.Batcher.
func (p *Provider) Batch(string) llm.Batch {
	b := llm.Batch{Inputs: maxInputs, Tokens: maxTokens}
	if p.Inputs > 0 {
		b.Inputs = p.Inputs
	}
	return b
}

// Embed sends req and returns the upstream's answer as it is, with its vectors
// in the order of their indexes, unless they are not in the encoding that was
// asked for: many servers know only one, and OpenAI's SDKs ask for base64 unless
// told otherwise.
func (p *Provider) Embed(ctx context.Context, req *llm.EmbedRequest) (*llm.Embeddings, error) {
	c := p.client()
	resp, err := p.post(ctx, c, "/embeddings", "application/json", edited(nil, req.Raw, req.Fields, req.Model)) //nolint:bodyclose // readAnswer closes it
	if err != nil {
		return nil, err
	}
	a, err := readAnswer(ctx, c, resp)
	if err != nil {
		return nil, err
	}
	data := rawjson.Get(a.fields, "data")
	if rawjson.Kind(data) != "array" {
		return nil, c.Broken("sent an answer without vectors", excerpt(a.raw))
	}
	want := len(req.Inputs) + len(req.Tokens)
	d := received{base64: req.Base64, list: make([][]byte, want)}
	if err := rawjson.Elements(data, d.add); err != nil {
		return nil, c.Broken(err.Error(), nil)
	}
	if d.got != want {
		return nil, c.Broken(fmt.Sprintf("sent %d vectors for %d inputs", d.got, want), nil)
	}
	model, _ := rawjson.String(rawjson.Get(a.fields, "model"))
	out := &llm.Embeddings{Raw: a.raw, Model: model, Usage: parseUsage(rawjson.Get(a.fields, "usage"))}
	switch {
	case d.other:
		vectors, err := out.Floats(want)
		if err != nil {
			return nil, c.Broken("sent vectors that cannot be read", err)
		}
		out.Raw, out.Vectors = nil, vectors
	case d.mixed:
		sorted := append(append([]byte{'['}, bytes.Join(d.list, []byte{','})...), ']')
		out.Raw = rawjson.Apply(nil, a.raw, a.fields, rawjson.Edit{Name: "data", Value: sorted})
	}
	return out, nil
}

// received is what is known of an answer's vectors without reading them.
type received struct {
	base64 bool // asked for
	list   [][]byte
	got    int
	size   int
	mixed  bool // they are not in the order of the inputs
	other  bool // some are in the other encoding
}

// add notes one. Its errors are for c.Broken.
func (d *received) add(i int, object []byte) error {
	if d.got++; i >= len(d.list) {
		return nil // there are too many, which is told with their number
	}
	var buf [4]rawjson.Field
	var fields []rawjson.Field
	if rawjson.Kind(object) == "object" {
		fields = rawjson.Fields(buf[:0], object)
	}
	at, ok := int64(i), true
	if index := rawjson.Get(fields, "index"); index != nil { // some servers leave it out
		at, ok = rawjson.Int(index)
	}
	if !ok || at < 0 || at >= int64(len(d.list)) || d.list[at] != nil {
		return errors.New("sent a vector with a wrong index, or the same twice")
	}
	v := rawjson.Get(fields, "embedding")
	size, encoded := dimensions(v)
	switch {
	case size == 0:
		return errors.New("sent vectors that cannot be read")
	case d.size == 0:
		d.size = size
	case size != d.size:
		return errors.New("sent vectors of different lengths")
	}
	d.mixed = d.mixed || at != int64(i)
	d.other = d.other || encoded != d.base64
	d.list[at] = object
	return nil
}

// dimensions is how many numbers a vector has, and whether they are in base64;
// 0 for what is none.
func dimensions(v []byte) (n int, encoded bool) {
	switch rawjson.Kind(v) {
	case "string":
		size := len(v) - len(`""`)
		if bytes.IndexByte(v, '\\') >= 0 { // before a slash, or for a plus, by some servers
			text, _ := rawjson.String(v)
			size = len(text)
		}
		return base64.StdEncoding.DecodedLen(size) / 4, true // up to two bytes more than there are
	case "array":
		if len(bytes.TrimSpace(v[1:len(v)-1])) > 0 {
			return bytes.Count(v, []byte{','}) + 1, false
		}
	}
	return 0, false
}
