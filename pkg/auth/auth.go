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
	"time"

	"drpd/pkg/api"
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
}

// Auth authenticates requests and issues tokens. Its methods may be called
// from any goroutine.
type Auth struct {
	cfg    Config
	logins *logins
	limit  *limiter
	// hashing bounds the memory of concurrent scrypt runs, 32 MiB each.
	hashing chan struct{}
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
	return &Auth{cfg: cfg, logins: newLogins(), limit: newLimiter(cfg.Failures), hashing: make(chan struct{}, 4)}, nil
}

// Authenticate reads the credentials of a request: HTTP Basic, a bearer token,
// or ?token= (a token, or user:password), which browsers need for websockets.
func (a *Auth) Authenticate(ctx context.Context, r *http.Request) (Identity, error) {
	user, secret, err := credentials(r)
	if err != nil {
		return Identity{}, err
	}
	from := clientAddr(r)
	if !a.limit.allowed(from, a.cfg.Now()) {
		return Identity{}, ErrTooMany
	}
	var id Identity
	if user != "" {
		id, err = a.byPassword(ctx, user, secret)
	} else {
		id, err = a.byToken(secret)
	}
	if errors.Is(err, ErrDenied) {
		a.limit.failed(from, a.cfg.Now())
		a.cfg.Log.Warn("credentials refused", "client", from, "user", user, "err", err)
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
	return host
}

func (a *Auth) byPassword(ctx context.Context, name, secret string) (Identity, error) {
	u, err := api.Users.Get(a.cfg.DB.View(), name)
	if err != nil || u.PasswordHash == "" {
		a.verifyNothing(ctx, secret)
		return Identity{}, fmt.Errorf("%w for user %q", ErrDenied, name)
	}
	now := a.cfg.Now()
	if !a.logins.known(name, secret, u.PasswordHash, now) {
		if err := a.verify(ctx, u.PasswordHash, secret); err != nil {
			return Identity{}, fmt.Errorf("%w for user %q", ErrDenied, name)
		}
		a.logins.add(name, secret, u.PasswordHash, now)
	}
	p := token.Payload{Subject: u.Name, Kind: token.User, Key: u.Name}
	return a.refresh(Identity{Name: u.Name, Kind: token.User, Key: u.Name, payload: p, secrets: token.Secrets{User: u.Secret}})
}

func (a *Auth) verify(ctx context.Context, hash, secret string) error {
	select {
	case a.hashing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-a.hashing }()
	return password.Verify(hash, secret)
}

// verifyNothing takes as long as verify, so that the time does not tell which
// users exist.
func (a *Auth) verifyNothing(ctx context.Context, secret string) {
	select {
	case a.hashing <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-a.hashing }()
	_, _ = password.Hash(secret, a.cfg.Scrypt)
}

func (a *Auth) byToken(text string) (Identity, error) {
	if len(text) > token.MaxLen {
		return Identity{}, fmt.Errorf("%w: the token has more than %d bytes", ErrDenied, token.MaxLen)
	}
	p, err := token.Verify(a.cfg.Now(), text, a.cfg.Keys, a.secrets)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrDenied, err)
	}
	id := Identity{Name: p.Subject, Kind: p.Kind, Key: p.Key, Expires: p.Expires, payload: p}
	if id.secrets, err = a.secrets(p); err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrDenied, err)
	}
	for _, c := range p.Claims {
		id.only = append(id.only, api.Claim{Scope: c.Scope, Action: c.Action, Specific: c.Specific})
	}
	return a.refresh(id)
}

// secrets are what a token is bound to now.
func (a *Auth) secrets(p token.Payload) (token.Secrets, error) {
	v := a.cfg.DB.View()
	var s token.Secrets
	if p.Grantor != "" {
		u, err := api.Users.Get(v, p.Grantor)
		if err != nil {
			return s, fmt.Errorf("%w: user %s is gone", token.ErrRevoked, p.Grantor)
		}
		s.Grantor = u.Secret
	}
	switch p.Kind {
	case token.User:
		u, err := api.Users.Get(v, p.Key)
		if err != nil {
			return s, fmt.Errorf("%w: user %s is gone", token.ErrRevoked, p.Key)
		}
		s.User = u.Secret
	case token.Machine, token.Job:
		m, err := machineOf(v, p.Kind, p.Key)
		if err != nil {
			return s, err
		}
		s.Machine = m.Secret
	}
	return s, nil
}

// machineOf finds the machine that a machine or job token speaks for. A job's
// token ends with the job.
func machineOf(v *resource.View, kind token.Kind, key string) (*api.Machine, error) {
	if kind == token.Job {
		j, err := api.Jobs.Get(v, key)
		if err != nil || j.Ended() || !j.Current {
			return nil, fmt.Errorf("%w: job %s is over", token.ErrRevoked, key)
		}
		key = j.Machine
	}
	if _, m := api.Runner(v, key); m != nil {
		return m, nil
	}
	return nil, fmt.Errorf("%w: machine %s is gone", token.ErrRevoked, key)
}
