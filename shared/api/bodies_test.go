package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/devmentor/ai-gateway/shared/catalog"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/router"
)

// TestBodiesDoNotMix has many clients send long prompts at the same time, in
// every way in which a body is read by somebody who may be late: races, retries,
// answers that come before the body is read, clients that leave. Bodies stand in
// memory that is used again, so each prompt repeats its sender's mark, and
// whatever arrives must be one mark from end to end. Under the race detector
// memory is poisoned before it is used again.
func TestBodiesDoNotMix(t *testing.T) {
	var leave sync.Map // mark → func() that has the client leave
	up := func(w http.ResponseWriter, req *http.Request) {
		head := make([]byte, 64)
		n, _ := io.ReadFull(req.Body, head)
		if strings.Contains(string(head[:n]), `"gpt-4.1"`) { // refuses, or is gone, before it has read the body
			http.Error(w, `{"error":{"message":"overloaded"}}`, http.StatusServiceUnavailable)
			return
		}
		rest, err := io.ReadAll(req.Body)
		if err != nil {
			return // who lost a race, or left, need not send it whole
		}
		var sent struct {
			Stream   bool
			Messages []struct{ Content string }
		}
		if err := json.Unmarshal(append(head[:n], rest...), &sent); err != nil || len(sent.Messages) != 1 {
			t.Errorf("a body arrived that is none: %v, %.200q", err, append(head[:n], rest...))
			return
		}
		mark, _, _ := strings.Cut(sent.Messages[0].Content, " ")
		mark += " "
		if text := sent.Messages[0].Content; text != strings.Repeat(mark, len(text)/len(mark)) {
			t.Errorf("the prompt of %q holds something else, too", mark)
		}
		if gone, ok := leave.Load(mark); ok {
			gone.(context.CancelFunc)()
			<-req.Context().Done()
			return
		}
		contentType, answer := "application/json", completion
		if sent.Stream {
			contentType, answer = "text/event-stream", sse
		}
		reply(contentType, strings.Replace(answer, `"content":"Hi`, `"content":"`+mark, 1))(w, req)
	}
	r := newRig(t, up, nil)
	models := r.server.Gateway.Models
	found, err := models.Find(t.Context(), "openai/gpt-4o", catalog.Chat)
	if err != nil {
		t.Fatal(err)
	}
	openai := gateway.Instance{Name: "openai", Kind: "openai", Catalog: "openai", Chats: true, Chat: found.Group.Targets[0].Of.(*gateway.Target).Chat}
	place := func(model string) gateway.Place { return gateway.Place{Provider: "openai", Model: model, Weight: 1} }
	models.Use(gateway.Set{Instances: []gateway.Instance{openai}, Models: []gateway.Public{
		{Name: "racers", Policy: router.Policy{Strategy: router.Race, Parallel: 3}, Places: []gateway.Place{place("gpt-4o"), place("gpt-4o-mini"), place("gpt-4.1")}},
		{Name: "unlucky", Policy: router.Policy{Strategy: router.Priority, LastResort: true}, Places: []gateway.Place{place("gpt-4.1"), place("gpt-4o")}},
	}})

	ask := func(i int, model string, stream, leaves bool) {
		mark := fmt.Sprintf("sender-%04d ", i)
		body := fmt.Sprintf(`{"model":%q,"stream":%v,"messages":[{"role":"user","content":"%s"}]}`, model, stream, strings.Repeat(mark, 1500+i%7*2500))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if leaves {
			leave.Store(mark, cancel)
		}
		req, err := http.NewRequestWithContext(ctx, "POST", r.url+"/ai/chat/completions", strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("Authorization", "Bearer "+r.key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			if !leaves {
				t.Error(err)
			}
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		if !leaves && (resp.StatusCode != http.StatusOK || !strings.Contains(string(text), mark)) {
			t.Errorf("%s got %d %.300s, want an answer to its own prompt", mark, resp.StatusCode, text)
		}
	}
	ways := []string{"gpt-4o", "openai/gpt-4o", "racers", "unlucky"}
	var clients sync.WaitGroup
	for worker := range 8 {
		clients.Go(func() {
			for k := range 16 {
				i := worker*100 + k
				ask(i, ways[k%len(ways)], k/4%2 == 0, k%5 == 4)
			}
		})
	}
	clients.Wait()
	if t.Failed() {
		t.Logf("log: %.3000s", r.log)
	}
}
