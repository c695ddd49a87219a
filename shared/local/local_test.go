package local_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/config"
	"github.com/devmentor/ai-gateway/shared/local"
)

// TestReadyWithoutQdrant: a load balancer must not take away a gateway whose
// chat works, because its documents cannot be had.
func TestReadyWithoutQdrant(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close() // nobody is there
	settings := map[string]string{"GATEWAY_DATA_DIR": t.TempDir(), "QDRANT_URL": "http://" + ln.Addr().String()}
	c, err := config.Load(func(name string) string { return settings[name] })
	if err != nil {
		t.Fatal(err)
	}
	g, err := local.Open(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	answer := httptest.NewRecorder()
	g.Server.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/health/ready", nil))
	var page struct {
		Checks []struct {
			Name, Status string
			Optional     bool
		}
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &page); err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, check := range page.Checks {
		seen[check.Name] = check.Status
	}
	if answer.Code != http.StatusOK || seen["store"] != "ok" || seen["qdrant"] != "down" {
		t.Errorf("ready = %d %s, want 200 with qdrant down", answer.Code, answer.Body)
	}
}

// TestWhereItCannotListen: the complaint names the setting that is to be changed.
func TestWhereItCannotListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for addr, want := range map[string]string{"127.0.0.1": "set PORT", "192.0.2.1": "set GATEWAY_ADDR"} { // the second is for documentation
		t.Setenv("GATEWAY_DATA_DIR", t.TempDir())
		t.Setenv("GATEWAY_ADDR", addr)
		t.Setenv("PORT", strconv.Itoa(taken.Addr().(*net.TCPAddr).Port))
		if err := local.Main(nil, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("on %s: %v, want %q", addr, err, want)
		}
	}
}
