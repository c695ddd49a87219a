package api_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/llm"
)

// TestNothingPrivateIsWrittenDown sends secrets through every kind of outcome
// and looks for them in what the gateway writes: log, ledger, error answers.
func TestNothingPrivateIsWrittenDown(t *testing.T) {
	const (
		prompt  = "PROMPT-blue-elephant"
		said    = "ANSWER-green-giraffe"
		ourKey  = "sk-upstream-secret-123456"
		message = "You said: " + prompt + ", with key " + ourKey
	)
	script := llm.ProviderFunc(func(_ context.Context, req *llm.Request, emit func(*llm.Event) error) error {
		if err := emit(&llm.Event{Text: said}); err != nil {
			return err
		}
		panic("provider blew up")
	})
	for name, up := range map[string]http.HandlerFunc{
		"answer":         reply("application/json", strings.Replace(completion, "Hi.", said, 1)),
		"400":            status(400, `{"error":{"message":"`+message+`","param":"messages","code":"bad"}}`),
		"404":            status(404, `{"error":{"message":"`+message+`"}}`),
		"401":            status(401, `{"error":{"message":"`+message+`"}}`),
		"500":            status(500, message),
		"HTML":           reply("text/html", message),
		"stream error":   reply("text/event-stream", "data: "+chunk1+"\n\ndata: {\"error\":{\"message\":\""+message+"\"}}\n\n"),
		"stream garbage": reply("text/event-stream", "data: "+message+"\n\n"),
	} {
		r := newRig(t, up, script)
		for _, body := range []string{
			`{"model":"gpt-4o-mini","messages":[{"role":"user","content":"` + prompt + `"}]}`,
			`{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"` + prompt + `"}]}`,
			`{"model":"script","stream":true,"messages":[{"role":"user","content":"` + prompt + `"}]}`,
			`{"model":"gpt-4o-mini","messages":[{"role":"` + prompt + `","content":"x"}]}`,
			`{"model":"gpt-4o-mini","messages":"` + prompt + `"}`,
			`{"model":"gpt-4o-mini","gateway":{"tags":[7]},"messages":[{"role":"user","content":"` + prompt + `"}]}`,
		} {
			req, _ := http.NewRequestWithContext(t.Context(), "POST", r.url+"/ai/chat/completions", strings.NewReader(body))
			req.Header.Set("Authorization", "Bearer "+r.key)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(resp.Body) // a panic cuts the answer off
			resp.Body.Close()
			if strings.Contains(string(text), ourKey) {
				t.Errorf("%s: our key is in the answer %s", name, text)
			}
		}
		stranger, _ := admission.NewKey([]byte("other"), "ana")
		r.chat(hello, "Authorization", "Bearer "+stranger)
		written := r.log.String()
		for _, rec := range r.records("ana") {
			written += fmt.Sprintf("%+v\n", rec)
		}
		for what, private := range map[string]string{"prompt": prompt, "answer": said, "provider key": ourKey, "gateway key": r.key, "refused key": stranger, "pepper": pepper} {
			if strings.Contains(written, private) {
				t.Errorf("%s: the %s is in the log or ledger:\n%s", name, what, written)
			}
		}
		if !strings.Contains(written, `"request_id"`) {
			t.Errorf("%s: nothing was logged at all", name)
		}
		r.account("ana")
	}
}
