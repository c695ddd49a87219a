package sdktest_test

import (
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/dynamo"
	"github.com/devmentor/ai-gateway/shared/dynamotest"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/invoke"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// lambdaProcesses is how many of each function run at a time; more requests
// wait.
const lambdaProcesses = 4

// startLambda starts the Lambda functions behind the API of template.yaml,
// with their tables in DynamoDB Local, a user "ana", and further settings.
func startLambda(t testing.TB, env ...string) *site {
	t.Helper()
	endpoint := dynamotest.Endpoint(t)
	if err := buildLambda(); err != nil {
		t.Fatal(err)
	}
	up := startFake(t)
	db, state, ledger := dynamotest.ClientOf(endpoint), dynamotest.Table("state"), dynamotest.Table("ledger")
	if err := dynamo.CreateTables(t.Context(), db, state, ledger); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	template, err := invoke.ReadTemplate(text)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{name: "lambda", admin: "gwadmin-of-these-tests-0123456789", up: up}
	env = append(env, providers(up)...)
	env = append(env, "PATH="+os.Getenv("PATH"), "HOME="+t.TempDir(), "SSL_CERT_DIR=/none",
		"GATEWAY_STORE=dynamodb", "AWS_ENDPOINT_URL_DYNAMODB="+endpoint, "STATE_TABLE="+state, "LEDGER_TABLE="+ledger,
		"GATEWAY_KEY_PEPPER="+pepper, "GATEWAY_ADMIN_KEY="+s.admin)
	logs := newOutput()
	all := map[string]*invoke.Function{}
	api := template.API(func(name string) *invoke.Function {
		f := invoke.New(invoke.Config{Name: name, Binary: filepath.Join(programs, name), Env: env, Memory: 256,
			Concurrency: lambdaProcesses, Output: logs, Freeze: true})
		all[name] = f
		return f
	})
	front := httptest.NewServer(api)
	stop := sync.OnceFunc(func() {
		front.CloseClientConnections()
		front.Close()
		for _, f := range all {
			f.Close()
		}
	})
	t.Cleanup(stop)
	s.root, s.logs = front.URL, logs.String
	s.stop = func(testing.TB) { stop() }
	s.kill = func(function string) { all[function].Close() }
	s.store = dynamo.New(db, state, ledger)
	s.records = func(t testing.TB) (list []usage.Record) {
		t.Helper()
		for _, user := range s.users {
			for r, err := range s.store.Records(t.Context(), user, time.Unix(0, 0), time.Now().Add(time.Hour)) {
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, r)
			}
		}
		return list
	}
	s.key = s.user(t, "ana", nil)
	return s
}

// sweep does the scheduled job as it will be done so much later.
func (s *site) sweep(t testing.TB, later time.Duration) {
	t.Helper()
	if err := gateway.SweepExpired(t.Context(), s.store, slog.New(slog.DiscardHandler), time.Now().Add(later)); err != nil {
		t.Fatal(err)
	}
}
