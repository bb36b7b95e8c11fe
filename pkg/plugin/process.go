//go:build linux

package plugin

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/child"
)

// scratch is the directory of a process, its token, and the open program.
type scratch struct {
	dir     string
	token   string
	program *os.File
	end     func()
}

func (s *Supervisor) scratch(provider, program, plugin string) (*scratch, error) {
	f, err := s.cfg.Blobs.Open(program)
	if err != nil {
		return nil, fmt.Errorf("open the program of provider %s: %w", provider, err)
	}
	x := &scratch{program: f, end: func() {}}
	if err = f.Chmod(0o555); err == nil {
		x.dir, err = child.TempDir(s.cfg.TempDir, dirPrefix)
	}
	if err == nil {
		err = child.Own(s.cfg.User, x.dir)
	}
	if err == nil {
		x.token, x.end, err = s.cfg.Token(plugin)
	}
	if err != nil {
		x.close()
		return nil, fmt.Errorf("prepare a process of provider %s: %w", provider, err)
	}
	return x, nil
}

func (x *scratch) close() {
	x.end()
	_ = x.program.Close() // it was only read
	if x.dir != "" {
		_ = os.RemoveAll(x.dir) // the next start sweeps what is left
	}
}

// command prepares a process of a program.
func (s *Supervisor) command(x *scratch, provider string, args ...string) *exec.Cmd {
	var cmd *exec.Cmd
	if l := s.cfg.Launcher; len(l) > 0 {
		cmd = exec.Command(l[0], append(append([]string{}, l[1:]...), append([]string{provider}, args...)...)...)
	} else {
		cmd = exec.Command(programFD, args...)
	}
	cmd.Dir, cmd.ExtraFiles = x.dir, []*os.File{x.program}
	cmd.Env = append([]string{"PATH=" + child.Path, "HOME=" + x.dir, "TMPDIR=" + x.dir, "LANG=C.UTF-8", "RS_TOKEN=" + x.token,
		envParent + "=" + strconv.Itoa(os.Getpid())}, s.cfg.Env()...)
	child.Confine(cmd, s.cfg.User)
	return cmd
}

// instance is one process that serves a plugin.
type instance struct {
	*scratch
	plugin, provider string
	def              *api.PluginProvider
	cmd              *exec.Cmd
	ended            <-chan error
	over             bool // ended was received from
	last             *child.Tail
	out              *greeting
	http             *http.Client
	server           *http.Server
	serving          sync.WaitGroup
	leaves           chan string
}

// start starts a process and waits until it says that it is ready.
func (s *Supervisor) start(ctx context.Context, want spec, svc *service) (*instance, error) {
	x, err := s.scratch(want.def.Name, want.program, want.plugin)
	if err != nil {
		return nil, err
	}
	p := &instance{scratch: x, plugin: want.plugin, provider: want.def.Name, def: want.def, last: &child.Tail{}, out: newGreeting(), leaves: make(chan string, 1)}
	to, from := filepath.Join(x.dir, "to-plugin"), filepath.Join(x.dir, "from-plugin")
	if err := p.listen(s, from); err != nil {
		x.close()
		return nil, err
	}
	dial := &net.Dialer{}
	p.http = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial.DialContext(ctx, "unix", to) }}}
	p.cmd = s.command(x, want.def.Name, "listen", to, from)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.last
	if p.ended, err = child.Start(p.cmd); err != nil {
		p.over = true
		p.close(s)
		return nil, fmt.Errorf("start provider %s: %w", want.def.Name, err)
	}
	if err := p.ready(ctx, s, want, svc); err != nil {
		p.close(s)
		return nil, err
	}
	return p, nil
}

func (p *instance) ready(ctx context.Context, s *Supervisor, want spec, svc *service) error {
	late := time.NewTimer(s.cfg.Ready)
	defer late.Stop()
	for {
		select {
		case <-p.out.ready:
			return nil
		case err := <-p.ended:
			return p.died(err)
		case <-late.C:
			return fmt.Errorf("its process did not print READY! within %s", s.cfg.Ready)
		case <-ctx.Done():
			return ctx.Err()
		case <-svc.wake:
			if now, ok := s.wanted(want.plugin); !ok || !now.same(want) {
				return errChanged
			}
		}
	}
}

// died words how the process ended by itself.
func (p *instance) died(err error) error {
	p.over = true
	how := "exit status 0"
	if err != nil {
		how = err.Error()
	}
	if said := p.last.String(); said != "" {
		how += ": " + said
	}
	return fmt.Errorf("its process ended: %s", how)
}

// close ends the process if it still runs, and removes what it had.
func (p *instance) close(s *Supervisor) {
	if !p.over {
		p.stop()
	}
	if p.cmd != nil && p.cmd.Process != nil {
		child.Reap(p.cmd.Process.Pid)
	}
	p.http.CloseIdleConnections()
	_ = p.server.Close() // what it still says is of no use
	p.serving.Wait()
	p.scratch.close()
	s.cfg.Log.Info("plugin's process is gone", "plugin", p.plugin, "provider", p.provider)
}

// stop asks the plugin to end, then makes it.
func (p *instance) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	_, _ = p.post(ctx, "stop", struct{}{}) // it may end before it answers
	select {
	case <-p.ended:
	case <-ctx.Done():
		child.End(p.cmd.Process, p.ended)
	}
}

// greeting looks for the line by which a process says that it is ready. What
// it prints besides is dropped.
type greeting struct {
	ready chan struct{} // closed when it was found
	line  []byte
	found bool
}

func newGreeting() *greeting { return &greeting{ready: make(chan struct{})} }

func (g *greeting) Write(p []byte) (int, error) {
	n := len(p)
	for !g.found && len(p) > 0 {
		part, rest, whole := bytes.Cut(p, []byte("\n"))
		if len(g.line) <= len(greets) { // no longer one can be it
			g.line = append(g.line, part[:min(len(part), len(greets)+1)]...)
		}
		if p = rest; !whole {
			break
		}
		if string(bytes.TrimRight(g.line, "\r")) == greets {
			g.found = true
			close(g.ready)
		}
		g.line = g.line[:0]
	}
	return n, nil
}

const greets = "READY!"
