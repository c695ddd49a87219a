package vitals

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestOptionalServicesAreListed: the one that is set is asked, and the gateway
// is ready without it.
func TestOptionalServicesAreListed(t *testing.T) {
	status := 200
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			t.Errorf("asked %s", r.URL)
		}
		w.WriteHeader(status)
	}))
	defer service.Close()
	t.Setenv("QDRANT_URL", "")
	t.Setenv("PROJECT_SERVICE_URL", "")
	s, err := Open(t.Context())
	if err != nil || len(s.Ready) != 1 || s.Ready[0].Name != "store" || s.Ready[0].Optional {
		t.Fatalf("Ready = %+v, %v, want the store alone", s.Ready, err)
	}
	t.Setenv("PROJECT_SERVICE_URL", service.URL)
	if s, err = Open(t.Context()); err != nil || len(s.Ready) != 2 || s.Ready[1].Name != "project service" || !s.Ready[1].Optional {
		t.Fatalf("Ready = %+v, %v", s.Ready, err)
	}
	if err := s.Ready[1].Ask(t.Context()); err != nil {
		t.Errorf("a service that is well: %v", err)
	}
	t.Setenv("QDRANT_URL", "http://127.0.0.1:1")
	if s, err = Open(t.Context()); err != nil || len(s.Ready) != 3 || s.Ready[1].Name != "qdrant" || !s.Ready[1].Optional {
		t.Errorf("Ready = %+v, %v", s.Ready, err)
	}
	t.Setenv("QDRANT_URL", "")
	if s, err = Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	status = 500
	if err := s.Ready[1].Ask(t.Context()); err == nil {
		t.Error("a service that is ill is taken for well")
	}
	t.Setenv("PROJECT_SERVICE_URL", "http://host?x=1")
	if _, err := Open(t.Context()); err == nil {
		t.Error("an address with a query is taken")
	}
}
