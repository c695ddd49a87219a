package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/devmentor/ai-gateway/shared/bolt"
	"github.com/devmentor/ai-gateway/shared/config"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/jsonlog"
)

// Main is the program: it serves until interrupted, or, with the argument
// "data", prints what the data directory holds.
func Main(args []string, stdout io.Writer) error {
	c, err := config.Load(os.Getenv)
	if err != nil {
		return fmt.Errorf("settings:\n%w", err)
	}
	switch {
	case len(args) == 1 && args[0] == "data":
		return bolt.Dump(stdout, c.DataDir)
	case len(args) > 0:
		return fmt.Errorf("unknown argument %q: run without arguments to serve, or with 'data' to print the data directory", args[0])
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(150) // the heap is small: rarer collections cost little memory
	}
	log := jsonlog.New(os.Stderr, c.LogLevel)
	slog.SetDefault(log) // for what the stores have to say when they open
	if names := config.Unknown(os.Environ()); len(names) > 0 {
		log.Warn("no setting has such a name", "variables", names)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, stop, c, log, stdout)
}

// run serves until ctx ends, then lets open requests finish. Giving the signal
// again ends them at once; even then their books are closed.
func run(ctx context.Context, stop func(), c config.Config, log *slog.Logger, stdout io.Writer) (err error) {
	g, err := Open(ctx, c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	ln, err := net.Listen("tcp", net.JoinHostPort(c.Addr, strconv.Itoa(c.Port)))
	switch {
	case errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w (set PORT to use another port)", err)
	case err != nil:
		return fmt.Errorf("%w (set GATEWAY_ADDR to an address of this machine)", err)
	}
	alive, kill := context.WithCancelCause(context.Background())
	defer kill(nil)
	srv := &http.Server{
		Handler:           g.Server.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return alive },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	go g.sweep(alive)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	g.greet(stdout, ln.Addr())
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	stop() // from here on a second signal has its usual effect on ctx2 below
	ctx2, stop2 := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop2()
	fmt.Fprintln(stdout, "\nFinishing open requests; interrupt again to end them now.")
	if srv.Shutdown(ctx2) != nil {
		// Streams see their context end, tell their clients, and settle. The cause
		// keeps them from taking it for a client that left.
		kill(fault.New(fault.Unavailable, "The gateway is shutting down."))
		last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if srv.Shutdown(last) != nil {
			srv.Close()
		}
	}
	fmt.Fprintln(stdout, "Bye.")
	return nil
}

// sweep settles the leases of dead requests, as the scheduled function does in
// the cloud.
func (g *Gateway) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			gateway.SweepExpired(ctx, g.store, g.Server.Log, now) // logs its own failures
		}
	}
}

// greet prints what a newcomer needs: an address, a key, a line that works.
func (g *Gateway) greet(w io.Writer, addr net.Addr) {
	host := addr.String()
	if t, ok := addr.(*net.TCPAddr); ok && (t.IP.IsLoopback() || t.IP.IsUnspecified()) {
		host = "localhost:" + strconv.Itoa(t.Port)
	}
	base := "http://" + host + "/ai"
	fmt.Fprintf(w, "\nAI gateway %s\n\n  base URL   %s\n", config.Version(), base)
	key := "$GATEWAY_KEY"
	if g.Dev.Key != "" {
		key = g.Dev.Key
		fmt.Fprintf(w, "  API key    %s\n", key)
	}
	if g.Dev.AdminKey != "" {
		fmt.Fprintf(w, "  admin key  %s\n", g.Dev.AdminKey)
	}
	names := g.Server.Gateway.Models.Configured()
	fmt.Fprintf(w, "  providers  %s\n", strings.Join(names, ", "))
	if len(names) == 1 && names[0] == "echo" {
		fmt.Fprintln(w, "             (offline stand-in only: set OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY or AWS credentials for real models)")
	}
	fmt.Fprintf(w, "\nTry it:\n\n  curl -N %s/chat/completions -H \"Authorization: Bearer %s\" -H 'Content-Type: application/json' \\\n"+
		"    -d '{\"model\":\"echo\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"Hello!\"}]}'\n\n", base, key)
}
