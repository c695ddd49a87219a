package vitals

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/devmentor/ai-gateway/shared/qdranttest"
)

func TestQdrantAnswersOrNot(t *testing.T) {
	server := qdranttest.New(t)
	ask, err := pingQdrant(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := ask(t.Context()); err != nil {
		t.Errorf("a server that is well: %v", err)
	}
	server.Key = "secret"
	if err := ask(t.Context()); err != nil {
		t.Errorf("a server that wants a key: %v", err)
	}
	server.Key = ""
	server.Fail(func(string, int) error { return status.Error(codes.Internal, "ill") }, nil)
	if err := ask(t.Context()); err == nil {
		t.Error("a server that is ill is taken for well")
	}
	calls := server.Calls()
	if len(calls) != 1 || calls[0] != "Qdrant/HealthCheck" {
		t.Errorf("calls = %q", calls)
	}
}

func TestWhatIsNoQdrant(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + ln.Addr().String()
	ln.Close()
	for _, address := range []string{web.URL, closed} {
		ask, err := pingQdrant(address)
		if err != nil {
			t.Fatal(err)
		}
		if err := ask(t.Context()); err == nil || errors.Is(err, t.Context().Err()) {
			t.Errorf("%s is taken for Qdrant: %v", address, err)
		}
	}
}
