package daemon

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"drpd/pkg/openapi"
	"drpd/pkg/pxe"
	"drpd/pkg/render"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
)

// sockets are opened before anything is served, so that a port in use stops
// the start and not something halfway.
type sockets struct {
	api, files      net.Listener
	secure, metrics net.Listener // nil: not wanted
	tftp            *net.UDPConn
	handler         http.Handler
}

func (s *sockets) close() {
	for _, l := range []net.Listener{s.api, s.files, s.secure, s.metrics} {
		if l != nil {
			l.Close()
		}
	}
	if s.tftp != nil {
		s.tftp.Close()
	}
}

func (d *Daemon) listen() (s *sockets, err error) {
	s = &sockets{}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err := d.listenTCP(s); err != nil {
		return s, err
	}
	d.apiPort, d.filePort = port(s.api.Addr()), port(s.files.Addr())
	if d.cfg.TFTPAddr != "off" {
		if s.tftp, err = listenUDP(d.cfg.TFTPAddr); err != nil && !d.cfg.BestEffort {
			return s, lowPort("TFTP", err)
		} else if err != nil {
			d.cfg.Log.Warn("TFTP is off", "err", err)
		}
	}
	d.pxe = d.newPXE()
	pages, err := openapi.Pages(d.DB.Kinds())
	if err != nil {
		return s, err
	}
	s.handler, err = rest.New(d.restConfig(pages))
	return s, err
}

func (d *Daemon) listenTCP(s *sockets) error {
	for _, w := range []struct {
		what, addr string
		secure     bool
		to         *net.Listener
	}{
		{"the API", d.cfg.APIAddr, true, &s.api},
		{"boot files", d.cfg.FileAddr, false, &s.files},
		{"boot files over HTTPS", d.cfg.SecureAddr, true, &s.secure},
		{"metrics", d.cfg.MetricsAt, false, &s.metrics},
	} {
		if w.addr == "" {
			continue
		}
		l, err := net.Listen("tcp", w.addr)
		if err != nil {
			return lowPort(w.what, err)
		}
		if *w.to = l; w.secure {
			*w.to = tls.NewListener(l, d.tls.config)
		}
	}
	return nil
}

func listenUDP(addr string) (*net.UDPConn, error) {
	a, err := net.ResolveUDPAddr("udp4", addr)
	if err != nil {
		return nil, err
	}
	return net.ListenUDP("udp4", a)
}

func port(a net.Addr) string {
	_, p, _ := net.SplitHostPort(a.String())
	return p
}

// lowPort adds the cure to the error of a port that is root's.
func lowPort(what string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("listen for %s: %w: start drpd as root, and it drops to a user of its own", what, err)
	}
	return fmt.Errorf("listen for %s: %w", what, err)
}

// mayBoot refuses DHCP on what this host does not have, and warns of boot loaders
// that are not there.
func (d *Daemon) mayBoot() error {
	if _, err := os.Stat(d.cfg.Loaders); err != nil {
		d.cfg.Log.Warn("there are no boot loaders: no machine boots from here; install iPXE (apt-get install ipxe), or name its directory with --loaders", "err", err)
	}
	for _, name := range d.cfg.Interfaces {
		if _, err := net.InterfaceByName(name); err != nil && !d.cfg.BestEffort {
			var have []string
			list, _ := net.Interfaces()
			for _, i := range list {
				have = append(have, i.Name)
			}
			return fmt.Errorf("DHCP on %s: %w: this host has %s", name, err, strings.Join(have, ", "))
		}
	}
	return nil
}

func (d *Daemon) apiURL(addr string) string  { return "https://" + net.JoinHostPort(addr, d.apiPort) }
func (d *Daemon) fileURL(addr string) string { return "http://" + net.JoinHostPort(addr, d.filePort) }

// FileURL is where boot files are at an address of this host, once Run is ready.
func (d *Daemon) FileURL(addr string) string { return d.fileURL(addr) }

func (d *Daemon) newPXE() *pxe.Server {
	p, _ := strconv.Atoi(d.filePort)
	return pxe.New(pxe.Config{DB: d.DB, Log: d.cfg.Log.With("service", "bootenv"), Render: d.bootFile, Loaders: d.cfg.Loaders, HTTPPort: p, Record: d.recorder.Record, Served: d.served, Tools: besideUs(),
		Open: func(path string) (*os.File, error) { return d.blobs.Open(path) }})
}

// served tells of a file that went out, as static.serve or tftp.serve, if
// somebody wants to know: a rack that boots asks for very many.
func (d *Daemon) served(a *pxe.Answer, proto string) {
	kind := "tftp"
	if proto == "http" {
		kind = "static"
	}
	e := resource.Event{Type: kind, Action: "serve", Key: a.Path, Principal: kind}
	if d.wanted(e) {
		e.Object = json.RawMessage("null")
		d.DB.Publish(e)
	}
}

// wanted says whether anybody would hear of an event that tells of no change.
func (d *Daemon) wanted(e resource.Event) bool {
	return d.followers.Want(e) || d.Triggers.Want(d.DB.View(), e)
}

// besideUs is the directory of this program, where drpcli is too; "" if the
// system does not tell.
func besideUs() string {
	p, err := os.Executable()
	if err != nil {
		return ""
	}
	return filepath.Dir(p)
}

// bootFile renders a template of a boot environment for whoever boots.
// Secure params stay sealed: boot files are read without authentication.
func (d *Daemon) bootFile(r resource.Reader, t pxe.Text) (string, error) {
	c := d.context(r, t.Machine, t.Server.String())
	c.Ctx, c.Env, c.MAC, c.Path, c.Vault = t.Ctx, t.Env, t.MAC, t.Path, nil
	c.Token = func(kind, object string, ttl time.Duration) (string, error) {
		return d.ticket(t.Machine, kind, object, ttl)
	}
	if t.Path != "" {
		if err := render.Required(c, "bootenv "+t.Env.Name, t.Env.RequiredParams); err != nil {
			return "", err
		}
	}
	return render.Text(c, t.Name, t.Text)
}

func (d *Daemon) apiServer(s *sockets) *http.Server {
	return &http.Server{Handler: s.handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ConnContext: rest.WithConn}
}

func (d *Daemon) restConfig(pages map[string]http.Handler) rest.Config {
	return rest.Config{DB: d.DB, Auth: d.auth, Blobs: d.blobs, Static: d.bootGate(d.pxe.Handler()), Log: d.cfg.Log.With("service", "frontend"),
		Param: paramOf, Params: d.params, NextJob: d.nextJob, JobActions: d.jobActions, PackWarnings: d.Packs.Warnings, WhoAmI: d.whoAmI,
		Actions: actions{d}, Providers: d.providers(), PublicKey: d.vault.Public, Logs: d.logs.Lines, Routes: d.routes(),
		Verbs: d.verbs(), Pages: pages, Why: d.why, Info: d.info, Closed: d.closedTo, Cut: d.cutOff, Followers: &d.followers, Logged: d.logged}
}

// serveHTTP serves until ctx ends. Then running requests get 5 seconds, of which
// those that follow something are let go after one, and it returns when all of
// them are answered: who was let in meets no torn connection, and the store is
// there until the last.
func serveHTTP(ctx context.Context, l net.Listener, s *http.Server) error {
	requests, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	s.BaseContext = func(net.Listener) context.Context { return requests }
	answered := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(answered)
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		defer time.AfterFunc(time.Second, release).Stop()
		if s.Shutdown(end) != nil {
			s.Close()
		}
	})
	err := s.Serve(l)
	if !stop() {
		<-answered
	}
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}
