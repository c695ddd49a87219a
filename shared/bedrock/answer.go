package bedrock

import (
	"context"
	"encoding/base64"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/devmentor/ai-gateway/shared/llm"
)

// answer turns the events of one Converse stream into ours.
type answer struct {
	provider  *Provider
	form      string // the tool whose input is the answer's text; "" if none
	emit      func(*llm.Event) error
	id, model string // go out with the first event

	blocks  map[int32]*block
	tools   int  // calls begun
	emitted bool // something went out
	stopped bool // messageStop came
	err     error
}

// block is a content block that is being received.
type block struct {
	tool     int  // index of the call; -1 if this is none
	form     bool // its input is the answer's text
	fragment bool // some input came
	thinking llm.Thinking
	redacted []byte
}

// take handles one event of the stream.
func (a *answer) take(e types.ConverseStreamOutput) error {
	switch e := e.(type) {
	case *types.ConverseStreamOutputMemberContentBlockStart:
		return a.start(aws.ToInt32(e.Value.ContentBlockIndex), e.Value.Start)
	case *types.ConverseStreamOutputMemberContentBlockDelta:
		return a.delta(aws.ToInt32(e.Value.ContentBlockIndex), e.Value.Delta)
	case *types.ConverseStreamOutputMemberContentBlockStop:
		return a.stop(aws.ToInt32(e.Value.ContentBlockIndex))
	case *types.ConverseStreamOutputMemberMessageStop:
		a.stopped = true
		var finish string
		if finish, a.err = a.provider.finish(e.Value.StopReason, a.form); a.err != nil {
			return nil // after the usage
		}
		return a.send(&llm.Event{Finish: finish})
	case *types.ConverseStreamOutputMemberMetadata:
		// Usage of a failure that can still be tried elsewhere is not sent, since
		// that would commit the request to this answer.
		if u := usageOf(e.Value.Usage); u != nil && a.emitted {
			return a.send(&llm.Event{Usage: u, UsageOnly: true})
		}
	}
	return nil // messageStart, and what may be added to the protocol
}

// block returns the block with that index. A text block has no start event.
func (a *answer) block(index int32) *block {
	b := a.blocks[index]
	if b == nil {
		if a.blocks == nil {
			a.blocks = map[int32]*block{}
		}
		b = &block{tool: -1}
		a.blocks[index] = b
	}
	return b
}

func (a *answer) start(index int32, s types.ContentBlockStart) error {
	use, ok := s.(*types.ContentBlockStartMemberToolUse)
	if !ok {
		return nil
	}
	b := a.block(index)
	if name := aws.ToString(use.Value.Name); name == a.form && name != "" {
		b.form = true
		return nil
	}
	b.tool = a.tools
	a.tools++
	return a.send(&llm.Event{Tools: []llm.ToolDelta{{Index: b.tool, ID: aws.ToString(use.Value.ToolUseId), Name: aws.ToString(use.Value.Name)}}})
}

func (a *answer) delta(index int32, d types.ContentBlockDelta) error {
	b := a.block(index)
	switch d := d.(type) {
	case *types.ContentBlockDeltaMemberText:
		if d.Value != "" {
			return a.send(&llm.Event{Text: d.Value})
		}
	case *types.ContentBlockDeltaMemberToolUse:
		input := aws.ToString(d.Value.Input)
		switch {
		case input == "":
		case b.form:
			return a.send(&llm.Event{Text: input})
		case b.tool < 0:
			return a.provider.common().Broken("sent the input of a tool call that it had not begun", nil)
		default:
			b.fragment = true
			return a.send(&llm.Event{Tools: []llm.ToolDelta{{Index: b.tool, Arguments: input}}})
		}
	case *types.ContentBlockDeltaMemberReasoningContent:
		switch r := d.Value.(type) {
		case *types.ReasoningContentBlockDeltaMemberText:
			b.thinking.Text += r.Value
			if r.Value != "" {
				return a.send(&llm.Event{Reasoning: r.Value})
			}
		case *types.ReasoningContentBlockDeltaMemberSignature:
			b.thinking.Signature += r.Value
		case *types.ReasoningContentBlockDeltaMemberRedactedContent:
			b.redacted = append(b.redacted, r.Value...)
		}
	}
	return nil
}

func (a *answer) stop(index int32) error {
	b := a.blocks[index]
	if b == nil {
		return nil
	}
	switch {
	case b.tool >= 0 && !b.fragment: // a call without arguments; clients parse them all the same
		return a.send(&llm.Event{Tools: []llm.ToolDelta{{Index: b.tool, Arguments: "{}"}}})
	case b.redacted != nil:
		return a.send(&llm.Event{Thinking: &llm.Thinking{Redacted: base64.StdEncoding.EncodeToString(b.redacted)}})
	case b.thinking.Signature != "": // without one nobody wants it back
		return a.send(&llm.Event{Thinking: &b.thinking})
	}
	return nil
}

func (a *answer) send(e *llm.Event) error {
	if !a.emitted {
		e.ID, e.Model, a.emitted = a.id, a.model, true
	}
	return a.emit(e)
}

// end judges a stream that has ended, err being why. Once the stop reason has
// come the answer is whole, and a break can only cost the usage figures.
func (a *answer) end(ctx context.Context, err error) error {
	switch {
	case a.err != nil:
		return a.err
	case a.stopped:
		return nil
	case err != nil:
		return a.provider.fault(ctx, err)
	case ctx.Err() != nil:
		return a.provider.fault(ctx, ctx.Err())
	}
	return a.provider.common().Broken("ended its answer before it was complete", nil)
}

// whole emits an answer that was not streamed.
func (p *Provider) whole(out *bedrockruntime.ConverseOutput, req *llm.Request, form string, emit func(*llm.Event) error) error {
	m, ok := out.Output.(*types.ConverseOutputMemberMessage)
	if !ok {
		return p.common().Broken("sent an answer without a message", nil)
	}
	finish, err := p.finish(out.StopReason, form)
	if err != nil {
		return err
	}
	events := []*llm.Event{{}}
	last := func() *llm.Event { return events[len(events)-1] }
	var reasoning, text strings.Builder
	calls := 0
	for _, c := range m.Value.Content {
		switch c := c.(type) {
		case *types.ContentBlockMemberText:
			text.WriteString(c.Value)
		case *types.ContentBlockMemberCitationsContent:
			for _, g := range c.Value.Content {
				if t, ok := g.(*types.CitationGeneratedContentMemberText); ok {
					text.WriteString(t.Value)
				}
			}
		case *types.ContentBlockMemberReasoningContent:
			th := thinkingOf(c.Value)
			reasoning.WriteString(th.Text)
			if th.Signature == "" && th.Redacted == "" {
				break
			}
			if last().Thinking != nil { // an event holds one block
				events = append(events, &llm.Event{})
			}
			last().Thinking = &th
		case *types.ContentBlockMemberToolUse:
			input, err := decoded(c.Value.Input)
			if err != nil {
				return p.common().Broken("sent a tool call that cannot be read", err)
			}
			if name := aws.ToString(c.Value.Name); name == form && name != "" {
				text.WriteString(input)
				break
			}
			events[0].Tools = append(events[0].Tools, llm.ToolDelta{Index: calls, ID: aws.ToString(c.Value.ToolUseId),
				Name: aws.ToString(c.Value.Name), Arguments: input})
			calls++
		}
	}
	events[0].ID, events[0].Model = requestID(out.ResultMetadata), req.Model
	events[0].Reasoning, events[0].Text = reasoning.String(), text.String()
	last().Finish, last().Usage = finish, usageOf(out.Usage)
	for _, e := range events {
		if err := emit(e); err != nil {
			return err
		}
	}
	return nil
}

func thinkingOf(r types.ReasoningContentBlock) llm.Thinking {
	switch r := r.(type) {
	case *types.ReasoningContentBlockMemberReasoningText:
		return llm.Thinking{Text: aws.ToString(r.Value.Text), Signature: aws.ToString(r.Value.Signature)}
	case *types.ReasoningContentBlockMemberRedactedContent:
		return llm.Thinking{Redacted: base64.StdEncoding.EncodeToString(r.Value)}
	}
	return llm.Thinking{}
}

// finish translates a stop reason. Reasons that we do not know go out as they
// are: OpenAI's list is open too.
func (p *Provider) finish(reason types.StopReason, form string) (string, error) {
	switch reason {
	case types.StopReasonEndTurn, types.StopReasonStopSequence:
		return "stop", nil
	case types.StopReasonMaxTokens, types.StopReasonModelContextWindowExceeded:
		return "length", nil
	case types.StopReasonToolUse:
		if form != "" {
			return "stop", nil
		}
		return "tool_calls", nil
	case types.StopReasonGuardrailIntervened, types.StopReasonContentFiltered:
		return "content_filter", nil
	case types.StopReasonMalformedModelOutput, types.StopReasonMalformedToolUse:
		return "", p.common().Broken("gave up on its answer: "+strings.ReplaceAll(string(reason), "_", " "), nil)
	}
	return string(reason), nil
}
