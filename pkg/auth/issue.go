package auth

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"drpd/pkg/api"
	"drpd/pkg/auth/password"
	"drpd/pkg/auth/token"
	"drpd/pkg/resource"
)

// MaxTTL bounds the life of a token; DefaultTTL is used when none is asked for.
const (
	MaxTTL     = 3 * 365 * 24 * time.Hour
	DefaultTTL = time.Hour
)

// UserToken issues a token for a user on behalf of by. With roles it is
// limited to what those allow.
func (a *Auth) UserToken(by Identity, name string, ttl time.Duration, roles []string) (string, error) {
	v := a.cfg.DB.View()
	if _, err := api.Users.Get(v, name); err != nil {
		return "", err
	}
	p := token.Payload{Subject: name, Kind: token.User, Key: name}
	if len(roles) > 0 {
		for _, c := range roleClaims(v, roles) {
			p.Claims = append(p.Claims, token.Claim{Scope: c.Scope, Action: c.Action, Specific: c.Specific})
		}
		if len(p.Claims) == 0 {
			return "", resource.Errorf(resource.Invalid, "users", name, "the roles %q allow nothing", roles)
		}
	}
	if by.only != nil { // nobody gets more out of a limited token
		p.Claims = nil
		for _, c := range by.only {
			p.Claims = append(p.Claims, token.Claim{Scope: c.Scope, Action: c.Action, Specific: c.Specific})
		}
	}
	return a.mint(by, p, ttl)
}

// MachineToken issues the token of an agent. by is the zero Identity when the
// server itself hands it out, as the answer to whoami or in a boot script.
func (a *Auth) MachineToken(by Identity, id string, ttl time.Duration) (string, error) {
	if _, m := api.Runner(a.cfg.DB.View(), id); m == nil {
		return "", resource.Errorf(resource.NotFound, "machines", id, "not found")
	}
	return a.mint(by, token.Payload{Subject: "machines/" + id, Kind: token.Machine, Key: id}, ttl)
}

// BootToken issues the token for the boot script of an unknown machine: it can
// ask whoami and create a machine, nothing else.
func (a *Auth) BootToken(ttl time.Duration) (string, error) {
	return a.mint(Identity{}, token.Payload{Subject: "boot", Kind: token.Boot}, ttl)
}

// JobToken issues the token of a task with extra claims. It ends with the job.
func (a *Auth) JobToken(job string, ttl time.Duration) (string, error) {
	return a.mint(Identity{}, token.Payload{Subject: "jobs/" + job, Kind: token.Job, Key: job}, ttl)
}

func (a *Auth) mint(by Identity, p token.Payload, ttl time.Duration) (string, error) {
	if ttl == 0 {
		ttl = DefaultTTL
	}
	if ttl < time.Second || ttl > MaxTTL {
		return "", resource.Errorf(resource.Malformed, "", "", "ttl %s is outside 1s..%s", ttl, MaxTTL)
	}
	if by.Kind == token.User && by.Key != p.Key {
		p.Grantor = by.Key
	} else if by.Kind != "" {
		p.Grantor = by.payload.Grantor
	}
	p.Issued = a.cfg.Now().Truncate(time.Second)
	p.Expires = p.Issued.Add(ttl)
	s, err := a.secrets(p)
	if err != nil {
		return "", fmt.Errorf("bind token of %s: %w", p.Subject, err)
	}
	return token.Mint(a.cfg.Keys[0], p, s)
}

// SetPassword stores a new password and revokes all tokens of the user.
func (a *Auth) SetPassword(ctx context.Context, name, secret string) error {
	if secret == "" || len(secret) > password.MaxLen {
		return resource.Errorf(resource.Invalid, "users", name, "a password has 1 to %d bytes", password.MaxLen)
	}
	hash, err := password.Hash(secret, a.cfg.Scrypt)
	if err != nil {
		return err
	}
	return a.cfg.DB.Update(ctx, func(tx *resource.Tx) error {
		return api.Users.Modify(tx, name, func(u *api.User) error {
			u.PasswordHash, u.Secret = hash, uuid.NewString()
			return nil
		})
	})
}

// FirstUser is the user that Bootstrap creates.
const FirstUser = "rocketskates"

// Bootstrap creates the superuser role and, if there is no user at all, the
// first one with a random password, which is returned and never stored.
func Bootstrap(ctx context.Context, db *resource.DB) (secret string, created bool, err error) {
	secret = password.Random(16)
	hash, err := password.Hash(secret, password.DefaultParams())
	if err != nil {
		return "", false, err
	}
	err = db.Update(ctx, func(tx *resource.Tx) error {
		created = false
		if !api.Roles.Has(tx, Superuser) {
			all := []api.Claim{{Scope: "*", Action: "*", Specific: "*"}}
			if err := api.Roles.Create(tx, &api.Role{Name: Superuser, Claims: all}); err != nil {
				return err
			}
		}
		if api.Users.Len(tx) > 0 {
			return nil
		}
		created = true
		return api.Users.Create(tx, &api.User{Name: FirstUser, PasswordHash: hash, Roles: []string{Superuser}})
	})
	if err != nil || !created {
		return "", false, err
	}
	return secret, true, nil
}
