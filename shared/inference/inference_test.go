package inference_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/config"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/inference"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

// stored resolves the one reference that there is.
func stored(ref string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		return map[string]string{"ssm:/ai-gateway/projects": "the-key"}[ref], nil
	}
}

func TestAFunctionGetsItsProjects(t *testing.T) {
	calls := 0
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls++; r.Header.Get("Authorization") != "Bearer the-key" || r.URL.Path != "/base/v1/projects/pump/context" {
			t.Errorf("the service is asked %s with %v", r.URL, r.Header)
		}
		io.WriteString(w, `{"context":"known"}`)
	}))
	defer service.Close()
	transport := upstream.NewTransport()
	defer transport.CloseIdleConnections()
	s := &api.Server{Gateway: &gateway.Gateway{}}
	c := config.Config{ProjectURL: service.URL + "/base", ProjectKey: "ssm:/ai-gateway/projects"}
	if err := inference.UseProjects(s, c, stored, transport); err != nil || calls != 0 {
		t.Fatalf("UseProjects = %v after %d calls, want none", err, calls)
	}
	if text, err := s.Gateway.Projects.Context(t.Context(), "ana", "id", "pump"); text != "known" || err != nil {
		t.Errorf("Context = %q, %v", text, err)
	}
}

func TestAFunctionWithoutProjects(t *testing.T) {
	s := &api.Server{Gateway: &gateway.Gateway{}}
	if err := inference.UseProjects(s, config.Config{}, stored, nil); err != nil || s.Gateway.Projects != nil {
		t.Errorf("UseProjects = %v, and Projects are %v, want none", err, s.Gateway.Projects)
	}
	err := inference.UseProjects(s, config.Config{ProjectURL: "http://ana:pw@host"}, stored, nil)
	if err == nil || !strings.HasPrefix(err.Error(), "PROJECT_SERVICE_URL: ") || strings.Contains(err.Error(), "pw") || s.Gateway.Projects != nil {
		t.Errorf("UseProjects = %v, and Projects are %v", err, s.Gateway.Projects)
	}
}
