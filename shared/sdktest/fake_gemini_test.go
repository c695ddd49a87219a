package sdktest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

var geminiProtocol = protocol{
	name:       "gemini",
	authorized: func(h http.Header) bool { return h.Get("X-Goog-Api-Key") == geminiKey && h.Get("Authorization") == "" },
	question:   geminiQuestion,
	answer:     func(q *question, a *reply) []byte { return geminiChunk(q, a, geminiParts(a), true) },
	stream:     geminiStream,
	failure: func(status int, message string) []byte {
		words := map[int]string{400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}
		return toJSON(object{"error": object{"code": status, "message": message, "status": words[status]}})
	},
}

// gemini serves models/MODEL:METHOD.
func (f *fake) gemini(w http.ResponseWriter, r *http.Request) {
	model, method, _ := strings.Cut(r.PathValue("call"), ":")
	r.SetPathValue("model", model)
	r.SetPathValue("method", method)
	switch {
	case r.URL.RawQuery != "" && !(method == "streamGenerateContent" && r.URL.RawQuery == "alt=sse"):
		f.problem("gemini: query %q; a key there would end up in logs", r.URL.RawQuery)
	case method == "generateContent" || method == "streamGenerateContent":
		f.chat(geminiProtocol)(w, r)
		return
	case method == "batchEmbedContents":
		f.geminiEmbeddings(w, r)
		return
	}
	f.problem("gemini: %s has no method %q", model, method)
	w.WriteHeader(http.StatusNotFound)
}

type geminiPart struct {
	Text       string `json:"text"`
	InlineData *struct {
		MIMEType string `json:"mimeType"`
		Data     string `json:"data"`
	} `json:"inlineData"`
	FunctionCall *struct {
		ID   string          `json:"id"`
		Name string          `json:"name"`
		Args json.RawMessage `json:"args"`
	} `json:"functionCall"`
	FunctionResponse *struct {
		ID       string          `json:"id"`
		Name     string          `json:"name"`
		Response json.RawMessage `json:"response"`
	} `json:"functionResponse"`
	ThoughtSignature string `json:"thoughtSignature"`
}

type geminiContent struct {
	Role  string       `json:"role"`
	Parts []geminiPart `json:"parts"`
}

func geminiQuestion(r *http.Request, body []byte) (*question, error) {
	var b struct {
		SystemInstruction geminiContent   `json:"systemInstruction"`
		Contents          []geminiContent `json:"contents"`
		Tools             []struct {
			FunctionDeclarations []struct {
				Name        string          `json:"name"`
				Description string          `json:"description"`
				Parameters  json.RawMessage `json:"parametersJsonSchema"`
			} `json:"functionDeclarations"`
		} `json:"tools"`
		ToolConfig struct {
			FunctionCallingConfig struct {
				Mode                 string   `json:"mode"`
				AllowedFunctionNames []string `json:"allowedFunctionNames"`
			} `json:"functionCallingConfig"`
		} `json:"toolConfig"`
		GenerationConfig struct {
			Temperature        *float64        `json:"temperature"`
			TopP               *float64        `json:"topP"`
			MaxOutputTokens    int             `json:"maxOutputTokens"`
			CandidateCount     int             `json:"candidateCount"`
			StopSequences      []string        `json:"stopSequences"`
			Seed               int             `json:"seed"`
			ResponseMIMEType   string          `json:"responseMimeType"`
			ResponseJSONSchema json.RawMessage `json:"responseJsonSchema"`
			ThinkingConfig     struct {
				IncludeThoughts bool `json:"includeThoughts"`
				ThinkingBudget  int  `json:"thinkingBudget"`
			} `json:"thinkingConfig"`
		} `json:"generationConfig"`
	}
	if err := strict(body, &b); err != nil {
		return nil, err
	}
	config := b.GenerationConfig
	q := &question{Model: r.PathValue("model"), Stream: r.PathValue("method") == "streamGenerateContent", N: max(1, config.CandidateCount),
		Calls: map[string]string{}, Schema: config.ResponseJSONSchema, Thinks: config.ThinkingConfig.IncludeThoughts}
	if !strings.HasPrefix(q.Model, "gemini-") || len(b.Contents) == 0 {
		return nil, fmt.Errorf("model %q, %d contents", q.Model, len(b.Contents))
	}
	if q.Schema != nil && config.ResponseMIMEType != "application/json" {
		return nil, errors.New("Response schema is only supported with response MIME type: application/json")
	}
	for _, p := range b.SystemInstruction.Parts {
		q.System += p.Text
	}
	for i, c := range b.Contents {
		if want := []string{"user", "model"}[i%2]; c.Role != want {
			return nil, fmt.Errorf("contents[%d].role: %q, want %q", i, c.Role, want)
		}
		if c.Role == "user" {
			q.Results = nil
		}
		for _, p := range c.Parts {
			switch {
			case p.FunctionCall != nil && c.Role == "model":
				if len(p.FunctionCall.Args) == 0 || p.FunctionCall.Args[0] != '{' {
					return nil, fmt.Errorf("contents[%d]: args %s", i, p.FunctionCall.Args)
				}
				q.Calls[p.FunctionCall.Name] = p.FunctionCall.Name
			case p.FunctionResponse != nil && c.Role == "user":
				if q.Calls[p.FunctionResponse.Name] == "" {
					return nil, fmt.Errorf("contents[%d]: a response of %q, which was not called", i, p.FunctionResponse.Name)
				}
				var wrapped struct{ Result *string }
				if json.Unmarshal(p.FunctionResponse.Response, &wrapped) == nil && wrapped.Result != nil {
					q.Results = append(q.Results, *wrapped.Result)
				} else {
					q.Results = append(q.Results, string(p.FunctionResponse.Response))
				}
			case p.InlineData != nil && c.Role == "user":
				image, err := imageURL("data:" + p.InlineData.MIMEType + ";base64," + p.InlineData.Data)
				if err != nil {
					return nil, err
				}
				q.Images = append(q.Images, image)
			case p.Text != "":
				if c.Role == "user" {
					q.Prompt = p.Text
				}
			default:
				return nil, fmt.Errorf("contents[%d]: part %+v from the %s", i, p, c.Role)
			}
		}
	}
	for _, t := range b.Tools {
		for _, d := range t.FunctionDeclarations {
			q.Tools = append(q.Tools, d.Name)
		}
	}
	switch fc := b.ToolConfig.FunctionCallingConfig; fc.Mode {
	case "NONE":
		q.Choice = "none"
	case "ANY":
		q.Choice = "required"
		if len(fc.AllowedFunctionNames) == 1 {
			q.Choice = fc.AllowedFunctionNames[0]
		}
	}
	return q, nil
}

func geminiParts(a *reply) []any {
	var parts []any
	if a.Thinking != nil {
		parts = append(parts, object{"text": strings.Join(a.Thinking, ""), "thought": true})
	}
	if a.Text != nil {
		parts = append(parts, object{"text": a.text()})
	}
	for i, c := range a.Calls {
		p := object{"functionCall": object{"name": c.Name, "args": json.RawMessage(c.Arguments)}}
		if i == 0 {
			p["thoughtSignature"] = "EpwCCpkCAXLI2nwMdJvMR"
		}
		parts = append(parts, p)
	}
	return parts
}

func geminiChunk(q *question, a *reply, parts []any, last bool) []byte {
	var candidates []any
	for i := range q.N {
		c := object{"content": object{"parts": parts, "role": "model"}, "index": i}
		if last {
			c["finishReason"] = "STOP"
		}
		candidates = append(candidates, c)
	}
	chunk := object{"candidates": candidates, "modelVersion": q.Model, "responseId": "mAitaLmkHPPlz7IPvtfUqQ4"}
	if a.Metered {
		u := object{"promptTokenCount": a.Input, "cachedContentTokenCount": a.Cached, "totalTokenCount": a.Input + a.Output,
			"promptTokensDetails": []any{object{"modality": "TEXT", "tokenCount": a.Input}}}
		if last {
			u["candidatesTokenCount"] = a.Output - a.Reasoning
			u["thoughtsTokenCount"] = a.Reasoning
		}
		chunk["usageMetadata"] = u
	}
	return toJSON(chunk)
}

func geminiStream(q *question, a *reply) *script {
	s := &script{contentType: "text/event-stream", garbage: []byte("data: {\"candidates\": [{\r\n\r\n"),
		failure: []byte("data: " + string(geminiProtocolFailure) + "\r\n\r\n")}
	chunk := func(part any, last bool) {
		s.events = append(s.events, fmt.Appendf(nil, "data: %s\r\n\r\n", geminiChunk(q, a, []any{part}, last)))
	}
	for _, t := range a.Thinking {
		chunk(object{"text": t, "thought": true}, false)
	}
	for _, t := range a.Text {
		chunk(object{"text": t}, false)
	}
	if a.Calls != nil {
		for _, p := range geminiParts(&reply{Calls: a.Calls}) {
			chunk(p, false)
		}
	}
	chunk(object{"text": ""}, true)
	return s
}

var geminiProtocolFailure = []byte(`{"error":{"code":500,"message":"An internal error has occurred.","status":"INTERNAL"}}`)

func (f *fake) geminiEmbeddings(w http.ResponseWriter, r *http.Request) {
	body := f.receive(r, "gemini")
	if !geminiProtocol.authorized(r.Header) {
		f.problem("gemini: the gateway's key did not come")
	}
	var b struct {
		Requests []struct {
			Model                string        `json:"model"`
			Content              geminiContent `json:"content"`
			OutputDimensionality int           `json:"outputDimensionality"`
		} `json:"requests"`
	}
	if err := strict(body, &b); err != nil || len(b.Requests) == 0 {
		f.problem("gemini: embeddings: %v in %.200s", err, body)
		f.refuse(w, geminiProtocol, http.StatusBadRequest, "no requests")
		return
	}
	f.note(r, body, b.Requests[0].Content.Parts[0].Text)
	list := []any{}
	for _, e := range b.Requests {
		if e.Model != "models/"+r.PathValue("model") {
			f.problem("gemini: embeddings for %q at %s", e.Model, r.URL.Path)
		}
		n := e.OutputDimensionality
		if n == 0 {
			n = 3072
		}
		list = append(list, object{"values": vector(e.Content.Parts[0].Text, n)})
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(toJSON(object{"embeddings": list}))
}
