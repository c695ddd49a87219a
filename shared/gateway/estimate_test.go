package gateway

import (
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/router"
)

// photo is the beginning of a PNG of 1024 by 1024 pixels.
const photo = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAABAAAAAQACAAAAAA="

// TestImagesAreReservedAsTheTargetCountsThem: what the reservation holds for an
// image is what the window and the count of the prompt hold for it.
func TestImagesAreReservedAsTheTargetCountsThem(t *testing.T) {
	image := func(url string) string {
		return `{"type":"image_url","image_url":{"url":"` + url + `"}}`
	}
	for _, tc := range []struct {
		name, provider, model, part string
		want                        int64
	}{
		{"a known size", "openai", "gpt-4o-mini", image(photo), 25_501},
		{"the same elsewhere", "openai", "gpt-4o", image(photo), 765},
		{"and elsewhere", "anthropic", "claude-3-haiku-20240307", image(photo), 1399},
		{"its data cost nothing", "openai", "gpt-4o", image(photo + strings.Repeat("A", 1_000_000)), 765},
		{"a size that is not known", "openai", "gpt-4o-mini", image("https://example.com/a.png"), 2833 + 8*5667},
		{"a sound", "openai", "gpt-4o-audio-preview", `{"type":"input_audio","input_audio":{"format":"mp3","data":"` + strings.Repeat("A", 100_000) + `"}}`, 100 * 32},
		{"data in a text", "openai", "gpt-4o", `{"type":"text","text":"` + photo + strings.Repeat("A", 8000) + `"}`, 4000},
	} {
		req, err := llm.ParseRequest([]byte(`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"What is it?"},` + tc.part + `]}]}`))
		if err != nil {
			t.Fatal(err)
		}
		got, _ := estimateChat(req).tokens(&Target{Provider: tc.provider, Model: tc.model})
		if got < tc.want || got > tc.want+150 {
			t.Errorf("%s: %s/%s: %d tokens are reserved, want little more than %d", tc.name, tc.provider, tc.model, got, tc.want)
		}
		if req.Model = tc.model; !strings.Contains(tc.part, `"text"`) && countPrompt(req) > got {
			t.Errorf("%s: %s: %d tokens are reserved, %d counted", tc.name, tc.model, got, countPrompt(req))
		}
	}
}

// TestNobodyToAsk: then nothing is known, and nothing costs.
func TestNobodyToAsk(t *testing.T) {
	w := &Work{route: &router.Route{Group: &router.Group{}}}
	if most, bound := w.Most(), w.MaxOutput(); most != 0 || bound != 0 {
		t.Errorf("Most = %d, MaxOutput = %d, want 0 and 0 for unknown", most, bound)
	}
}
