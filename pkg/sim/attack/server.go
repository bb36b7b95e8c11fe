package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"drpd/pkg/sim/lab"
	"drpd/pkg/sim/overlay"
)

// build makes drpd, broken if edits say so.
func build(ctx context.Context, dir string, edits ...overlay.Edit) (string, error) {
	to := filepath.Join(dir, "drpd")
	args := []string{"build", "-trimpath", "-ldflags", "-s -w", "-o", to}
	if len(edits) > 0 {
		list, err := overlay.Write(dir, edits...)
		if err != nil {
			return "", err
		}
		args = append(args, "-overlay", list)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/drpd")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build drpd: %w: %.600s", err, out)
	}
	return to, nil
}

// process is a drpd in a namespace.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed at its end
	out  *output
}

// output keeps what a process says, and tells of the line that says it serves.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	ready chan struct{}
	said  bool
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len() < 4<<20 {
		o.text.Write(p)
	}
	if !o.said && strings.Contains(o.text.String(), "ready: ") {
		o.said = true
		close(o.ready)
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// start runs a program in a namespace, until stop.
func start(namespace, program string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(program, args...), done: make(chan struct{}), out: &output{ready: make(chan struct{})}}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// A child has the namespace of the thread that made it.
	if err := lab.Inside(namespace, p.cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	go func() { defer close(p.done); _ = p.cmd.Wait() }()
	return p, nil
}

// startWithin bounds a start on a machine that has much else to do.
const startWithin = 3 * time.Minute

// serves waits until it serves (true) or has ended (false).
func (p *process) serves(ctx context.Context) (bool, error) {
	select {
	case <-p.out.ready:
		return true, nil
	case <-p.done:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	case <-time.After(startWithin):
		return false, fmt.Errorf("drpd neither served nor ended within %s: %.400s", startWithin, p.out)
	}
}

// stop ends it and what it started; only that, by its process group.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	}
}

// local runs one of drpd's commands at the data directory.
func local(ctx context.Context, program string, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("drpd %s: %w: %.300s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// serve starts a server with DHCP on the bridge and logs in to it.
func (e *env) serve(ctx context.Context) error {
	data := filepath.Join(e.dir, "data")
	p, err := start(e.net.server(), e.program, "--data-dir", data, "--dhcp-interface", "br0", "--address", serverAddr)
	if err != nil {
		return err
	}
	e.process = p
	up, err := p.serves(ctx)
	if err != nil || !up {
		return errors.Join(err, fmt.Errorf("drpd did not start: %s", tail(p.out.String())))
	}
	out, err := local(ctx, e.program, nil, "first-password", "--data-dir", data)
	if err != nil {
		return err
	}
	a := &actor{e: e, http: through(e.net.server(), noAddr)}
	if e.admin, err = a.login(ctx, firstUser, strings.TrimSpace(out)); err != nil {
		return err
	}
	return e.prepare(ctx)
}

func tail(s string) string { return s[max(len(s)-800, 0):] }
