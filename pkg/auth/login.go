package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/auth/password"
	"drpd/pkg/auth/token"
)

// AuthMethod is the key of a user's Meta that names the plugin which checks
// their password.
const AuthMethod = "auth-method"

func (a *Auth) byPassword(ctx context.Context, name, secret string, now time.Time) (Identity, error) {
	v := a.cfg.DB.View()
	u, err := api.Users.Get(v, name)
	if err != nil || u.PasswordHash == "" || u.Meta[AuthMethod] != "" {
		a.verifyNothing(ctx, secret)
		if err == nil && u.Meta[AuthMethod] != "" { // not told to the caller: it would say that the user exists
			a.cfg.Log.Warn("password login refused: a plugin is to check it, and none does", "user", name, "method", u.Meta[AuthMethod])
		}
		return Identity{}, fmt.Errorf("%w for user %q", ErrDenied, name)
	}
	if !a.logins.known(name, secret, u.PasswordHash, now) {
		err := a.verifyOnce(ctx, name, u.PasswordHash, secret)
		if ctx.Err() != nil {
			return Identity{}, ctx.Err()
		}
		if err != nil {
			return Identity{}, fmt.Errorf("%w for user %q", ErrDenied, name)
		}
		a.logins.add(name, secret, u.PasswordHash, now)
		a.Audit(ctx, Record{Action: "login", Actor: name})
	}
	g, err := a.grantOf(v, token.Payload{Subject: u.Name, Kind: token.User, Key: u.Name})
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrDenied, err)
	}
	return g.identity(v), nil
}

// verifyOnce is verify, but of many who ask the same at once only one computes.
func (a *Auth) verifyOnce(ctx context.Context, name, hash, secret string) error {
	digest := a.logins.digest(name, secret, hash)
	for {
		_, err, _ := a.verifying.Do(string(digest[:]), func() (any, error) { return nil, a.verify(ctx, hash, secret) })
		if ctx.Err() == nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
			continue // it was another's request that ended
		}
		return err
	}
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

// byToken checks a token that is not in the cache, and puts it there.
func (a *Auth) byToken(text string, now time.Time) (Identity, error) {
	if len(text) > token.MaxLen {
		return Identity{}, fmt.Errorf("%w: the token has more than %d bytes", ErrDenied, token.MaxLen)
	}
	v := a.cfg.DB.View()
	p, err := token.Verify(now, text, *a.keys.Load(), func(p token.Payload) (token.Secrets, error) {
		return a.directory(v).secrets(v, p)
	})
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrDenied, err)
	}
	g, err := a.grantOf(v, p)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrDenied, err)
	}
	a.tokens.put(sha256.Sum256([]byte(text)), g, now)
	return g.identity(v), nil
}

// byKnownToken is a token whose signature was checked before. What it rests on
// is looked at each time.
func (a *Auth) byKnownToken(text string, now time.Time) (Identity, bool) {
	key := sha256.Sum256([]byte(text))
	g := a.tokens.get(key)
	if g == nil {
		return Identity{}, false
	}
	v := a.cfg.DB.View()
	fresh, err := a.current(v, g, now)
	if err != nil {
		a.tokens.drop(key)
		return Identity{}, false // byToken says why
	}
	if fresh != g {
		a.tokens.put(key, fresh, now)
	}
	return fresh.identity(v), true
}

// tokensMax bounds the cache of tokens: about 1 KiB each.
const tokensMax = 8192

// tokens are grants by the SHA-256 of the token that they were found for.
type tokens struct {
	mu sync.RWMutex // guards by
	by map[[32]byte]*grant
}

func newTokens() *tokens { return &tokens{by: map[[32]byte]*grant{}} }

func (t *tokens) get(key [32]byte) *grant {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.by[key]
}

func (t *tokens) drop(key [32]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.by, key)
}

func (t *tokens) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.by)
}

func (t *tokens) put(key [32]byte, g *grant, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.by) >= tokensMax && t.by[key] == nil {
		t.makeRoom(now)
	}
	t.by[key] = g
}

// makeRoom drops what has expired, and then any until an eighth is free: a map
// yields its entries in no order.
func (t *tokens) makeRoom(now time.Time) {
	for key, g := range t.by {
		if !now.Before(g.payload.Expires) {
			delete(t.by, key)
		}
	}
	for key := range t.by {
		if len(t.by) <= tokensMax-tokensMax/8 {
			return
		}
		delete(t.by, key)
	}
}
