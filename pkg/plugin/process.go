//go:build linux

package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"drpd/pkg/api"
	"drpd/pkg/child"
)

// scratch is the cell of a process, its token, and the open program.
type scratch struct {
	keeper  child.Keeper
	cell    *child.Cell // nil: none
	token   string
	program *os.File
	end     func()
}

func (s *Supervisor) scratch(provider, program, plugin string) (*scratch, error) {
	f, err := s.cfg.Blobs.Open(program)
	if err != nil {
		return nil, fmt.Errorf("open the program of provider %s: %w", provider, err)
	}
	x := &scratch{keeper: s.cfg.Keeper, program: f, end: func() {}}
	if err = f.Chmod(0o555); err == nil {
		x.cell, err = s.cfg.Keeper.Open()
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

// close ends whatever still runs.
func (x *scratch) close() {
	if x.cell != nil {
		_ = x.keeper.Close(x.cell) // it is gone then, or the keeper is, and all with it
	}
	if x.end != nil {
		x.end()
	}
	_ = x.program.Close() // it was only read
}

// process is how a program is started in a cell.
func (s *Supervisor) process(x *scratch, provider string, args ...string) child.Program {
	return child.Program{File: x.program, Args: append([]string{provider}, args...),
		Env: append([]string{"PATH=" + child.Path, "HOME=" + child.Home, "TMPDIR=" + child.Home, "LANG=C.UTF-8", "RS_TOKEN=" + x.token}, s.cfg.Env()...)}
}

// instance is one process that serves a plugin.
type instance struct {
	*scratch
	plugin, provider string
	def              *api.PluginProvider
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
	if err := p.listen(s, x.cell.Path(fromPlugin)); err != nil {
		x.close()
		return nil, err
	}
	p.http = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dialCell(ctx, x.cell, toPlugin) }}}
	run := s.process(x, want.def.Name, "listen", filepath.Join(child.Home, toPlugin), filepath.Join(child.Home, fromPlugin))
	if p.ended, err = child.Start(s.cfg.Keeper, x.cell, run, p.out, p.last); err != nil {
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
		child.End(p.keeper, p.cell, p.ended)
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

// Names of the sockets in a cell.
const (
	toPlugin   = "to-plugin"
	fromPlugin = "from-plugin"
)

// dialCell connects to a socket that the program of a cell made. It may have put
// something else under the name: a link to a socket of ours, which would take
// what we say there for the server's own word. So it has to be a socket, and the
// one who listens the cell's user.
func dialCell(ctx context.Context, cell *child.Cell, name string) (net.Conn, error) {
	fd, err := unix.Openat(int(cell.Dir.Fd()), name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", name, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFSOCK || int(st.Uid) != cell.User {
		return nil, fmt.Errorf("%s is no socket of the plugin's own: %w", name, errors.Join(err, fs.ErrPermission))
	}
	return (&net.Dialer{}).DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d", fd))
}
