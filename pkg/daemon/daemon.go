package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"drpd/pkg/api"
	"drpd/pkg/atomicfile"
	"drpd/pkg/auth"
	"drpd/pkg/auth/token"
	"drpd/pkg/blob"
	"drpd/pkg/bmc"
	"drpd/pkg/bmc/driver"
	"drpd/pkg/callout"
	"drpd/pkg/dhcp"
	"drpd/pkg/engine"
	"drpd/pkg/flexi"
	"drpd/pkg/media"
	"drpd/pkg/param"
	"drpd/pkg/pki"
	"drpd/pkg/plugin"
	"drpd/pkg/pxe"
	"drpd/pkg/render"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
	"drpd/pkg/seal"
	"drpd/pkg/store"
	"drpd/pkg/store/mem"
	"drpd/pkg/store/sqlite"
)

// none is the caller when the server itself issues a token.
var none auth.Identity

// Daemon is one drpd.
type Daemon struct {
	*Core
	cfg       Config
	store     store.Store
	vault     *param.Vault
	pki       *pki.Authority
	tls       certificate
	auth      *auth.Auth
	blobs     *blob.Dir
	cache     *render.Cache
	pxe       *pxe.Server
	recorder  *pxe.Recorder
	plugins   *plugin.Supervisor // nil: none are run
	logs      *logRing
	started   time.Time
	cut       cuts
	followers rest.Followers // of events
	apiPort   string
	filePort  string
	// FirstPassword is the first user's password, set only when this start
	// created that user; it is stored nowhere.
	FirstPassword string
}

// Open prepares a daemon: everything is loaded, nothing is served yet.
func Open(ctx context.Context, cfg Config) (*Daemon, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	d := &Daemon{cfg: cfg, cache: render.NewCache(), started: time.Now(), logs: newLogRing(ringLines)}
	d.cfg.Log = slog.New(d.logs.handler(cfg.Log.Handler()))
	if err := d.openFiles(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	if err := d.openCore(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.lookAtInterfaces(ctx)
	return d, nil
}

// openFiles opens what lives in the data directory.
func (d *Daemon) openFiles(ctx context.Context) error {
	at := func(name string) string { return filepath.Join(d.cfg.DataDir, name) }
	master, err := seal.LoadMaster(at("master.key"))
	if err != nil {
		return err
	}
	d.vault = param.NewVault(master)
	if d.blobs, err = blob.OpenDir(at("blobs")); err != nil {
		return err
	}
	d.pki, err = pki.Open(pki.Config{Dir: at("pki"), Names: append([]string{"localhost"}, d.cfg.Names...), IPs: append(hostAddrs(), d.cfg.Addresses...)})
	if err != nil {
		return err
	}
	if d.tls, err = d.certificate(); err != nil {
		return err
	}
	d.store, err = d.openStore(ctx, at("drpd.db"))
	return err
}

func (d *Daemon) openStore(ctx context.Context, path string) (store.Store, error) {
	switch d.cfg.Database {
	case InMemory:
		return mem.New(mem.Config{}), nil
	case "":
		d.cfg.Database = path
	}
	db, err := sqlite.Open(ctx, sqlite.Config{Path: d.cfg.Database, LogRows: 1}) // nobody follows the store but by the DB
	if err != nil {
		return nil, err // a nil *Store in the interface would not be nil
	}
	return db, nil
}

// hostAddrs are the IPv4 addresses of this host.
func hostAddrs() []netip.Addr {
	var out []netip.Addr
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
			addr, _ := netip.AddrFromSlice(n.IP.To4())
			out = append(out, addr)
		}
	}
	return out
}

func (d *Daemon) openCore(ctx context.Context) error {
	out, err := d.callOut()
	if err != nil {
		return err
	}
	worker := &bmc.Worker{Vault: d.vault, Dialer: driver.NewDialer(driver.Config{Logger: d.cfg.Log, Out: out}), Now: time.Now}
	calls := &plugin.Caller{Now: time.Now}
	core, err := NewCore(ctx, CoreConfig{Store: d.store, Vault: d.vault, Match: match, Log: d.cfg.Log, Prefs: d.cfg.Prefs, Out: out,
		Actions: func(db *resource.DB) []engine.Runner {
			worker.DB, calls.DB = db, db
			unpacker := &media.Worker{DB: db, Blobs: d.blobs, Log: d.cfg.Log}
			return []engine.Runner{worker.Action(), unpacker.Action(), calls.Action()}
		}})
	if err != nil {
		return err
	}
	d.Core = core
	d.logs.follow(core.DB, d.wanted)
	key, err := tokenKey(filepath.Join(d.cfg.DataDir, "token.key"))
	if err != nil {
		return err
	}
	if d.auth, err = auth.New(auth.Config{DB: d.DB, Keys: [][]byte{key}, Log: d.cfg.Log}); err != nil {
		return err
	}
	if err := d.firstUser(ctx); err != nil {
		return err
	}
	d.openPlugins()
	calls.Sup = d.plugins
	d.recorder = pxe.NewRecorder(pxe.RecorderConfig{DB: d.DB, Log: d.cfg.Log})
	return nil
}

// callOut is where this server may call: at none of the addresses by which it is
// known, unless they are named.
func (d *Daemon) callOut() (*callout.Policy, error) {
	allow, err := callout.Prefixes(d.cfg.CallOut)
	return &callout.Policy{Allow: allow, Own: func() []netip.Addr { return append(callout.Interfaces(), d.cfg.Addresses...) }}, err
}

// firstUser makes the first user, with the password that was given for it, else
// a random one.
func (d *Daemon) firstUser(ctx context.Context) error {
	password, _, err := auth.Bootstrap(ctx, d.DB, auth.Defaults{Password: d.cfg.FirstPassword})
	d.FirstPassword = password
	return err
}

// tokenKey loads the key that signs tokens, made on first start.
func tokenKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		key = make([]byte, token.KeySize)
		rand.Read(key)
		err = atomicfile.Write(path, key, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("token key: %w", err)
	}
	return key, nil
}

func match(r resource.Reader, m *api.Machine, filter string) (bool, error) {
	k := api.Machines
	o, err := k.Lookup(r, m.Uuid)
	if err != nil {
		return false, nil // clusters and brokers never match machine filters
	}
	return rest.Match(r, k, o, filter, paramOf)
}

// Close releases the store and the files; Run must have ended.
func (d *Daemon) Close() error {
	var errs []error
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	if d.blobs != nil {
		errs = append(errs, d.blobs.Close())
	}
	return errors.Join(errs...)
}

// Fingerprint is the SHA-256 of the certificate authority, for clients to pin.
func (d *Daemon) Fingerprint() string { return d.tls.fingerprint }

// Run serves until ctx ends or a service fails. It calls ready once every
// socket is open.
func (d *Daemon) Run(ctx context.Context, ready func()) error {
	s, err := d.listen()
	if err != nil {
		return err
	}
	defer s.close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.Engine.Run(ctx) })
	g.Go(func() error { return d.recorder.Run(ctx) })
	g.Go(func() error { return d.auth.Run(ctx) })
	g.Go(func() error { return d.Triggers.Run(ctx, d.DB, d.cfg.Log) })
	g.Go(func() error { return flexi.Announce(ctx, d.DB, d.DB.Seq(), d.cfg.Log) })
	g.Go(func() error { return d.watchInterfaces(ctx) })
	g.Go(func() error { return serveHTTP(ctx, s.api, d.apiServer(s)) })
	for l, h := range map[net.Listener]http.Handler{s.files: d.pxe.Handler(), s.secure: d.pxe.Handler(), s.metrics: d.metrics()} {
		if l != nil {
			g.Go(func() error {
				return serveHTTP(ctx, l, &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second})
			})
		}
	}
	if d.cfg.Plain != nil {
		g.Go(func() error { return serveHTTP(ctx, d.cfg.Plain, d.apiServer(s)) })
	}
	if s.tftp != nil {
		g.Go(func() error { return d.pxe.ServeTFTP(ctx, s.tftp) })
	}
	g.Go(func() error { return d.dropLogs(ctx) })
	if len(d.cfg.Runner) > 0 {
		g.Go(func() error { return d.runners().Run(ctx) })
	}
	if d.plugins != nil {
		g.Go(func() error { return d.plugins.Run(ctx) })
	}
	if d.servesDHCP() {
		g.Go(func() error { return d.runDHCP(ctx) })
	}
	if ready != nil {
		ready()
	}
	return g.Wait()
}

func (d *Daemon) servesDHCP() bool { return d.cfg.DHCPOnAll || len(d.cfg.Interfaces) > 0 }

func (d *Daemon) runDHCP(ctx context.Context) error {
	cfg := dhcp.Config{DB: d.DB, Log: d.cfg.Log.With("service", "dhcp"), Boot: d.pxe.Boot, Record: d.recorder.Record,
		Interfaces: d.cfg.Interfaces, Port: d.cfg.DHCPPort, BINLPort: d.cfg.BINLPort}
	if d.cfg.DHCPOnAll {
		cfg.Interfaces = nil
	}
	err := dhcp.New(cfg).Run(ctx)
	if err != nil && ctx.Err() == nil && d.cfg.BestEffort {
		d.cfg.Log.Warn("DHCP is off", "err", err)
		return nil
	}
	return err
}
