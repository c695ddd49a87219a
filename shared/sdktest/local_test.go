package sdktest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/usage"
)

// process is the single process, on a data directory.
type process struct {
	up     *fake
	dir    string
	env    []string
	cmd    *exec.Cmd
	stdout *output
	stderr *output
	root   string
	dev    struct {
		User, Key string
		Admin     string `json:"admin_key"`
	}
	exited chan struct{} // closed at its end; then:
	err    error
}

// providers are the settings that point every provider at the fake.
func providers(up *fake) []string {
	return []string{
		"OPENAI_API_KEY=" + openaiKey, "OPENAI_BASE_URL=" + up.URL + "/openai/v1",
		"ANTHROPIC_API_KEY=" + anthropicKey, "ANTHROPIC_BASE_URL=" + up.URL + "/anthropic",
		"GEMINI_API_KEY=" + geminiKey, "GEMINI_BASE_URL=" + up.URL + "/gemini/",
		"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=" + bedrockID, "AWS_SECRET_ACCESS_KEY=" + bedrockSecret,
		"AWS_ENDPOINT_URL_BEDROCK_RUNTIME=" + up.URL + "/bedrock",
	}
}

// startProcess starts one with a fake of its own, and further settings; start
// starts it again.
func startProcess(t testing.TB, env ...string) (*process, *site) {
	t.Helper()
	if err := buildLocal(); err != nil {
		t.Fatal(err)
	}
	dir, up := t.TempDir(), startFake(t)
	p := &process{up: up, dir: filepath.Join(dir, "data"), stdout: newOutput(), stderr: newOutput()}
	p.env = append(providers(up), "HOME="+dir, "PATH="+os.Getenv("PATH"), "PORT=0", "GATEWAY_DATA_DIR="+p.dir)
	p.env = append(p.env, env...)
	t.Cleanup(func() {
		if p.exited != nil {
			p.kill()
		}
	})
	p.start(t)
	return p, p.site()
}

var greeting = regexp.MustCompile(`base URL +(http://\S+)/ai\n`)

func (p *process) start(t testing.TB) {
	t.Helper()
	p.stdout, p.exited = newOutput(), make(chan struct{})
	p.cmd = exec.Command(filepath.Join(programs, "local"))
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = p.env, p.stdout, p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	defer func() {
		if t.Failed() {
			t.Log(p.stderr.String())
		}
	}()
	m := greeting.FindStringSubmatch(p.stdout.wait(t, "Try it:", p.exited))
	if m == nil {
		t.Fatalf("the greeting names no base URL: %s", p.stdout)
	}
	p.root = m[1]
	text, err := os.ReadFile(filepath.Join(p.dir, "dev.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &p.dev); err != nil || p.dev.Key == "" || p.dev.Admin == "" {
		t.Fatalf("dev.json = %s, %v", text, err)
	}
}

func (p *process) interrupt(t testing.TB) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
}

// end waits for the end of an interrupted process, which must be a good one.
func (p *process) end(t testing.TB) {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatalf("the process does not end; it printed %s%s", p.stdout, p.stderr)
	}
	if p.err != nil || !strings.Contains(p.stdout.String(), "Bye.") {
		t.Errorf("the process ended with %v; it printed %s%s", p.err, p.stdout, p.stderr)
	}
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.exited
}

func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// records reads the ledger with the program itself; the process must be gone.
func (p *process) records(t testing.TB) (list []usage.Record) {
	t.Helper()
	cmd := exec.Command(filepath.Join(programs, "local"), "data")
	cmd.Env = p.env
	out, err := cmd.Output()
	if err != nil {
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			out = e.Stderr
		}
		t.Fatalf("data: %v: %s", err, out)
	}
	_, ledger, ok := bytes.Cut(out, []byte("\nLEDGER\n"))
	if !ok {
		t.Fatalf("data printed no ledger: %s", out)
	}
	for line := range strings.Lines(string(ledger)) {
		if strings.Contains(line, "in the journal still") {
			t.Errorf("not in the ledger after an orderly end: %s", line)
		}
		var r usage.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("ledger line %q: %v", line, err)
		}
		list = append(list, r)
	}
	return list
}

// site makes a site of a started process.
func (p *process) site() *site {
	s := &site{name: "local", root: p.root, admin: p.dev.Admin, up: p.up, logs: p.stderr.String}
	s.stop = func(t testing.TB) {
		if p.running() {
			p.interrupt(t)
		}
		p.end(t)
	}
	s.records = func(t testing.TB) []usage.Record {
		s.stop(t)
		return p.records(t)
	}
	return s
}

// startLocal starts the single process with a user "ana" and further settings.
func startLocal(t testing.TB, env ...string) *site {
	t.Helper()
	p, s := startProcess(t, env...)
	s.key = s.user(t, "ana", nil)
	s.keys = append(s.keys, p.dev.Key)
	return s
}
