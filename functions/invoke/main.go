// Command invoke runs the built Lambda functions without Lambda and Docker.
//
//	invoke -f build/chat/bootstrap -e events/chat.json   send one event, print the answer as it comes
//	invoke -listen 127.0.0.1:3002                        serve template.yaml's API with the functions in build/
//	invoke -dev -f … -e … | invoke -dev -listen …        with accounts in DynamoDB Local, and a key that works
//	invoke -f build/chat/bootstrap -cold 20              measure the start: exec to the first request for an event
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/devmentor/ai-gateway/shared/invoke"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "invoke:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("invoke", flag.ContinueOnError)
	fs.SetOutput(stderr)
	var (
		binary   = fs.String("f", "", "the function's `bootstrap`")
		event    = fs.String("e", "", "`file` with the event to send; - is standard input")
		cold     = fs.Int("cold", 0, "start the function `n` times and print how long it takes")
		listen   = fs.String("listen", "", "serve the template's API on this `address`")
		template = fs.String("template", "template.yaml", "the SAM template that names the routes")
		build    = fs.String("build", "build", "`folder` with the functions, as NAME/bootstrap")
		stage    = fs.String("stage", "", "first segment of every path, as API Gateway has it; functions never see it")
		n        = fs.Int("n", 4, "processes per function")
		timeout  = fs.Duration("timeout", 15*time.Minute, "for one invocation")
		local    = fs.Bool("dev", false, "keep accounts in DynamoDB Local, and put a working key into the event")
		freeze   = fs.Bool("freeze", false, "stop processes between invocations, as Lambda does")
	)
	if err := fs.Parse(args); err != nil {
		return err
	}
	cfg := invoke.Config{Binary: *binary, Timeout: *timeout, Concurrency: *n, Freeze: *freeze, Output: stderr}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	b := &backend{}
	if *local {
		var err error
		if b, err = dev(ctx); err != nil {
			return err
		}
		cfg.Env = b.env
	}
	switch {
	case *listen != "":
		if b.key != "" {
			fmt.Fprintf(stderr, "API key    %s\nadmin key  %s\n", b.key, b.adminKey)
		}
		return serve(ctx, cfg, *listen, *template, *build, *stage, stderr)
	case *binary == "":
		return errors.New("say -f build/NAME/bootstrap, or -listen ADDRESS; -h tells more")
	case *cold > 0:
		return coldStarts(ctx, cfg, *cold, stdout)
	case *event == "":
		return errors.New("say -e FILE with the event to send, e.g. events/chat.json")
	}
	text, err := readEvent(*event)
	if err != nil {
		return err
	}
	return once(ctx, cfg, b.fill(text), stdout, stderr)
}

// once sends one event. The head goes to stderr, the body to stdout.
func once(ctx context.Context, cfg invoke.Config, event []byte, stdout, stderr io.Writer) error {
	f := invoke.New(cfg)
	defer f.Close()
	resp, err := f.Invoke(ctx, event)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.Status != 0 {
		fmt.Fprintln(stderr, resp.Status, http.StatusText(resp.Status))
		resp.Header.Write(stderr)
		fmt.Fprintln(stderr)
	}
	_, err = io.Copy(stdout, resp.Body)
	fmt.Fprintln(stderr) // whoever sees both gets lines; the body stays what it was
	return err
}

func readEvent(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(file)
}

// serve is the API Gateway of this machine.
func serve(ctx context.Context, cfg invoke.Config, addr, template, build, stage string, stderr io.Writer) error {
	text, err := os.ReadFile(template)
	if err != nil {
		return err
	}
	t, err := invoke.ReadTemplate(text)
	if err != nil {
		return err
	}
	var missing error
	api := t.API(func(name string) *invoke.Function {
		cfg := cfg
		cfg.Name, cfg.Binary = name, filepath.Join(build, name, "bootstrap")
		if _, err := os.Stat(cfg.Binary); err != nil {
			missing = cmp.Or(missing, fmt.Errorf("%w (make build comes first)", err))
		}
		return invoke.New(cfg)
	})
	if missing != nil {
		return missing
	}
	api.Stage = stage
	defer func() {
		for _, r := range api.Routes {
			r.Function.Close()
		}
	}()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	base := "http://" + ln.Addr().String()
	if stage != "" {
		base += "/" + stage
	}
	fmt.Fprintln(stderr, "serving", base+"/ai")
	server := &http.Server{Handler: api, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn)}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// coldStarts prints the least, the median and the longest of n starts.
func coldStarts(ctx context.Context, cfg invoke.Config, n int, stdout io.Writer) error {
	took := make([]time.Duration, n)
	for i := range took {
		f := invoke.New(cfg)
		d, err := f.Warm(ctx)
		f.Close()
		if err != nil {
			return err
		}
		took[i] = d
	}
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	_, err := fmt.Fprintf(stdout, "%s: min %.1f ms, median %.1f ms, max %.1f ms of %d starts\n", cfg.Binary, ms(took[0]), ms(took[n/2]), ms(took[n-1]), n)
	return err
}
