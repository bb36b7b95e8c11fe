package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"drpd/pkg/api"
	"drpd/pkg/auth/claim"
	"drpd/pkg/auth/password"
	"drpd/pkg/auth/token"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
)

// MaxTTL bounds the life of a token, and is that of an infinite one;
// DefaultTTL is used when none is asked for.
const (
	MaxTTL     = 3 * 365 * 24 * time.Hour
	DefaultTTL = time.Hour
)

// Narrow asks for a token that may do less than its user. The zero Narrow asks
// for all.
type Narrow struct {
	Roles []string   // no more than what these allow
	Claim *api.Claim // or this
}

// UserToken issues a token for a user on behalf of by, which is the zero
// Identity for the server itself. Roles that would widen it are left out.
// Nobody gets a token that may do what they may not.
func (a *Auth) UserToken(by Identity, name string, ttl time.Duration, n Narrow) (string, error) {
	v := a.cfg.DB.View()
	u, err := api.Users.Get(v, name)
	if err != nil {
		return "", err
	}
	d := a.directory(v)
	p := token.Payload{Subject: name, Kind: token.User, Key: name}
	if err := narrow(&p, d, u, by, n); err != nil {
		return "", err
	}
	if by.g != nil && by.Key != name && (!by.actsFor(name) || !by.Contains(grants(d, u, p))) {
		return "", exceeds(by, "users", name, "a token of "+name)
	}
	return a.mint(by, p, ttl)
}

// narrow puts into the payload what the token is limited to.
func narrow(p *token.Payload, d *directory, u *api.User, by Identity, n Narrow) error {
	has := func(claims []api.Claim) bool { return claim.Contains(d.named(u.Roles), claims) }
	inherits := by.g != nil && by.g.only != nil
	if inherits { // nobody gets more out of a limited token
		has = by.Contains
	}
	for _, role := range n.Roles {
		if s := d.sets[role]; s != nil && has(s.Claims()) {
			p.Roles = append(p.Roles, role)
		}
	}
	if len(n.Roles) > 0 && len(p.Roles) == 0 {
		return resource.Errorf(resource.Invalid, "users", u.Name, "the user has none of the roles %q: leave them out or ask for others", n.Roles)
	}
	if n.Claim != nil {
		if inherits && !has([]api.Claim{*n.Claim}) {
			return exceeds(by, "users", u.Name, "a token for "+n.Claim.Scope)
		}
		p.Claims = append(p.Claims, token.Claim(*n.Claim))
	}
	if inherits && len(p.Roles) == 0 && len(p.Claims) == 0 {
		p.Roles, p.Claims = by.g.payload.Roles, by.g.payload.Claims
	}
	return nil
}

// grants are the claims of a token of the user: what they are narrowed to, if
// they are, else all that the user has.
func grants(d *directory, u *api.User, p token.Payload) []api.Claim {
	out := claimsOf(p)
	roles := p.Roles
	if len(roles) == 0 && len(out) == 0 {
		roles = u.Roles
	}
	for _, s := range d.named(roles) {
		out = append(out, s.Claims()...)
	}
	return out
}

// actsFor says whether the caller may speak for a user at all: one of a tenant
// only for users of that tenant.
func (i Identity) actsFor(user string) bool {
	return i.Kind == token.Plugin || i.IsUser() && (i.g.limit == nil || i.g.dir.limits[user] == i.g.limit)
}

func exceeds(by Identity, kind, key, what string) error {
	return resource.Errorf(resource.Forbidden, kind, key, "%s may not give %s: it allows more than %s may do", by.Name, what, by.Name)
}

// MachineToken issues the token of an agent. by is the zero Identity when the
// server itself hands it out, as the answer to whoami or in a boot script.
func (a *Auth) MachineToken(by Identity, id string, ttl time.Duration) (string, error) {
	if _, m := api.Runner(a.cfg.DB.View(), id); m == nil {
		return "", resource.Errorf(resource.NotFound, "machines", id, "not found")
	}
	p := token.Payload{Subject: "machines/" + id, Kind: token.Machine, Key: id}
	switch {
	case by.Machine() == id && (by.g.claim != "" || by.Kind == token.Job): // what an agent hands on ends with its own claim
		p.Claim = by.claimTo(a.cfg.DB.View(), id)
	case by.g != nil:
		p.Over = claimNow(a.cfg.DB.View(), id)
	}
	return a.mint(by, p, ttl)
}

// AgentToken is a token of the machine for the caller, and ends with their claim.
func (a *Auth) AgentToken(by Identity, machine string, ttl time.Duration) (string, error) {
	return a.mint(Identity{}, token.Payload{Subject: "machines/" + machine, Kind: token.Machine, Key: machine,
		Claim: by.claimTo(a.cfg.DB.View(), machine)}, ttl)
}

// claimTo is the claim on which rests what the caller gets of the machine: their
// own, also if another has replaced it meanwhile, for then it gives nothing. Who
// has none, as a user, gets what rests on that of whoever speaks for it now.
func (i Identity) claimTo(r resource.Reader, machine string) string {
	if i.Machine() == machine && i.g.claim != "" {
		return i.g.claim
	}
	return claimNow(r, machine)
}

// Present refuses a caller whose claim to be a machine was replaced since their
// token was looked at.
func (i Identity) Present(r resource.Reader) error {
	if i.g == nil || i.g.claim == "" || claimNow(r, i.g.machine) == i.g.claim {
		return nil
	}
	return resource.Errorf(resource.Forbidden, "machines", i.g.machine, "another has proven to be the machine since: say whoami again")
}

// BootToken issues the token for the boot script of an unknown machine: it can
// ask whoami and create a machine, nothing else.
func (a *Auth) BootToken(ttl time.Duration) (string, error) {
	return a.mint(Identity{}, token.Payload{Subject: "boot", Kind: token.Boot}, ttl)
}

// UnknownToken is BootToken for templates of content, whose scripts look for
// their machine themselves: it also reads machines that never ran a job.
func (a *Auth) UnknownToken(ttl time.Duration) (string, error) {
	return a.mint(Identity{}, token.Payload{Subject: "unknown", Kind: token.Unknown}, ttl)
}

// ProfileToken lets a machine read and change one profile, secure params
// included, for as long as it carries that profile; at most for MaxTTL.
func (a *Auth) ProfileToken(by Identity, machine, profile string, ttl time.Duration) (string, error) {
	v := a.cfg.DB.View()
	if !carries(v, machine, profile) {
		return "", notCarried(machine, profile)
	}
	return a.mint(Identity{}, token.Payload{Subject: "machines/" + machine, Kind: token.Profile, Key: machine,
		Claims: profileClaims(profile), Claim: by.claimTo(v, machine)}, min(ttl, MaxTTL))
}

func notCarried(machine, profile string) error {
	return resource.Errorf(resource.Invalid, "profiles", profile, "machine %s does not carry the profile", machine)
}

func profileClaims(profile string) []token.Claim {
	return []token.Claim{{Scope: "profiles", Action: "get,list,update,getSecure,updateSecure", Specific: profile}}
}

// claimNow is the claim of whoever speaks for the machine now.
func claimNow(r resource.Reader, machine string) string {
	c, err := proof.Claims.Get(r, machine)
	if err != nil {
		return ""
	}
	return c.Id
}

// JobClaims are what a task adds to the rights of its machine while a job runs
// it: the claims of its extra roles, then its own.
func JobClaims(r resource.Reader, t *api.Task) []api.Claim {
	var out []api.Claim
	for _, name := range t.ExtraRoles {
		out = append(out, roleClaims(r, name)...)
	}
	return append(out, t.ExtraClaims...)
}

// JobToken issues the token of a job with extra claims. It is good only while
// the job is its machine's current one and has not ended. Give it to the agent
// in the reply that starts the job; never store it.
func (a *Auth) JobToken(by Identity, job *api.Job, claims []api.Claim) (string, error) {
	p := token.Payload{Subject: "machines/" + job.Machine, Kind: token.Job, Key: job.Uuid}
	if job.Context == "" { // else the server's own process runs it
		p.Claim = by.claimTo(a.cfg.DB.View(), job.Machine)
	}
	for _, c := range claims {
		p.Claims = append(p.Claims, token.Claim(c))
	}
	return a.mint(Identity{}, p, MaxTTL)
}

func roleClaims(r resource.Reader, name string) []api.Claim {
	if name == Superuser {
		return []api.Claim{claim.Everything()}
	}
	if role, err := api.Roles.Get(r, name); err == nil {
		return role.Claims
	}
	return nil
}

func (a *Auth) mint(by Identity, p token.Payload, ttl time.Duration) (string, error) {
	if ttl == 0 {
		ttl = DefaultTTL
	}
	if ttl < time.Second || ttl > MaxTTL {
		return "", resource.Errorf(resource.Malformed, "", "", "ttl %s is outside 1s..%s", ttl, MaxTTL)
	}
	if by.Kind == token.User && (by.Key != p.Key || p.Kind != token.User) {
		p.Grantor = by.Key
	} else if by.g != nil {
		p.Grantor = by.g.payload.Grantor
	}
	p.Issued = a.cfg.Now().Truncate(time.Second)
	p.Expires = p.Issued.Add(ttl)
	v := a.cfg.DB.View()
	s, err := a.directory(v).secrets(v, p)
	if err != nil {
		return "", fmt.Errorf("bind token of %s: %w", p.Subject, err)
	}
	return token.Mint((*a.keys.Load())[0], p, s)
}

// SetPassword stores a new password for a user on behalf of by, and revokes
// all tokens of the user. Whoever could log in as another may do all that the
// other may: so nobody sets the password of a user who may do more.
func (a *Auth) SetPassword(ctx context.Context, by Identity, name, secret string) error {
	if secret == "" || len(secret) > password.MaxLen {
		return resource.Errorf(resource.Invalid, "users", name, "a password has 1 to %d bytes", password.MaxLen)
	}
	u, err := api.Users.Get(a.cfg.DB.View(), name)
	if err != nil {
		return err
	}
	if err := a.mayBe(by, u); err != nil {
		return err
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

func (a *Auth) mayBe(by Identity, u *api.User) error {
	if by.g == nil || by.IsUser() && by.Key == u.Name && by.g.only == nil {
		return nil
	}
	if !by.actsFor(u.Name) || !by.Contains(grants(a.directory(a.cfg.DB.View()), u, token.Payload{})) {
		return exceeds(by, "users", u.Name, "themselves the rights of "+u.Name)
	}
	return nil
}

// Revoke makes a new secret for a user or machine: all tokens bound to the old
// one end at once.
func (a *Auth) Revoke(ctx context.Context, kind, key string) error {
	return a.cfg.DB.Update(ctx, func(tx *resource.Tx) error {
		if kind == api.Users.Name {
			return api.Users.Modify(tx, key, func(u *api.User) error { u.Secret = uuid.NewString(); return nil })
		}
		for _, k := range api.MachineLike() {
			if k.Name == kind {
				return k.Modify(tx, key, func(m *api.Machine) error { m.Secret = uuid.NewString(); return nil })
			}
		}
		return errors.New("objects of " + kind + " have no secret")
	})
}
