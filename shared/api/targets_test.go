package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/catalog"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/router"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// TestTheAnswerSaysWhoSpoke follows a public model from a target that fails to
// one that answers, through headers, body, ledger and readiness.
func TestTheAnswerSaysWhoSpoke(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		body := make([]byte, 1<<16)
		n, _ := req.Body.Read(body)
		if strings.Contains(string(body[:n]), `"gpt-4o"`) {
			http.Error(w, `{"error":{"message":"overloaded"}}`, http.StatusServiceUnavailable)
			return
		}
		reply("application/json", completion)(w, req)
	}, nil)
	models := r.server.Gateway.Models
	found, err := models.Find(t.Context(), "openai/gpt-4o", catalog.Chat)
	if err != nil {
		t.Fatal(err)
	}
	openai := gateway.Instance{Name: "openai", Kind: "openai", Catalog: "openai", Chats: true, Chat: found.Group.Targets[0].Of.(*gateway.Target).Chat}
	models.Use(gateway.Set{Instances: []gateway.Instance{openai}, Models: []gateway.Public{{Name: "tutor", Policy: router.Policy{Strategy: router.Priority},
		Places: []gateway.Place{{Provider: "openai", Model: "gpt-4o", Weight: 1}, {Provider: "openai", Model: "gpt-4o-mini", Weight: 1}}}}})
	r.server.Targets = models.Router.States

	got := r.chat(strings.Replace(hello, "gpt-4o-mini", "tutor", 1))
	if got.status != 200 || got.header.Get("X-Gateway-Provider") != "openai" || got.header.Get("X-Gateway-Model") != "gpt-4o-mini" ||
		got.header.Get("X-Gateway-Attempts") != "2" || got.header.Get("X-Gateway-Cost-Usd") != helloCost.USD() {
		t.Errorf("status %d, headers %v, want gpt-4o-mini at the second attempt", got.status, got.header)
	}
	recs := r.records("ana")
	if len(recs) != 1 || recs[0].Asked != "tutor" || recs[0].Cost != helloCost || len(recs[0].Tried) != 2 {
		t.Fatalf("records %+v, want one with two attempts", recs)
	}
	if first := recs[0].Tried[0]; first != (usage.Attempt{Provider: "openai", Model: "gpt-4o", Status: 503, Error: "unavailable"}) {
		t.Errorf("first attempt %+v, want the 503", first)
	}
	if page := r.do("GET", "/health/ready", "").body; !strings.Contains(page, `{"target":"openai/gpt-4o","state":"closed","calls":1,"failures":1,"in_flight":0}`) {
		t.Errorf("readiness %s, want the failed call", page)
	}
	if list := r.do("GET", "/ai/models", "").body; !strings.Contains(list, `{"id":"tutor","object":"model"`) {
		t.Errorf("models %s, want tutor", list)
	}
	if one := r.do("GET", "/ai/models/tutor", ""); one.status != 200 || !strings.Contains(one.body, `"id":"tutor"`) {
		t.Errorf("model %d %s, want tutor", one.status, one.body)
	}
}
