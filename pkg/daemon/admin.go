package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"drpd/pkg/datadir"
)

// AdminCall is what somebody at the server asks of it, through the socket in its
// data directory. Who may open that directory may do all of it.
type AdminCall struct {
	Do   string // passwd, first-password, activate, rotate
	Args map[string]string
}

// AdminReply is the answer: lines for people.
type AdminReply struct {
	Lines []string
	Error string `json:",omitempty"`
}

// adminOps are the calls, by name.
func (d *Daemon) adminOps() map[string]func(ctx context.Context, by string, args map[string]string) ([]string, error) {
	return map[string]func(context.Context, string, map[string]string) ([]string, error){
		"passwd":         d.adminPasswd,
		"first-password": d.adminFirstPassword,
		"rotate":         d.adminRotate,
		"activate": func(ctx context.Context, by string, args map[string]string) ([]string, error) {
			return d.activate(ctx, by, Activation{DryRun: args["dry-run"] == "true", OldServerIsDead: args["old-server-is-dead"] == "true",
				DespiteOldServer: args["despite-old-server"] == "true", AcceptUnreported: args["accept-unreported"] == "true"})
		},
	}
}

// admin carries out one call.
func (d *Daemon) admin(ctx context.Context, by string, c AdminCall) AdminReply {
	op := d.adminOps()[c.Do]
	if op == nil {
		return AdminReply{Error: fmt.Sprintf("this server knows no %q: is the program drpd of another version than the server that runs?", c.Do)}
	}
	lines, err := op(ctx, by, c.Args)
	if err != nil {
		return AdminReply{Lines: lines, Error: err.Error()}
	}
	return AdminReply{Lines: lines}
}

type peerKey struct{}

// serveAdmin serves the socket until ctx ends.
func (d *Daemon) serveAdmin(ctx context.Context, l net.Listener) error {
	defer os.Remove(filepath.Join(d.cfg.DataDir, datadir.Socket))
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		uid, _ := r.Context().Value(peerKey{}).(int)
		var c AdminCall
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&c); err != nil || r.Method != http.MethodPost {
			http.Error(w, "a call is wanted", http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(d.admin(r.Context(), fmt.Sprintf("local user %d", uid), c))
	})
	return serveHTTP(ctx, l, &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if p, ok := c.(peerConn); ok {
				return context.WithValue(ctx, peerKey{}, p.uid)
			}
			return ctx
		}})
}

// throughDir calls fn with a path of the socket that is short however deep the
// directory is: names of sockets have 107 bytes at most.
func throughDir[T any](dir string, fn func(path string) (T, error)) (T, error) {
	var none T
	f, err := os.Open(dir)
	if err != nil {
		return none, err
	}
	defer f.Close()
	return fn(fmt.Sprintf("/proc/self/fd/%d/%s", f.Fd(), datadir.Socket))
}

func listenSocket(dir string) (net.Listener, error) {
	if err := os.Remove(filepath.Join(dir, datadir.Socket)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err // of an earlier process: the database's lock says that none runs
	}
	l, err := throughDir(dir, func(path string) (net.Listener, error) { return net.Listen("unix", path) })
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // the path was one of that moment
	return peerListener{l}, os.Chmod(filepath.Join(dir, datadir.Socket), 0o600)
}

// peerListener lets in root and the server's own user, whatever the modes say.
type peerListener struct{ net.Listener }

type peerConn struct {
	net.Conn
	uid int
}

// Accept implements net.Listener.
func (l peerListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if uid, err := peer(c); err == nil && (uid == 0 || uid == os.Geteuid()) {
			return peerConn{c, uid}, nil
		}
		c.Close()
	}
}

func peer(c net.Conn) (int, error) {
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, credErr
	}
	return int(cred.Uid), nil
}

// Administer carries out a call on the server of a data directory: the one that
// runs, else by opening the directory itself.
func Administer(ctx context.Context, cfg Config, c AdminCall) ([]string, error) {
	r, err := callSocket(ctx, cfg.DataDir, c)
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		r, err = offline(ctx, cfg, c)
	}
	if err != nil {
		return nil, err
	}
	if r.Error != "" {
		err = errors.New(r.Error)
	}
	return r.Lines, err
}

// AcceptLoss gives up parts of the data directory of a server that does not
// start for want of them.
func AcceptLoss(ctx context.Context, cfg Config, parts []string, by string) error {
	dir := datadir.Config{Dir: cfg.DataDir, Database: cfg.Database}
	if datadir.Accepted(dir, parts) {
		return nil
	}
	cfg.Offline = true
	d, err := Open(ctx, cfg)
	if err == nil {
		if err := d.Close(); err != nil {
			return err
		}
	}
	return datadir.AcceptLoss(dir, parts, err, by, time.Now())
}

// offline opens the directory of a server that does not run.
func offline(ctx context.Context, cfg Config, c AdminCall) (AdminReply, error) {
	if err := datadir.MustExist(datadir.Config{Dir: cfg.DataDir, Database: cfg.Database}); err != nil {
		return AdminReply{}, err
	}
	cfg.Offline = true
	d, err := Open(ctx, cfg)
	if err != nil {
		return AdminReply{}, err
	}
	r := d.admin(ctx, fmt.Sprintf("local user %d", os.Getuid()), c)
	return r, d.Close()
}

func callSocket(ctx context.Context, dir string, c AdminCall) (AdminReply, error) {
	var r AdminReply
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return throughDir(dir, func(path string) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "unix", path) })
	}}
	defer t.CloseIdleConnections()
	data, err := json.Marshal(c)
	if err != nil {
		return r, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://drpd/", strings.NewReader(string(data)))
	if err != nil {
		return r, err
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return r, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return r, fmt.Errorf("the server answered %s", resp.Status)
	}
	return r, json.NewDecoder(resp.Body).Decode(&r)
}

func splitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}
