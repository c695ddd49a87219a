// Command generate writes the catalogue's models.json from litellm's price
// list. Run it as `go generate ./shared/catalog` with PRICES naming the list:
// an object with "_meta" and "models", the latter in litellm's format.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/devmentor/ai-gateway/shared/catalog"
)

func main() {
	if err := run(os.Getenv("PRICES"), "models.json"); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	if from == "" {
		return errors.New("set PRICES to the price list")
	}
	source, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	out, err := convert(source)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	return os.WriteFile(to, out, 0o644)
}

// leftOut are entries of the source that are wrong.
var leftOut = map[string]string{
	"gemini/gemini-1.5-flash": "a chat model, retired in 2025, listed as an embedding model",
}

// listed is a model as litellm has it. Prices are dollars per token.
type listed struct {
	Provider     string      `json:"provider"`
	Mode         string      `json:"mode"`
	Input        json.Number `json:"input_cost_per_token"`
	CachedInput  json.Number `json:"cache_read_input_token_cost"`
	CacheWrite   json.Number `json:"cache_creation_input_token_cost"`
	CacheWrite1h json.Number `json:"cache_creation_input_token_cost_above_1hr"`
	Output       json.Number `json:"output_cost_per_token"`
	Reasoning    json.Number `json:"output_cost_per_reasoning_token"`
	BatchInput   json.Number `json:"input_cost_per_token_batches"`
	BatchOutput  json.Number `json:"output_cost_per_token_batches"`
	Input200k    json.Number `json:"input_cost_per_token_above_200k_tokens"`
	Output200k   json.Number `json:"output_cost_per_token_above_200k_tokens"`
	Input272k    json.Number `json:"input_cost_per_token_above_272k_tokens"`
	Output272k   json.Number `json:"output_cost_per_token_above_272k_tokens"`
	MaxInput     int64       `json:"max_input_tokens"`
	MaxOutput    int64       `json:"max_output_tokens"`
	VectorSize   int64       `json:"output_vector_size"`
	Capabilities []string    `json:"capabilities"`
	Deprecated   string      `json:"deprecation_date"`
}

// convert turns the price list into models.json. A field that it does not know
// is an error: it could be a price that we would not charge.
func convert(source []byte) ([]byte, error) {
	var list struct {
		Meta   meta                       `json:"_meta"`
		Models map[string]json.RawMessage `json:"models"`
	}
	if err := json.Unmarshal(source, &list); err != nil {
		return nil, err
	}
	models := map[string]catalog.Model{}
	for key, raw := range list.Models {
		if leftOut[key] != "" {
			continue
		}
		m, err := model(key, raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		// The source lists some models twice, with and without prefix. The
		// dearer entry counts: budgets are a promise.
		if twin, ok := models[m.Name()]; !ok || dearer(m.Price, twin.Price) > 0 {
			models[m.Name()] = m
		}
	}
	meta := meta{Source: list.Meta.Source, Obtained: list.Meta.Obtained, CrossCheck: list.Meta.CrossCheck, Unit: unit, Changes: changes}
	return render(meta, models)
}

// meta says where models.json comes from, in its first line.
type meta struct {
	Source     string `json:"source"`
	Obtained   string `json:"obtained_via"`
	CrossCheck string `json:"cross_check,omitempty"`
	Unit       string `json:"unit"`
	Changes    string `json:"changes"`
}

const (
	unit    = "nano-dollars per million tokens"
	changes = "written by shared/catalog/generate: other keys and field names, exact change of unit; of models listed twice the dearer; " +
		"hourly cache writes of Claude models at twice the input price; windows as this gateway's requests have them"
)

func model(key string, raw json.RawMessage) (catalog.Model, error) {
	var l listed
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		return catalog.Model{}, err
	}
	m := catalog.Model{Provider: l.Provider, ID: strings.TrimPrefix(key, l.Provider+"/"), Mode: catalog.Mode(l.Mode),
		MaxOutput: l.MaxOutput, VectorSize: l.VectorSize, Deprecated: l.Deprecated}
	m.ContextWindow, m.MaxInput = windows(m, l)
	m.Capabilities = slices.Sorted(slices.Values(l.Capabilities))

	var errs []error
	set := func(dst *int64, price json.Number) {
		v, err := perMillion(price)
		*dst = v
		errs = append(errs, err)
	}
	p := &m.Price
	set(&p.Input, l.Input)
	set(&p.CachedInput, l.CachedInput)
	set(&p.CacheWrite, l.CacheWrite)
	set(&p.CacheWrite1h, l.CacheWrite1h)
	set(&p.Output, l.Output)
	set(&p.Reasoning, l.Reasoning)
	set(&p.BatchInput, l.BatchInput)
	set(&p.BatchOutput, l.BatchOutput)
	switch {
	case l.Input200k != "" && l.Input272k != "":
		errs = append(errs, errors.New("two tiers"))
	case l.Input200k != "" || l.Output200k != "":
		p.Above = 200_000
		set(&p.InputAbove, l.Input200k)
		set(&p.OutputAbove, l.Output200k)
	case l.Input272k != "" || l.Output272k != "":
		p.Above = 272_000
		set(&p.InputAbove, l.Input272k)
		set(&p.OutputAbove, l.Output272k)
	}
	if p.CacheWrite1h > 0 && strings.Contains(m.ID, "claude") {
		p.CacheWrite1h = 2 * p.Input // Anthropic's rule; the source has $6 for old models at any price
	}
	return m, errors.Join(errs...)
}

// windows says what a model reads and writes together, and, where it writes
// whatever it has read, what it reads at most. The source has one number for
// both, which means different things:
//
//   - OpenAI's models share one window (platform.openai.com/docs/models), except
//     those of which the source has the input alone: GPT-5 has a window of 400,000
//     tokens, 272,000 of them for input and 128,000 for output.
//   - Google states an input and an output token limit for each model
//     (ai.google.dev/gemini-api/docs/models); neither takes from the other.
//   - Claude's models share one window. Those that cost more above 200,000 tokens
//     read as much only with the beta header context-1m-2025-08-07, on Bedrock,
//     too (platform.claude.com/docs/en/build-with-claude/context-windows). This
//     gateway does not send it. Some older ones are listed so by mistake.
//   - What others serve on Bedrock has one window.
func windows(m catalog.Model, l listed) (window, input int64) {
	const gpt5, claude = 272_000, 200_000
	switch {
	case m.Mode == catalog.Embedding:
	case m.Provider == "openai" && l.MaxInput == gpt5:
		return l.MaxInput + l.MaxOutput, l.MaxInput
	case m.Provider == "gemini":
		return l.MaxInput, l.MaxInput
	case strings.Contains(m.ID, "claude") && (l.Input200k != "" || l.Output200k != ""):
		return min(l.MaxInput, claude), 0
	}
	return l.MaxInput, 0
}

// perMillion turns dollars per token into nano-dollars per million tokens. It
// refuses to round.
func perMillion(price json.Number) (int64, error) {
	if price == "" {
		return 0, nil
	}
	v, ok := new(big.Rat).SetString(price.String())
	if !ok {
		return 0, fmt.Errorf("%q is not a number", price)
	}
	v.Mul(v, big.NewRat(1e15, 1))
	if !v.IsInt() || !v.Num().IsInt64() || v.Sign() < 0 {
		return 0, fmt.Errorf("%s dollars per token is not a whole number of nano-dollars per million", price)
	}
	return v.Num().Int64(), nil
}

func dearer(a, b catalog.Price) int {
	return cmp.Or(cmp.Compare(a.Output, b.Output), cmp.Compare(a.Input, b.Input), cmp.Compare(a.CachedInput, b.CachedInput))
}

var plain = regexp.MustCompile(`^[a-z]+/[A-Za-z0-9._:@/-]+$`)

// render writes models.json: one model a line, sorted by name, so that lines
// can be searched and differences read.
func render(meta meta, models map[string]catalog.Model) ([]byte, error) {
	head, err := json.Marshal(meta)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "{\n\"_meta\":%s,\n\"models\":{\n", head)
	for i, name := range slices.Sorted(maps.Keys(models)) {
		if !plain.MatchString(name) {
			return nil, fmt.Errorf("%q cannot be searched for as it is", name)
		}
		line, err := json.Marshal(models[name])
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out.WriteString(",\n")
		}
		fmt.Fprintf(&out, "%q:%s", name, line)
	}
	out.WriteString("\n}}\n")
	return out.Bytes(), nil
}
