package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/blob"
	"drpd/pkg/bmc"
	"drpd/pkg/bmc/driver"
	"drpd/pkg/callout"
	"drpd/pkg/datadir"
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
	"drpd/pkg/store"
)

// none is the caller when the server itself issues a token.
var none auth.Identity

// Daemon is one drpd.
type Daemon struct {
	*Core
	cfg        Config
	store      store.Store
	dir        *datadir.Dir
	closed     atomic.Pointer[datadir.Restored] // nil: this server acts
	active     chan struct{}                    // closed when it may
	instance   string                           // another one after each start
	takingOver atomic.Bool                      // while drpd activate works
	rotating   sync.Mutex                       // held while keys change
	activating sync.Mutex                       // held while a restored server takes over
	losses     []datadir.Accept                 // that this start made good
	vault      *param.Vault
	pki        *pki.Authority
	tls        certificate
	auth       *auth.Auth
	trail      *auth.AuditLog
	loggedIn   chan struct{} // the first user did
	blobs      *blob.Dir
	cache      *render.Cache
	pxe        *pxe.Server
	recorder   *pxe.Recorder
	plugins    *plugin.Supervisor // nil: none are run
	logs       *logRing
	started    time.Time
	cut        cuts
	followers  rest.Followers // of events
	apiPort    string
	filePort   string
	// FirstPassword is the first user's password, set only when this start
	// created that user; see Unshown.
	FirstPassword string
}

// Open prepares a daemon: everything is loaded, nothing is served yet.
func Open(ctx context.Context, cfg Config) (*Daemon, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	d := &Daemon{cfg: cfg, cache: render.NewCache(), started: time.Now(), active: make(chan struct{}), loggedIn: make(chan struct{}, 1), instance: uuid.NewString(), logs: newLogRing(ringLines)}
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

func (d *Daemon) openCore(ctx context.Context) error {
	out, err := d.callOut()
	if err != nil {
		return err
	}
	worker := &bmc.Worker{Vault: d.vault, Dialer: driver.NewDialer(driver.Config{Logger: d.cfg.Log, Out: out}), Now: time.Now}
	calls := &plugin.Caller{Now: time.Now}
	core, err := NewCore(ctx, CoreConfig{Store: gate{d.store, &d.closed, &d.takingOver}, Vault: d.vault, Match: match, Log: d.cfg.Log, Prefs: d.cfg.Prefs, Out: out,
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
	if d.auth, err = auth.New(auth.Config{DB: d.DB, Keys: d.dir.Token.Valid(time.Now()), Log: d.cfg.Log, Audit: d.audited}); err != nil {
		return err
	}
	if _, err := d.finishMaster(ctx); err != nil {
		return err
	}
	if err := d.firstUser(ctx); err != nil {
		return err
	}
	for _, l := range d.losses {
		d.auth.Audit(ctx, auth.Record{Action: "loss", Actor: l.By, Path: l.Part, Note: "the loss of this part of the data directory was accepted"})
	}
	d.openPlugins()
	d.close()
	calls.Sup = d.plugins
	d.recorder = pxe.NewRecorder(pxe.RecorderConfig{DB: d.DB, Log: d.cfg.Log})
	return nil
}

// close keeps a server that was restored from acting.
func (d *Daemon) close() {
	s, err := datadir.Servers.Get(d.DB.View(), datadir.Self)
	if err != nil || s.Restored == nil {
		close(d.active)
		return
	}
	d.closed.Store(s.Restored)
	d.cfg.Log.Warn(notActiveText(s.Restored))
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
	password, _, err := auth.Bootstrap(ctx, d.DB, auth.Defaults{Password: d.cfg.FirstPassword, Keep: d.keepPassword})
	d.FirstPassword = password
	return err
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
	if d.store != nil && d.Core != nil {
		errs = append(errs, d.noteRevNow(context.Background()))
	}
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	if d.trail != nil {
		errs = append(errs, d.trail.Close())
	}
	if d.blobs != nil {
		errs = append(errs, d.blobs.Close())
	}
	return errors.Join(errs...)
}

// Fingerprint is the SHA-256 of the certificate authority, for clients to pin.
func (d *Daemon) Fingerprint() string { return d.tls.fingerprint() }

// Run serves until ctx ends or a service fails. It calls ready once every
// socket is open.
func (d *Daemon) Run(ctx context.Context, ready func()) error {
	if err := d.mayBoot(); err != nil {
		return err
	}
	s, err := d.listen()
	if err != nil {
		return err
	}
	defer s.close()
	g, ctx := errgroup.WithContext(ctx)
	acts := func(fn func() error) { g.Go(func() error { return d.whenActive(ctx, fn) }) }
	acts(func() error { return d.Engine.Run(ctx) })
	acts(func() error { return d.recorder.Run(ctx) })
	acts(func() error { return d.auth.Run(ctx) })
	acts(func() error { return d.Triggers.Run(ctx, d.DB, d.cfg.Log) })
	acts(func() error { return flexi.Announce(ctx, d.DB, d.DB.Seq(), d.cfg.Log) })
	acts(func() error { return d.dropLogs(ctx) })
	acts(func() error { return d.lookForUnnamed(ctx) })
	acts(func() error { return d.noteSelf(ctx) })
	if s.tftp != nil {
		acts(func() error { return d.pxe.ServeTFTP(ctx, s.tftp) })
	}
	if d.cfg.Contexts {
		acts(func() error { return d.runners().Run(ctx) })
	}
	if d.plugins != nil {
		acts(func() error { return d.plugins.Run(ctx) })
	}
	if d.servesDHCP() {
		acts(func() error { return d.runDHCP(ctx) })
	}
	g.Go(func() error { return d.watchInterfaces(ctx) })
	g.Go(func() error { return d.noteRev(ctx) })
	if l, err := listenSocket(d.cfg.DataDir); err == nil {
		g.Go(func() error { return d.serveAdmin(ctx, l) })
	} else {
		d.cfg.Log.Warn("no socket for drpd passwd, rotate and activate", "err", err)
	}
	g.Go(func() error { return d.trail.Run(ctx) })
	g.Go(func() error { return d.forgetPassword(ctx) })
	g.Go(func() error { return d.endTokenKeys(ctx) })
	g.Go(func() error { return serveHTTP(ctx, s.api, d.apiServer(s)) })
	files := d.bootGate(d.pxe.Handler())
	for l, h := range map[net.Listener]http.Handler{s.files: files, s.secure: files, s.metrics: d.metrics()} {
		if l != nil {
			g.Go(func() error {
				return serveHTTP(ctx, l, &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second})
			})
		}
	}
	if d.cfg.Plain != nil {
		g.Go(func() error { return serveHTTP(ctx, d.cfg.Plain, d.apiServer(s)) })
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
