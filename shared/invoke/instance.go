package invoke

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// instance is a process of a function and the Runtime API that it talks to.
type instance struct {
	f       *Function
	cmd     *exec.Cmd
	server  *http.Server
	started time.Time
	init    time.Duration

	ready  chan time.Time   // the process asked for an event then
	work   chan *invocation // the answer to that
	exited chan struct{}    // closed when the process is gone; then:
	exit   error

	mu      sync.Mutex
	current *invocation
	initErr *Error // what the process said about itself before it died
}

// start starts a process and waits until it asks for its first event.
func (f *Function) start() (*instance, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	i := &instance{f: f, ready: make(chan time.Time), work: make(chan *invocation), exited: make(chan struct{})}
	i.server = &http.Server{Handler: i.api()}
	go i.server.Serve(ln)

	i.cmd = exec.Command(f.cfg.Binary, f.cfg.Args...)
	i.cmd.Env = i.env(ln.Addr().String())
	i.cmd.Stdout, i.cmd.Stderr = f.cfg.Output, f.cfg.Output
	i.cmd.WaitDelay = time.Second // for grandchildren that keep the output open
	i.started = time.Now()
	if err := i.cmd.Start(); err != nil {
		i.server.Close()
		if errors.Is(err, syscall.ENOEXEC) {
			err = fmt.Errorf("%w (it is built for another machine: make build GOARCH=…)", err)
		}
		return nil, &Error{Type: "Runtime.InvalidEntrypoint", Message: err.Error()}
	}
	go func() {
		i.exit = i.cmd.Wait()
		close(i.exited)
	}()

	f.mu.Lock()
	f.all[i] = true
	closed := f.closed
	f.mu.Unlock()
	if closed { // meanwhile, and Close has not seen the new one
		i.stop()
		return nil, ErrClosed
	}
	timer := time.NewTimer(InitTimeout)
	defer timer.Stop()
	select {
	case asked := <-i.ready:
		i.init = asked.Sub(i.started)
		i.freeze()
		return i, nil
	case <-i.exited:
		err = i.exitError()
	case <-timer.C:
		err = &Error{Type: "Sandbox.Timedout", Message: fmt.Sprintf("Error: Init timed out after %.2f seconds", InitTimeout.Seconds())}
	}
	f.put(i, false)
	return nil, err
}

func (i *instance) env(api string) []string {
	cfg := i.f.cfg
	env := append(slices.Clip(cfg.Env),
		"AWS_LAMBDA_RUNTIME_API="+api,
		"AWS_LAMBDA_FUNCTION_NAME="+cfg.Name,
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE="+strconv.Itoa(cfg.Memory),
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/"+cfg.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME=local",
		"AWS_LAMBDA_LOG_FORMAT=JSON",
		"AWS_EXECUTION_ENV=AWS_Lambda_provided.al2023",
		"_HANDLER=bootstrap",
		"TZ=:UTC",
	)
	if !slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "AWS_REGION=") }) {
		env = append(env, "AWS_REGION=us-east-1")
	}
	return env
}

// run hands inv to the process and returns when the process asks for another,
// or the error that ended the process.
func (i *instance) run(inv *invocation) error {
	i.thaw()
	timeout := i.f.cfg.Timeout
	inv.deadline = time.Now().Add(timeout)
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	i.mu.Lock()
	i.current = inv
	i.mu.Unlock()
	select {
	case i.work <- inv:
	case <-i.exited:
		return i.exitError()
	}
	select {
	case <-i.ready:
		i.freeze()
		return nil
	case <-i.exited:
		return i.exitError()
	case <-timer.C:
		return &Error{Type: "Sandbox.Timedout", Message: fmt.Sprintf("RequestId: %s Error: Task timed out after %.2f seconds", inv.id, timeout.Seconds())}
	}
}

// exitError says why the process is gone. Call it after exited.
func (i *instance) exitError() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.initErr != nil {
		return i.initErr
	}
	message := "Runtime exited without providing a reason"
	if i.exit != nil {
		message = "Runtime exited with error: " + i.exit.Error()
	}
	if i.current != nil {
		message = "RequestId: " + i.current.id + " Error: " + message
	}
	return &Error{Type: "Runtime.ExitError", Message: message}
}

func (i *instance) dead() bool {
	select {
	case <-i.exited:
		return true
	default:
		return false
	}
}

// stop kills the process and waits for it. It may be called twice.
func (i *instance) stop() {
	i.cmd.Process.Kill()
	<-i.exited
	i.server.Close()
}

func (i *instance) freeze() {
	if i.f.cfg.Freeze {
		suspend(i.cmd.Process)
	}
}

func (i *instance) thaw() {
	if i.f.cfg.Freeze {
		resume(i.cmd.Process)
	}
}
