package api

import (
	"cmp"
	"context"
	"net/http"
	"strconv"

	"github.com/devmentor/ai-gateway/shared/catalog"
	"github.com/devmentor/ai-gateway/shared/codegen"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// Code serves POST /ai/code/generate.
func (s *Server) Code() http.Handler {
	return s.endpoint("POST", func(v *visit) error { return s.infer(v, "code", s.code) })
}

// code asks for files as a chat, and reads them out of the answer.
func (s *Server) code(ctx context.Context, v *visit, c *gateway.Call, body []byte) error {
	b, err := parseCode(body)
	if err != nil {
		return s.Gateway.Refuse(ctx, c, err)
	}
	if b.model == "" {
		if b.model = s.codeModel(ctx); b.model == "" {
			return s.Gateway.Refuse(ctx, c, &fault.Error{Kind: fault.Invalid, Param: "model", Code: "missing_required_parameter",
				Message: "Missing required parameter: 'model'. There is no public model 'code', and GATEWAY_CODE_MODEL is not set."})
		}
	}
	g := &generation{s: s, v: v, c: c, format: b.format}
	g.parser = codegen.NewParser(b.hints(s.CodeTools), g.step)
	defer func() {
		if g.out != nil {
			g.out.stop()
		}
	}()
	c.Need, c.Whole, c.Question = llm.NeedText, true, b.Prompt
	c.Admitted = func() {
		if c.Record.Stream {
			g.out = newEvents(v, c)
		}
	}
	err = b.own(s.Gateway.Chat(ctx, c, b.chat(), g.event))
	if g.out != nil {
		return g.endStream(err)
	}
	if err != nil {
		return err
	}
	answer, err := g.finish()
	if err != nil {
		return err
	}
	writeFinalHeaders(v.Header(), c)
	if c.Assembly != nil {
		answer = addMember(nil, answer, "gateway", appendAssembly(nil, c.Assembly))
	}
	writeJSON(v, http.StatusOK, answer)
	return nil
}

// codeModel is the model for requests that name none: the public model "code",
// or the setting's, or the stand-in where there is nothing else; "" if it
// takes a choice.
func (s *Server) codeModel(ctx context.Context) string {
	models := s.Gateway.Models
	if _, err := models.Find(ctx, "code", catalog.Chat); err == nil {
		return "code"
	}
	if s.CodeModel != "" {
		return s.CodeModel
	}
	if names := models.Configured(); len(names) == 1 && names[0] == "echo" {
		return "echo"
	}
	return ""
}

// generation is the answer to one request for files.
type generation struct {
	s      *Server
	v      *visit
	c      *gateway.Call
	format bool
	parser *codegen.Parser

	model  string  // that answered, in the upstream's words
	reason string  // why it ended: finish_reason
	notice string  // why the gateway ended it
	out    *events // nil: not streamed, or not admitted
}

// event takes an event of the chat.
func (g *generation) event(e *llm.Event) error {
	if g.model == "" {
		g.model = e.Model
	}
	if e.Finish != "" {
		g.reason = e.Finish
	}
	if e.Notice != "" {
		g.notice = e.Notice
	}
	if err := g.parser.Write(e.Text + e.Refusal); err != nil {
		return err
	}
	if g.out == nil || e.More {
		return nil
	}
	g.out.mu.Lock()
	defer g.out.mu.Unlock()
	return g.out.flush()
}

// step writes a step of the parser into the stream.
func (g *generation) step(e codegen.Event) error {
	if g.out == nil {
		return nil
	}
	data := append([]byte(nil), '{')
	if e.Kind != codegen.Explanation {
		data = strconv.AppendInt(append(data, `"index":`...), int64(e.Index), 10)
		data = append(data, ',')
	}
	switch e.Kind {
	case codegen.FileStart:
		data = rawjson.AppendString(append(data, `"path":`...), e.Path)
		data = rawjson.AppendString(append(data, `,"language":`...), e.Language)
	case codegen.FileDelta:
		data = rawjson.AppendString(append(data, `"content":`...), e.Text)
	case codegen.FileEnd:
		data = rawjson.AppendString(append(data, `"path":`...), e.Path)
	case codegen.Explanation:
		data = rawjson.AppendString(append(data, `"text":`...), e.Text)
	}
	g.out.mu.Lock()
	defer g.out.mu.Unlock()
	g.out.named(string(e.Kind), append(data, '}'))
	if g.out.buf.Len() < fullBuffer {
		return nil
	}
	return g.out.flush()
}

// finish reads the rest of the answer and renders the whole of it.
func (g *generation) finish() ([]byte, error) {
	r, err := g.parser.Finish(g.reason == "length")
	if err != nil {
		return nil, err
	}
	if g.notice != "" {
		r.Diagnostics = append(r.Diagnostics, codegen.Diagnostic{Severity: codegen.Error, Code: g.notice, Source: "gateway", Message: "The gateway ended the answer before it was complete."})
	}
	r.Tidy(g.s.CodeTools, g.format)
	if r.Diagnostics == nil {
		r.Diagnostics = []codegen.Diagnostic{}
	}
	dst := appendHead(nil, "code.generation", "code_"+g.c.Record.ID, g.model, g.c)
	for _, m := range []struct {
		name  string
		value any
	}{{"files", r.Files}, {"explanation", r.Explanation}, {"diagnostics", r.Diagnostics}, {"finish_reason", cmp.Or(g.reason, "stop")}} {
		text, err := rawjson.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		dst = append(rawjson.AppendString(dst, m.name), ':')
		dst = append(append(dst, text...), ',')
	}
	return append(appendUsage(append(dst, `"usage":`...), g.c), '}'), nil
}

// endStream closes the stream with the whole result, or with what went wrong.
func (g *generation) endStream(err error) error {
	if err != nil && g.out.empty() || clientLeft(g.v.r.Context(), err) {
		return err
	}
	var answer []byte
	if err == nil {
		answer, err = g.finish()
	}
	if err != nil {
		_ = g.out.send("error", append(appendError([]byte(`{"error":`), err), '}'))
		return err
	}
	figures := appendFigures(nil, g.c)
	if g.c.Assembly != nil {
		figures = append(append(figures[:len(figures)-1], ','), appendAssembly(nil, g.c.Assembly)[1:]...)
	}
	return g.out.send("done", addMember(nil, answer, "gateway", figures))
}
