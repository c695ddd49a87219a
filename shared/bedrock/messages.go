package bedrock

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/pattern"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// messages translates the conversation. Converse wants system texts apart,
// turns of user and assistant in alternation, tool results in user turns, and
// no blank text anywhere.
func (b *builder) messages() error {
	for i := range b.chat.Messages {
		m := &b.chat.Messages[i]
		var err error
		switch m.Role {
		case "system", "developer":
			err = b.system(m)
		case "assistant":
			err = b.assistant(m)
		case "tool":
			err = b.toolResult(m)
		default:
			err = b.content(types.ConversationRoleUser, m)
		}
		if err != nil {
			return err
		}
	}
	if len(b.in.Messages) == 0 { // only instructions: they are what is asked
		for _, s := range b.in.System {
			if text, ok := s.(*types.SystemContentBlockMemberText); ok {
				b.add(types.ConversationRoleUser, &types.ContentBlockMemberText{Value: text.Value})
			}
		}
		b.in.System = nil
	}
	b.trimEnd()
	return nil
}

// add appends blocks to the last turn, or begins the next one.
func (b *builder) add(role types.ConversationRole, blocks ...types.ContentBlock) {
	if n := len(b.in.Messages); n > 0 && b.in.Messages[n-1].Role == role {
		b.in.Messages[n-1].Content = append(b.in.Messages[n-1].Content, blocks...)
		return
	}
	b.in.Messages = append(b.in.Messages, types.Message{Role: role, Content: blocks})
}

// trimEnd cuts white space from the end of a text that the model is to
// continue: Claude refuses it.
func (b *builder) trimEnd() {
	n := len(b.in.Messages)
	if n == 0 || b.in.Messages[n-1].Role != types.ConversationRoleAssistant {
		return
	}
	content := b.in.Messages[n-1].Content
	if t, ok := content[len(content)-1].(*types.ContentBlockMemberText); ok {
		t.Value = strings.TrimRight(t.Value, " \t\r\n")
	}
}

func (b *builder) system(m *llm.Message) error {
	for j := range m.Content {
		part := &m.Content[j]
		if part.Type != "text" {
			return fault.Field(partParam(m, j, ".type"), "System messages can only hold text for this model, not '%s'.", part.Type)
		}
		if blank(part.Text) {
			continue
		}
		b.in.System = append(b.in.System, &types.SystemContentBlockMemberText{Value: part.Text})
		if point, ok := b.cachePoint(part.CacheControl); ok {
			b.in.System = append(b.in.System, &types.SystemContentBlockMemberCachePoint{Value: point})
		}
	}
	return nil
}

// assistant translates a turn of the model: its thinking first, as it came.
func (b *builder) assistant(m *llm.Message) error {
	if b.model.claude() {
		for j, t := range m.Thinking {
			block, err := reasoningBlock(m, j, t)
			if err != nil {
				return err
			}
			if block != nil {
				b.add(types.ConversationRoleAssistant, &types.ContentBlockMemberReasoningContent{Value: block})
			}
		}
	}
	if err := b.content(types.ConversationRoleAssistant, m); err != nil {
		return err
	}
	for j, c := range m.ToolCalls {
		input := []byte(strings.TrimSpace(c.Arguments))
		if len(input) == 0 {
			input = []byte("{}")
		}
		if err := rawjson.Valid(input, llm.MaxDepth); err != nil || rawjson.Kind(input) != "object" {
			param := fmt.Sprintf("messages[%d].tool_calls[%d].function.arguments", m.Index, j)
			return fault.Field(param, "'%s' must be the text of a JSON object.", param)
		}
		b.add(types.ConversationRoleAssistant, &types.ContentBlockMemberToolUse{Value: types.ToolUseBlock{
			ToolUseId: aws.String(toolID(c.ID)), Name: aws.String(c.Name), Input: newVerbatim(input)}})
	}
	return nil
}

// reasoningBlock returns nil for thinking that carries no proof of where it
// came from; the model would not take it.
func reasoningBlock(m *llm.Message, j int, t llm.Thinking) (types.ReasoningContentBlock, error) {
	switch {
	case t.Redacted != "":
		data, err := base64.StdEncoding.DecodeString(t.Redacted)
		if err != nil {
			param := fmt.Sprintf("messages[%d].thinking_blocks[%d].data", m.Index, j)
			return nil, fault.Field(param, "'%s' is not what this model's provider had sent.", param)
		}
		return &types.ReasoningContentBlockMemberRedactedContent{Value: data}, nil
	case t.Signature != "":
		return &types.ReasoningContentBlockMemberReasoningText{
			Value: types.ReasoningTextBlock{Text: aws.String(t.Text), Signature: aws.String(t.Signature)}}, nil
	}
	return nil, nil
}

func (b *builder) content(role types.ConversationRole, m *llm.Message) error {
	for j := range m.Content {
		block, err := b.block(m, j)
		if err != nil {
			return err
		}
		if block == nil {
			continue
		}
		if _, text := block.(*types.ContentBlockMemberText); !text && role == types.ConversationRoleAssistant {
			return fault.Field(partParam(m, j, ".type"), "Assistant messages can only hold text for this model, not '%s'.", m.Content[j].Type)
		}
		b.add(role, block)
		b.addCachePoint(role, m.Content[j].CacheControl)
	}
	return nil
}

func (b *builder) addCachePoint(role types.ConversationRole, control json.RawMessage) {
	if point, ok := b.cachePoint(control); ok {
		b.add(role, &types.ContentBlockMemberCachePoint{Value: point})
	}
}

func (b *builder) toolResult(m *llm.Message) error {
	result := types.ToolResultBlock{ToolUseId: aws.String(toolID(m.ToolCallID))}
	var cache json.RawMessage
	for j := range m.Content {
		block, err := b.block(m, j)
		if err != nil {
			return err
		}
		if c := m.Content[j].CacheControl; !rawjson.IsNull(c) {
			cache = c
		}
		switch block := block.(type) {
		case nil:
		case *types.ContentBlockMemberText:
			result.Content = append(result.Content, &types.ToolResultContentBlockMemberText{Value: block.Value})
		case *types.ContentBlockMemberImage:
			result.Content = append(result.Content, &types.ToolResultContentBlockMemberImage{Value: block.Value})
		case *types.ContentBlockMemberDocument:
			result.Content = append(result.Content, &types.ToolResultContentBlockMemberDocument{Value: block.Value})
		default:
			return fault.Field(partParam(m, j, ".type"), "Tool messages cannot hold '%s' for this model.", m.Content[j].Type)
		}
	}
	if len(result.Content) == 0 { // many tools have nothing to say; blank text is refused
		result.Content = []types.ToolResultContentBlock{&types.ToolResultContentBlockMemberText{Value: "(no output)"}}
	}
	b.add(types.ConversationRoleUser, &types.ContentBlockMemberToolResult{Value: result})
	b.addCachePoint(types.ConversationRoleUser, cache)
	return nil
}

var goodToolID = pattern.Pattern{Expr: `^[a-zA-Z0-9_-]{1,64}$`}

// toolID returns an id that Bedrock takes: the client's own, or one that is
// the same for a call and its result.
func toolID(id string) string {
	if goodToolID.Match(id) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "call_" + hex.EncodeToString(sum[:12])
}

func partParam(m *llm.Message, j int, field string) string {
	return fmt.Sprintf("messages[%d].content[%d]%s", m.Index, j, field)
}

// block translates a part of a message; nil stands for blank text.
func (b *builder) block(m *llm.Message, j int) (types.ContentBlock, error) {
	switch part := &m.Content[j]; part.Type {
	case "text":
		if blank(part.Text) {
			return nil, nil
		}
		return &types.ContentBlockMemberText{Value: part.Text}, nil
	case "image_url":
		return image(part, partParam(m, j, ".image_url.url"))
	case "file":
		return b.document(part, partParam(m, j, ".file"))
	case "input_audio":
		return audio(part, partParam(m, j, ".input_audio"))
	default:
		return nil, fault.Field(partParam(m, j, ".type"), "This model cannot take content of type '%s'.", part.Type)
	}
}

// image translates a data: URL. Addresses are refused: whoever may send a
// prompt must not make the gateway fetch from its network.
func image(part *llm.Part, param string) (types.ContentBlock, error) {
	mediaType, data, ok := part.DataURL()
	if !ok {
		return nil, fault.Field(param, "'%s' must be a base64 data: URL for this model; the gateway does not fetch addresses.", param)
	}
	format := types.ImageFormat(strings.TrimPrefix(strings.ToLower(mediaType), "image/"))
	switch format {
	case "jpg":
		format = types.ImageFormatJpeg
	case types.ImageFormatJpeg, types.ImageFormatPng, types.ImageFormatGif, types.ImageFormatWebp:
	default:
		return nil, fault.Field(param, "'%s' must be a PNG, JPEG, GIF or WebP image for this model, not '%.40s'.", param, mediaType)
	}
	content, err := fromBase64(data, param)
	if err != nil {
		return nil, err
	}
	return &types.ContentBlockMemberImage{Value: types.ImageBlock{Format: format, Source: &types.ImageSourceMemberBytes{Value: content}}}, nil
}

var documentFormats = map[string]types.DocumentFormat{
	"application/pdf": types.DocumentFormatPdf, "text/csv": types.DocumentFormatCsv, "text/html": types.DocumentFormatHtml,
	"text/plain": types.DocumentFormatTxt, "text/markdown": types.DocumentFormatMd,
	"application/msword": types.DocumentFormatDoc, "application/vnd.ms-excel": types.DocumentFormatXls,
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document": types.DocumentFormatDocx,
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":       types.DocumentFormatXlsx,
}

func (b *builder) document(part *llm.Part, param string) (types.ContentBlock, error) {
	var w struct {
		File struct {
			FileData string `json:"file_data"`
			Filename string `json:"filename"`
		} `json:"file"`
	}
	if err := json.Unmarshal(part.Raw, &w); err != nil {
		return nil, fault.Field(param, "'%s' cannot be read.", param)
	}
	param += ".file_data"
	mediaType, data, ok := (&llm.Part{URL: w.File.FileData}).DataURL()
	if !ok {
		return nil, fault.Field(param, "'%s' must be a base64 data: URL for this model; uploaded files are not known here.", param)
	}
	format, ok := documentFormats[strings.ToLower(mediaType)]
	if !ok {
		return nil, fault.Field(param, "This model cannot take files of type '%.80s'.", mediaType)
	}
	content, err := fromBase64(data, param)
	if err != nil {
		return nil, err
	}
	return &types.ContentBlockMemberDocument{Value: types.DocumentBlock{Format: format, Name: aws.String(b.documentName(w.File.Filename)),
		Source: &types.DocumentSourceMemberBytes{Value: content}}}, nil
}

var (
	badInName = pattern.Pattern{Expr: `[^a-zA-Z0-9\s()\[\]-]+`}
	spaces    = pattern.Pattern{Expr: `\s+`}
)

// documentName makes a name that Bedrock takes, different from the others of
// the request.
func (b *builder) documentName(file string) string {
	if dot := strings.LastIndexByte(file, '.'); dot > 0 {
		file = file[:dot]
	}
	name := strings.TrimSpace(spaces.Regexp().ReplaceAllString(badInName.Regexp().ReplaceAllString(file, " "), " "))
	if len(name) > 100 {
		name = strings.TrimSpace(name[:100])
	}
	if name == "" {
		name = "document"
	}
	if b.names == nil {
		b.names = map[string]int{}
	}
	if b.names[name]++; b.names[name] > 1 {
		name = fmt.Sprintf("%s (%d)", name, b.names[name])
	}
	return name
}

func audio(part *llm.Part, param string) (types.ContentBlock, error) {
	var w struct {
		InputAudio struct{ Data, Format string } `json:"input_audio"`
	}
	if err := json.Unmarshal(part.Raw, &w); err != nil {
		return nil, fault.Field(param, "'%s' cannot be read.", param)
	}
	format := types.AudioFormat(w.InputAudio.Format)
	if !slices.Contains(format.Values(), format) {
		return nil, fault.Field(param+".format", "'%s.format' must be one of %q for this model.", param, format.Values())
	}
	content, err := fromBase64(w.InputAudio.Data, param+".data")
	if err != nil {
		return nil, err
	}
	return &types.ContentBlockMemberAudio{Value: types.AudioBlock{Format: format,
		Source: &types.AudioSourceMemberBytes{Value: content}}}, nil
}

func fromBase64(text, param string) ([]byte, error) {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil { // some clients leave the padding out
		data, err = base64.RawStdEncoding.DecodeString(text)
	}
	if err != nil || len(data) == 0 {
		return nil, fault.Field(param, "'%s' is not base64.", param)
	}
	return data, nil
}
