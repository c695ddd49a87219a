// Command load compares the gateway, with everything on, to the upstream asked
// directly and to a minimal Go reverse proxy, in one run on one machine. It is
// what "make bench" prints. Times on shared machines are noisy: read the
// ratios.
//
// One program plays all parts: the upstream (zero delay) and the client here,
// the proxy in a child process. Proxy and gateway are pinned to one core, the
// rest to another, so that CPU time is comparable.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	conns  = 32
	chunks = 100
	rounds = 5
)

func main() {
	proxy := flag.String("proxy", "", "be the reverse proxy to this upstream, on standard input's word")
	small := flag.Int("n", 6000, "requests per round")
	memory := flag.Int("memory", 100_000, "requests of the memory test; 0 skips it")
	gateway := flag.String("gateway", "bin/gateway", "the gateway's binary")
	only := flag.String("only", "", "make only the comparisons whose name contains this")
	flag.Parse()
	if *proxy != "" {
		beProxy(*proxy)
		return
	}
	if err := run(*gateway, *small, *memory, *only); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func beProxy(to string) {
	u, err := url.Parse(to)
	if err != nil {
		panic(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(ln.Addr())
	p := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(u) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
	}
	http.Serve(ln, p)
}

func run(gatewayPath string, n, memory int, only string) error {
	up, err := startUpstream()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	proxy, err := start(self, []string{"-proxy", up}, nil, firstLine)
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	defer proxy.stop()
	dir, err := os.MkdirTemp("", "gateway-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	port, err := freePort()
	if err != nil {
		return err
	}
	gw, err := start(gatewayPath, nil, []string{"PORT=" + port, "GATEWAY_DATA_DIR=" + dir, "OPENAI_BASE_URL=" + up + "/v1", "OPENAI_API_KEY=sk-bench"},
		func(io.Reader) (string, error) { return "127.0.0.1:" + port, waitFor("127.0.0.1:" + port) })
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	defer gw.stop()
	key, err := limitedKey("http://"+gw.addr, dir)
	if err != nil {
		return err
	}
	targets := []target{
		{"direct", up + "/v1/chat/completions", "", nil},
		{"proxy", "http://" + proxy.addr + "/v1/chat/completions", "", proxy},
		{"gateway", "http://" + gw.addr + "/ai/chat/completions", key, gw},
	}
	small := body(300, false)
	large := body(50_000, false)
	compare := func(name string, body []byte, n, c int, figure func(result) float64, format string) {
		if strings.Contains(name, only) {
			compare(name, targets, body, n, c, figure, format)
		}
	}
	fmt.Printf("%-34s %12s %12s %12s %10s\n", "", "direct", "proxy", "gateway", "gw/proxy")
	for _, sc := range []struct {
		name       string
		body       []byte
		n, c       int
		perRequest float64
		unit       string
	}{
		{"small request, 32 connections", small, n, conns, 1, "CPU µs/request"},
		{"stream of 100 chunks, 32 conn.", body(300, true), n / 6, conns, chunks, "CPU µs/chunk"},
		{"50 KB prompt, 32 connections", large, n / 3, conns, 1, "CPU µs/request"},
	} {
		compare(sc.name+" ("+sc.unit+")", sc.body, sc.n, sc.c, func(r result) float64 { return r.cpu / float64(r.n) / sc.perRequest * 1e6 }, "%.1f")
	}
	compare("small request, alone (p50 ms)", small, n/6, 1, func(r result) float64 { return r.quantile(0.5) }, "%.3f")
	compare("50 KB prompt, alone (p50 ms)", large, n/6, 1, func(r result) float64 { return r.quantile(0.5) }, "%.3f")
	compare("small request, 500/s (p99 ms)", small, n/4, -500, func(r result) float64 { return r.quantile(0.99) }, "%.2f")
	if memory > 0 {
		for _, at := range []int{memory / 10, memory * 9 / 10} {
			if _, err := fire(targets[2], small, at, conns); err != nil {
				return err
			}
			// What is anonymous is memory in use; the rest is pages of the program and
			// of the ledger's file, which the kernel takes back when it needs them.
			for _, kind := range []string{"resident", "anonymous"} {
				fmt.Printf("%-34s %12s %12.1f %12.1f\n", fmt.Sprintf("%s MB after +%d requests", kind, at), "", proxy.memory(kind), gw.memory(kind))
			}
		}
	}
	return nil
}

type target struct {
	name, url, key string
	child          *child
}

// compare runs the targets in turn, round by round, and prints the medians.
func compare(name string, targets []target, body []byte, n, c int, figure func(result) float64, format string) {
	values := make([][]float64, len(targets))
	for range rounds {
		for i, t := range targets {
			r, err := fire(t, body, n, c)
			if err != nil {
				fmt.Fprintln(os.Stderr, t.name, err)
				os.Exit(1)
			}
			values[i] = append(values[i], figure(r))
		}
	}
	var ratios []float64
	for i := range values[1] {
		ratios = append(ratios, values[2][i]/values[1][i])
	}
	fmt.Printf("%-34s", name)
	for i := range values {
		if targets[i].child == nil && strings.Contains(name, "CPU") {
			fmt.Printf(" %12s", "")
			continue
		}
		fmt.Printf(" %12s", fmt.Sprintf(format, median(values[i])))
	}
	fmt.Printf(" %10.2f\n", median(ratios))
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

type result struct {
	n       int
	cpu     float64 // seconds of the child's
	latency []time.Duration
}

func (r result) quantile(q float64) float64 {
	l := slices.Sorted(slices.Values(r.latency))
	return float64(l[min(len(l)-1, int(q*float64(len(l))))].Microseconds()) / 1e3
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}}

// fire sends n requests over c connections, or, if c is negative, at -c per
// second.
func fire(t target, body []byte, n, c int) (result, error) {
	r := result{n: n, latency: make([]time.Duration, n)}
	var cpu float64
	if t.child != nil {
		cpu = t.child.cpu()
	}
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	begin := time.Now()
	workers := c
	if c < 0 {
		workers = 2 * conns
	}
	for range workers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n || failed.Load() != nil {
					return
				}
				start := time.Now()
				if c < 0 { // latency counts from the moment at which the request was due
					start = begin.Add(time.Duration(i) * time.Second / time.Duration(-c))
					time.Sleep(time.Until(start))
				}
				if err := one(t, body); err != nil {
					failed.Store(&err)
				}
				r.latency[i] = time.Since(start)
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return r, *err
	}
	if t.child != nil {
		r.cpu = t.child.cpu() - cpu
	}
	return r, nil
}

func one(t target, body []byte) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+t.key)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("status %d: %s", resp.StatusCode, text)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func body(size int, stream bool) []byte {
	b, err := json.Marshal(map[string]any{"model": "gpt-4o-mini", "stream": stream, "max_tokens": 256,
		"messages": []map[string]string{{"role": "system", "content": "Be brief."}, {"role": "user", "content": strings.Repeat("The quick brown fox jumps over the lazy dog.\n", size/45)}}})
	if err != nil {
		panic(err)
	}
	return b
}

// limitedKey makes a user with every kind of limit, so that all of admission is
// at work, and returns a key.
func limitedKey(base, dir string) (string, error) {
	var dev struct {
		AdminKey string `json:"admin_key"`
	}
	text, err := os.ReadFile(filepath.Join(dir, "dev.json"))
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(text, &dev); err != nil {
		return "", err
	}
	var k struct{ Key string }
	for _, call := range [][2]string{
		{"/admin/users", `{"id":"bench","limits":{"requests_per_second":100000,"burst":100000,"tokens_per_minute":1000000000000,"max_parallel":256},"budgets":[{"period":"day","usd":900000},{"period":"month","usd":900000}]}`},
		{"/admin/users/bench/keys", `{}`},
	} {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, base+call[0], strings.NewReader(call[1]))
		if err != nil {
			return "", err
		}
		req.Header.Set("Authorization", "Bearer "+dev.AdminKey)
		resp, err := client.Do(req)
		if err != nil {
			return "", err
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusCreated {
			return "", fmt.Errorf("%s: %d %s", call[0], resp.StatusCode, text)
		}
		if err := json.Unmarshal(text, &k); err != nil {
			return "", err
		}
	}
	return k.Key, nil
}

// startUpstream serves OpenAI's protocol, at once and always the same.
func startUpstream() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	answer := []byte(`{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":"The dog did not mind.","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":90,"completion_tokens":6,"total_tokens":96}}`)
	chunk := []byte("data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n")
	end := []byte("data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":null}\n\n" +
		"data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[],\"usage\":{\"prompt_tokens\":90,\"completion_tokens\":100,\"total_tokens\":190}}\n\ndata: [DONE]\n\n")
	go http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if !bytes.Contains(b, []byte(`"stream":true`)) {
			w.Header().Set("Content-Type", "application/json")
			w.Write(answer)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		rc := http.NewResponseController(w)
		for range chunks {
			w.Write(chunk)
			rc.Flush()
		}
		w.Write(end)
	}))
	return "http://" + ln.Addr().String(), nil
}

// child is a process under test.
type child struct {
	cmd  *exec.Cmd
	addr string
}

func start(path string, args, env []string, address func(io.Reader) (string, error)) (*child, error) {
	if !filepath.IsAbs(path) && !strings.HasPrefix(path, ".") {
		path = "./" + path
	}
	argv := append([]string{path}, args...)
	if taskset, err := exec.LookPath("taskset"); err == nil {
		argv = append([]string{taskset, "-c", "1"}, argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0) // the gateway's log is written, and thrown away by the kernel
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd}
	if c.addr, err = address(out); err != nil {
		c.stop()
		return nil, err
	}
	go io.Copy(io.Discard, out)
	return c, nil
}

func (c *child) stop() {
	c.cmd.Process.Signal(os.Interrupt)
	timer := time.AfterFunc(5*time.Second, func() { c.cmd.Process.Kill() })
	c.cmd.Wait()
	timer.Stop()
}

// cpu is the seconds of CPU that the child has used, from /proc.
func (c *child) cpu() float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", c.cmd.Process.Pid))
	total := 0.0
	if tasks, terr := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", c.cmd.Process.Pid)); terr == nil && len(tasks) > 0 {
		for _, t := range tasks {
			if b, err = os.ReadFile(t); err == nil {
				ns, _ := strconv.ParseFloat(strings.Fields(string(b))[0], 64)
				total += ns / 1e9
			}
		}
		return total
	}
	return 0
}

// memory is what the child has in memory, in MB: all of it, or what is anonymous.
func (c *child) memory(kind string) float64 {
	name := map[string]string{"resident": "VmRSS:", "anonymous": "RssAnon:"}[kind]
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(b), name)
	kb, _ := strconv.ParseFloat(strings.Fields(rest + " 0")[0], 64)
	return kb / 1024
}

func firstLine(r io.Reader) (string, error) {
	var line []byte
	for b := make([]byte, 1); ; {
		if _, err := r.Read(b); err != nil {
			return "", err
		}
		if b[0] == '\n' {
			return string(line), nil
		}
		line = append(line, b[0])
	}
}

func freePort() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	return port, err
}

func waitFor(addr string) error {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return nil
		}
	}
	return fmt.Errorf("%s does not answer", addr)
}
