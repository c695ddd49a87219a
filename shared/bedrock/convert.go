package bedrock

import (
	"encoding/json"
	"math"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/pattern"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// builder puts a Converse request together.
type builder struct {
	model    model
	chat     *llm.Chat
	in       *bedrockruntime.ConverseStreamInput
	extra    map[string]any // additionalModelRequestFields
	taken    []string       // the client's fields that have had their effect
	form     string         // the tool whose input is to be the answer's text
	thinking bool           // the model was told to think
	names    map[string]int // of documents, and how often each was used
}

// convert translates a chat request. form names the tool that stands in for a
// response format; it is "" as a rule.
func (p *Provider) convert(req *llm.Request) (in *bedrockruntime.ConverseStreamInput, form string, err error) {
	chat, err := req.Chat()
	if err != nil {
		return nil, "", err
	}
	limit := min(p.maxTokens(req), math.MaxInt32)
	b := &builder{
		model: parseModel(req.Model), chat: chat, extra: map[string]any{},
		in: &bedrockruntime.ConverseStreamInput{
			ModelId:         aws.String(req.Model),
			InferenceConfig: &types.InferenceConfiguration{MaxTokens: aws.Int32(int32(limit)), StopSequences: chat.Stop},
		},
		taken: []string{"model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "stop"},
	}
	if err := b.messages(); err != nil {
		return nil, "", err
	}
	b.tools()
	b.responseFormat()
	b.reasoning(limit)
	b.sampling()
	b.parallelToolCalls()
	b.serviceTier()
	b.metadata(rawjson.Get(req.Fields, "metadata"))
	if len(b.extra) > 0 {
		fields, err := json.Marshal(b.extra)
		if err != nil {
			return nil, "", err
		}
		b.in.AdditionalModelRequestFields = newVerbatim(fields)
	}
	return b.in, b.form, req.Drop(p.Name, b.taken...)
}

func (b *builder) take(field string) { b.taken = append(b.taken, field) }

// tools translates tools and tool_choice. Converse refuses a conversation that
// contains tool calls unless it has tools too; for such a one, tool_choice
// "none" keeps the tools and leaves the choice to the model, and missing tools
// are declared by the names that the conversation uses.
func (b *builder) tools() {
	b.take("tools")
	b.take("tool_choice")
	used := b.toolsUsed()
	choice := b.chat.ToolChoice
	list := b.chat.Tools
	switch {
	case len(list) == 0:
		for _, name := range used {
			list = append(list, llm.Tool{Name: name, Description: "Not available any more."})
		}
		choice = llm.ToolChoice{}
	case choice.Mode == "none" && len(used) == 0:
		return
	}
	if len(list) == 0 {
		return
	}
	config := &types.ToolConfiguration{}
	for _, t := range list {
		spec := types.ToolSpecification{Name: aws.String(t.Name), InputSchema: schema(t.Parameters)}
		if t.Description != "" { // must not be empty
			spec.Description = aws.String(t.Description)
		}
		if t.Strict && b.model.constrained() {
			spec.Strict = aws.Bool(true)
		}
		config.Tools = append(config.Tools, &types.ToolMemberToolSpec{Value: spec})
		if point, ok := b.cachePoint(t.CacheControl); ok && b.model.cachesTools() {
			config.Tools = append(config.Tools, &types.ToolMemberCachePoint{Value: point})
		}
	}
	switch choice.Mode {
	case "auto":
		config.ToolChoice = &types.ToolChoiceMemberAuto{}
	case "required":
		config.ToolChoice = &types.ToolChoiceMemberAny{}
	case "function":
		config.ToolChoice = &types.ToolChoiceMemberTool{Value: types.SpecificToolChoice{Name: aws.String(choice.Name)}}
	}
	b.in.ToolConfig = config
}

func schema(parameters json.RawMessage) types.ToolInputSchema {
	if parameters == nil {
		parameters = json.RawMessage(`{"type":"object","properties":{}}`)
	}
	return &types.ToolInputSchemaMemberJson{Value: newVerbatim(parameters)}
}

// toolsUsed lists the names of the tools that the conversation calls.
func (b *builder) toolsUsed() []string {
	var names []string
	for _, m := range b.chat.Messages {
		for _, c := range m.ToolCalls {
			if !slices.Contains(names, c.Name) {
				names = append(names, c.Name)
			}
		}
	}
	return names
}

func (b *builder) forced() bool {
	if b.in.ToolConfig == nil {
		return false
	}
	switch b.in.ToolConfig.ToolChoice.(type) {
	case *types.ToolChoiceMemberAny, *types.ToolChoiceMemberTool:
		return true
	}
	return false
}

// responseFormat asks for output that follows a schema: of the model itself
// where it can, else through a tool that it must call and whose input becomes
// the text. "json_object" has no counterpart and is left out; its users must
// ask for JSON in the prompt anyway.
func (b *builder) responseFormat() {
	f := b.chat.ResponseFormat
	switch {
	case f.Type == "" || f.Type == "text":
	case f.Type != "json_schema":
		return
	case b.model.constrained():
		definition := types.JsonSchemaDefinition{Schema: aws.String(string(f.Schema))}
		if f.Name != "" {
			definition.Name = aws.String(f.Name)
		}
		b.output().TextFormat = &types.OutputFormat{Type: types.OutputFormatTypeJsonSchema,
			Structure: &types.OutputFormatStructureMemberJsonSchema{Value: definition}}
	case b.model.forcible() && b.in.ToolConfig == nil:
		b.form = f.Name
		if b.form == "" {
			b.form = "answer"
		}
		b.in.ToolConfig = &types.ToolConfiguration{
			Tools: []types.Tool{&types.ToolMemberToolSpec{Value: types.ToolSpecification{
				Name: aws.String(b.form), Description: aws.String("Gives the answer. Its input is the whole answer."), InputSchema: schema(f.Schema)}}},
			ToolChoice: &types.ToolChoiceMemberTool{Value: types.SpecificToolChoice{Name: aws.String(b.form)}},
		}
	default:
		return
	}
	b.take("response_format")
}

func (b *builder) output() *types.OutputConfig {
	if b.in.OutputConfig == nil {
		b.in.OutputConfig = &types.OutputConfig{}
	}
	return b.in.OutputConfig
}

// minBudget is the least that a Claude may be told to think.
const minBudget = 1024

// shares is how much of max_tokens an effort may spend on thinking.
var shares = map[string]float64{"minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.9, "max": 0.95}

// reasoning translates thinking (Anthropic's own field) and reasoning_effort.
// An effort is left out where the model would refuse the request for it: with
// a forced tool, with too little room, and in the middle of a tool loop whose
// thinking the client has not sent back.
func (b *builder) reasoning(limit int64) {
	effort := b.chat.ReasoningEffort
	if effort == "none" {
		b.take("reasoning_effort")
	}
	_, known := shares[effort]
	if b.chat.Thinking != nil && b.model.claude() {
		b.extra["thinking"] = b.chat.Thinking
		b.take("thinking")
		if known && b.model.thinks() == "adaptive" {
			b.effort(effort)
		}
		return
	}
	switch how := b.model.thinks(); {
	case !known:
	case b.model.vendor == "openai":
		b.extra["reasoning_effort"] = effort
		b.take("reasoning_effort")
	case how == "" || b.forced():
	case how == "adaptive":
		b.thinking = true
		b.extra["thinking"] = map[string]string{"type": "adaptive"}
		b.effort(effort)
	case limit > minBudget && !b.thoughtless():
		b.thinking = true
		budget := max(minBudget, int64(float64(limit)*shares[effort]))
		b.extra["thinking"] = map[string]any{"type": "enabled", "budget_tokens": min(budget, limit-1)}
		b.take("reasoning_effort")
	}
}

func (b *builder) effort(level string) {
	if level == "minimal" { // OpenAI's word only
		level = "low"
	}
	b.output().Effort = aws.String(level)
	b.take("reasoning_effort")
}

// thoughtless reports whether the last assistant turn calls tools without the
// thinking that led to them.
func (b *builder) thoughtless() bool {
	for _, m := range slices.Backward(b.chat.Messages) {
		if m.Role == "assistant" {
			return len(m.ToolCalls) > 0 && !slices.ContainsFunc(m.Thinking, signed)
		}
	}
	return false
}

func signed(t llm.Thinking) bool { return t.Signature != "" || t.Redacted != "" }

// sampling translates temperature, top_p and top_k. A Claude that was told to
// think samples as it likes.
func (b *builder) sampling() {
	c, config := b.chat, b.in.InferenceConfig
	if c.Temperature != nil && (!b.thinking || *c.Temperature == 1) {
		config.Temperature = aws.Float32(float32(*c.Temperature))
		b.take("temperature")
	}
	if c.TopP != nil && (!b.thinking || *c.TopP >= 0.95) {
		config.TopP = aws.Float32(float32(*c.TopP))
		b.take("top_p")
	}
	where := b.model.topK()
	if c.TopK == nil || where == nil || b.thinking {
		return
	}
	b.take("top_k")
	fields := b.extra
	for _, name := range where[:len(where)-1] {
		inner := map[string]any{}
		fields[name], fields = inner, inner
	}
	fields[where[len(where)-1]] = *c.TopK
}

// parallelToolCalls hands "at most one call" to the models that know it. It
// replaces the choice, so it cannot be said together with a forced tool.
func (b *builder) parallelToolCalls() {
	switch p := b.chat.ParallelToolCalls; {
	case p == nil || *p || b.in.ToolConfig == nil || b.form != "":
	case b.model.vendor != "anthropic" || b.model.beforeClaude45() || b.forced():
		return
	default:
		b.in.ToolConfig.ToolChoice = nil
		b.extra["tool_choice"] = map[string]any{"type": "auto", "disable_parallel_tool_use": true}
	}
	b.take("parallel_tool_calls")
}

func (b *builder) serviceTier() {
	switch tier := types.ServiceTierType(b.chat.ServiceTier); {
	case tier == "auto":
	case slices.Contains(tier.Values(), tier):
		b.in.ServiceTier = &types.ServiceTier{Type: tier}
	default:
		return
	}
	b.take("service_tier")
}

// harmless is what Bedrock takes as a name or value of request metadata, which
// ends up in the account's own invocation logs.
var harmless = pattern.Pattern{Expr: `^[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}$`}

const maxMetadata = 16

// metadata translates metadata and user, each wholly or not at all.
func (b *builder) metadata(raw []byte) {
	fields := map[string]string{}
	if json.Unmarshal(raw, &fields) == nil && len(fields) <= maxMetadata && allHarmless(fields) {
		b.in.RequestMetadata = fields
		b.take("metadata")
	} else {
		fields = map[string]string{}
	}
	if _, taken := fields["user"]; b.chat.User != "" && !taken && len(fields) < maxMetadata && harmless.Match(b.chat.User) {
		fields["user"] = b.chat.User
		b.in.RequestMetadata = fields
		b.take("user")
	}
}

func allHarmless(fields map[string]string) bool {
	for name, value := range fields {
		if !harmless.Match(name) || value != "" && !harmless.Match(value) {
			return false
		}
	}
	return true
}

// cachePoint translates Anthropic's cache_control; ok is false where there is
// none or the model would refuse it.
func (b *builder) cachePoint(control json.RawMessage) (p types.CachePointBlock, ok bool) {
	if rawjson.Kind(control) != "object" || !b.model.caches() {
		return p, false
	}
	p.Type = types.CachePointTypeDefault
	ttl, _ := rawjson.String(rawjson.Get(rawjson.Fields(nil, control), "ttl"))
	if b.model.cachesTools() && slices.Contains(types.CacheTTL("").Values(), types.CacheTTL(ttl)) {
		p.Ttl = types.CacheTTL(ttl)
	}
	return p, true
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }
