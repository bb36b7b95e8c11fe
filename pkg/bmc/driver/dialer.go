package driver

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"drpd/pkg/callout"
)

// Timeouts bound every step; the caller's context can only shorten them.
type Timeouts struct {
	Open   time.Duration // login and first read; default 20 s
	Call   time.Duration // one order or one read; default 30 s
	Verify time.Duration // until an order is seen done; default 60 s
	Soft   time.Duration // until a soft power-off is seen done; default 5 min
	Poll   time.Duration // between two reads while verifying; default 1 s
}

// Config is how a Dialer works. The zero value is usable.
type Config struct {
	// Ipmitool is the path of ipmitool; empty looks in PATH at each Open.
	Ipmitool string
	// RootCAs verify Redfish certificates; nil means the system's.
	RootCAs *x509.CertPool
	// Parallel limits the conversations held at once; default 32. Each is one TLS
	// connection or one ipmitool process.
	Parallel int
	Timeouts Timeouts
	// Out says where controllers may be; nil: at no address of this server.
	Out    *callout.Policy
	Logger *slog.Logger // nil discards
}

// Dialer opens sessions. A controller holds one conversation at a time, for many
// mix up or refuse a second; others wait their turn. A Dialer also remembers which
// cipher suite a controller took.
type Dialer struct {
	cfg    Config
	slots  chan struct{}
	suites suiteMemory

	mu    sync.Mutex
	turns map[string]*turn
}

// turn is one controller's lock, kept while somebody holds or awaits it.
type turn struct {
	held  chan struct{} // capacity 1
	users int
}

// NewDialer fills in cfg's defaults.
func NewDialer(cfg Config) *Dialer {
	t := &cfg.Timeouts
	t.Open = cmp.Or(t.Open, 20*time.Second)
	t.Call = cmp.Or(t.Call, 30*time.Second)
	t.Verify = cmp.Or(t.Verify, time.Minute)
	t.Soft = cmp.Or(t.Soft, 5*time.Minute)
	t.Poll = cmp.Or(t.Poll, time.Second)
	if cfg.Parallel <= 0 {
		cfg.Parallel = 32
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Dialer{cfg: cfg, slots: make(chan struct{}, cfg.Parallel), turns: map[string]*turn{}}
}

// Open opens a session with default settings and no shared limits.
func Open(ctx context.Context, t Target) (*Session, error) {
	return NewDialer(Config{}).Open(ctx, t)
}

// Open waits for the controller's turn and a free slot, logs in and reads the
// power state once, so that wrong credentials show here. The session holds turn
// and slot until Close.
func (d *Dialer) Open(ctx context.Context, t Target) (*Session, error) {
	r := newReporter(t)
	if err := t.validate(); err != nil {
		return nil, r.fail(ClassOther, "open", "correct the target's settings", err)
	}
	release, err := d.acquire(ctx, t.hostPort())
	if err != nil {
		return nil, r.fail(ClassOther, "open", "another conversation holds the controller or the limit", err)
	}
	started := time.Now()
	l, err := d.dial(ctx, t, r)
	d.cfg.Logger.DebugContext(ctx, "bmc open", "target", t, "took", time.Since(started), "error", err)
	if err != nil {
		release()
		return nil, err
	}
	return &Session{target: t, link: l, report: r, cfg: d.cfg, release: release}, nil
}

// Do opens a session, runs fn and closes the session.
func (d *Dialer) Do(ctx context.Context, t Target, fn func(*Session) error) (err error) {
	s, err := d.Open(ctx, t)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	return fn(s)
}

func (d *Dialer) dial(ctx context.Context, t Target, r reporter) (link, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeouts.Open)
	defer cancel()
	if t.Mode == ModeIPMI {
		return openIPMI(ctx, t, r, d.cfg, &d.suites)
	}
	return openRedfish(ctx, t, r, d.cfg)
}

// acquire takes the controller's turn first: those who wait for one slow
// controller must not use up the slots of all others.
func (d *Dialer) acquire(ctx context.Context, key string) (release func(), err error) {
	t := d.join(key)
	select {
	case t.held <- struct{}{}:
	case <-ctx.Done():
		d.leave(key, t)
		return nil, fmt.Errorf("wait for the controller: %w", ctx.Err())
	}
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		<-t.held
		d.leave(key, t)
		return nil, fmt.Errorf("wait for one of %d slots: %w", cap(d.slots), ctx.Err())
	}
	return func() {
		<-d.slots
		<-t.held
		d.leave(key, t)
	}, nil
}

func (d *Dialer) join(key string) *turn {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.turns[key]
	if t == nil {
		t = &turn{held: make(chan struct{}, 1)}
		d.turns[key] = t
	}
	t.users++
	return t
}

func (d *Dialer) leave(key string, t *turn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(d.turns, key)
	}
}
