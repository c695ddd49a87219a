package local_test

import (
	"bytes"
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

// TestSettingsThatNameNoModel are told when the program starts.
func TestSettingsThatNameNoModel(t *testing.T) {
	for _, tc := range []struct {
		variable, model, want string // "" for no complaint
	}{
		{"GATEWAY_EMBEDDING_MODEL", "text-embedding-9", "does not exist here"},
		{"GATEWAY_EMBEDDING_MODEL", "openai/text-embedding-3-small", "Set OPENAI_API_KEY"},
		{"GATEWAY_EMBEDDING_MODEL", "echo", ""},
		{"GATEWAY_CODE_MODEL", "gpt-nine", "does not exist here"},
		{"GATEWAY_CODE_MODEL", "echo", ""},
	} {
		settings := map[string]string{"GATEWAY_DATA_DIR": t.TempDir(), tc.variable: tc.model}
		c, err := config.Load(func(name string) string { return settings[name] })
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		g, err := local.Open(t.Context(), c, slog.New(slog.NewTextHandler(&out, nil)))
		if err != nil {
			t.Fatal(err)
		}
		g.Close()
		if got := out.String(); strings.Contains(got, tc.variable) != (tc.want != "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s=%s: the log says %q, want %q", tc.variable, tc.model, got, tc.want)
		}
	}
}
