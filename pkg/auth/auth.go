// Package auth says who is calling and what they may do.
//
// A caller is a user (by password or token), a machine's agent, a job of one,
// or a machine that is still unknown and only holds the token of its boot
// script. Tokens are bound to the secrets of those they speak for: changing a
// User.Secret or Machine.Secret revokes all of theirs.
package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"drpd/pkg/auth/password"
	"drpd/pkg/auth/token"
	"drpd/pkg/resource"
)

// Errors to test for with errors.Is.
var (
	// ErrAnonymous means that the request carries no credentials at all.
	ErrAnonymous = errors.New("no credentials: send a token or a user and password")
	// ErrDenied means that the credentials are wrong, expired or revoked.
	ErrDenied = errors.New("wrong credentials")
	// ErrTooMany means that the address failed too often; try later.
	ErrTooMany = errors.New("too many failed logins from this address: wait a minute")
)

// Config makes an Auth. DB and Keys are required.
type Config struct {
	DB       *resource.DB
	Keys     [][]byte         // token.KeySize bytes each; the first signs, all verify
	Scrypt   password.Params  // cost of new hashes; default password.DefaultParams()
	Failures int              // failed logins per address and minute; default 10
	Now      func() time.Time // default time.Now
	Log      *slog.Logger     // default: discard
	Audit    func(Record)     // is given each record; it must not block. Nil: only the ring and the log have them
}

// Auth authenticates requests and issues tokens. Its methods may be called
// from any goroutine.
type Auth struct {
	cfg    Config
	logins *logins
	tokens *tokens
	limit  *limiter
	keys   atomic.Pointer[[][]byte] // see SetKeys
	dir    atomic.Pointer[directory]
	points pointers
	trail  trail
	alive  sync.Map // ids of plugins' processes that run, see PluginToken
	// hashing bounds the memory of concurrent scrypt runs, 32 MiB each.
	hashing   chan struct{}
	verifying singleflight.Group // logins by their digest
	signs     signs
	// superseded is when the use of an ended token was told last, by machine.
	superseded sync.Map
}

// New checks the configuration.
func New(cfg Config) (*Auth, error) {
	if cfg.DB == nil || len(cfg.Keys) == 0 {
		return nil, errors.New("auth needs a DB and at least one token key")
	}
	for i, k := range cfg.Keys {
		if len(k) != token.KeySize {
			return nil, fmt.Errorf("token key %d has %d bytes, want %d", i, len(k), token.KeySize)
		}
	}
	if cfg.Scrypt == (password.Params{}) {
		cfg.Scrypt = password.DefaultParams()
	}
	if cfg.Failures == 0 {
		cfg.Failures = 10
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	a := &Auth{cfg: cfg, signs: signs{started: cfg.Now()}, logins: newLogins(), tokens: newTokens(), limit: newLimiter(cfg.Failures), hashing: make(chan struct{}, 4)}
	a.keys.Store(&cfg.Keys)
	return a, nil
}

// nobody is a caller whose token says nothing any more. As such they may ask who
// they are: an operator may have let them in.
func (a *Auth) nobody() (Identity, error) {
	v := a.cfg.DB.View()
	g, err := a.grantOf(v, token.Payload{Subject: "boot", Kind: token.Boot})
	if err != nil {
		return Identity{}, err
	}
	return g.identity(v), nil
}

// SetKeys replaces the keys: the first signs, all verify. Tokens of a key that
// is gone end.
func (a *Auth) SetKeys(keys [][]byte) {
	a.keys.Store(&keys)
	a.tokens.clear()
}

// Authenticate reads the credentials of a request: HTTP Basic, a bearer token,
// or ?token= (a token, or user:password), which browsers need for websockets.
func (a *Auth) Authenticate(ctx context.Context, r *http.Request) (Identity, error) {
	user, secret, err := credentials(r)
	if err != nil {
		return Identity{}, err
	}
	user = user[:min(len(user), 255)] // names are no longer; logs need not be
	now := a.cfg.Now()
	from := clientAddr(r)
	if user == "" {
		// A token that was valid a moment ago was not guessed: no limit on it.
		if id, ok := a.byKnownToken(secret, now); ok {
			return a.present(ctx, id, from, r.URL.Path, now)
		}
	}
	if !a.limit.allowed(from, now) {
		return Identity{}, ErrTooMany
	}
	var id Identity
	if user != "" {
		id, err = a.byPassword(ctx, user, secret, now)
	} else {
		if id, err = a.byToken(secret, now); err == nil {
			return a.present(ctx, id, from, r.URL.Path, now)
		}
	}
	if errors.Is(err, ErrDenied) {
		a.noteSuperseded(ctx, err, from, now)
		if _, ok := errors.AsType[*supersededError](err); ok && r.URL.Path == whoamiPath {
			return a.nobody()
		}
		a.limit.failed(from, now)
		a.Audit(ctx, Record{Action: "refused", Actor: user, Note: err.Error()})
	}
	return id, err
}

// present checks what a token says of its bearer, and notes that a machine's
// agent is there.
func (a *Auth) present(ctx context.Context, id Identity, from, path string, now time.Time) (Identity, error) {
	id, err := a.ticketed(ctx, id, from, path, now)
	if err == nil && id.g.claim != "" {
		a.signs.saw(id.g.machine, now)
	}
	return id, err
}

// credentials returns a user and password, or only a token as secret.
func credentials(r *http.Request) (user, secret string, err error) {
	if u, p, ok := r.BasicAuth(); ok {
		return userAndPassword(u, p)
	}
	scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") && rest != "" {
		return "", strings.TrimSpace(rest), nil
	}
	t := r.URL.Query().Get("token")
	if t == "" {
		return "", "", ErrAnonymous
	}
	if u, p, ok := strings.Cut(t, ":"); ok {
		return userAndPassword(u, p)
	}
	return "", t, nil
}

func userAndPassword(u, p string) (string, string, error) {
	if u == "" || p == "" {
		return "", "", ErrAnonymous
	}
	return u, p, nil
}

func clientAddr(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return strings.TrimPrefix(host, "::ffff:")
}
