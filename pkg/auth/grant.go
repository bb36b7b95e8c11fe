package auth

import (
	"fmt"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/auth/claim"
	"drpd/pkg/auth/token"
	"drpd/pkg/resource"
)

// Superuser is the role that allows everything, even if no such object exists.
const Superuser = "superuser"

// Preferences that hold secrets of the server: a change of the first revokes
// every token, of the second those that the server itself gave to machines.
const (
	PrefBaseSecret    = api.PrefBaseSecret
	PrefGrantorSecret = api.PrefGrantorSecret
)

// directory is what roles, tenants and preferences say, compiled: made anew
// when one of these kinds changes, so that nobody scans them for a request.
type directory struct {
	roles, tenants, prefs resource.Stamp

	sets          map[string]*claim.Set // by role
	limits        map[string]*limit     // by user
	base, granted string                // values of the two preferences
}

func (a *Auth) directory(v *resource.View) *directory {
	roles, tenants, prefs := api.Roles.Stamp(v), api.Tenants.Stamp(v), api.Preferences.Stamp(v)
	if d := a.dir.Load(); d != nil && d.roles == roles && d.tenants == tenants && d.prefs == prefs {
		return d
	}
	d := &directory{roles: roles, tenants: tenants, prefs: prefs,
		sets: map[string]*claim.Set{}, limits: map[string]*limit{}}
	for r := range api.Roles.All(v) {
		d.sets[r.Name] = claim.Compile(r.Claims)
	}
	d.sets[Superuser] = claim.Compile([]api.Claim{claim.Everything()})
	for t := range api.Tenants.All(v) {
		l := newLimit(t)
		for _, user := range t.Users {
			d.limits[user] = l
		}
	}
	for name, at := range map[string]*string{PrefBaseSecret: &d.base, PrefGrantorSecret: &d.granted} {
		if p, err := api.Preferences.Get(v, name); err == nil {
			*at = p.Value
		}
	}
	a.dir.Store(d)
	return d
}

// named are the sets of roles; a role that does not exist allows nothing.
func (d *directory) named(roles []string) []*claim.Set {
	out := make([]*claim.Set, 0, len(roles))
	for _, name := range roles {
		if s := d.sets[name]; s != nil {
			out = append(out, s)
		}
	}
	return out
}

// grant is what some credentials allow, as of one state of the objects that
// they rest on. It is never changed.
type grant struct {
	payload token.Payload
	secrets token.Secrets // what payload was bound to
	sets    []*claim.Set  // what roles, or the claims of a job or profile token, allow
	only    []*claim.Set  // if not nil, of that only what one of these covers
	limit   *limit        // the user's tenant
	machine string        // that a machine's, job's or profile's token speaks for
	claim   string        // to be that machine, which the token rests on; "" if on none

	dir      *directory
	users    resource.Stamp
	pointers *pointers
}

// grantOf works out what a payload allows now.
func (a *Auth) grantOf(v *resource.View, p token.Payload) (*grant, error) {
	d := a.directory(v)
	g := &grant{payload: p, dir: d, users: api.Users.Stamp(v), pointers: &a.points}
	if err := a.ended(p); err != nil {
		return nil, err
	}
	var err error
	if g.secrets, err = d.secrets(v, p); err != nil {
		return nil, err
	}
	switch p.Kind {
	case token.User:
		u, err := api.Users.Get(v, p.Key)
		if err != nil {
			return nil, err
		}
		g.sets, g.limit = d.named(u.Roles), d.limits[p.Key]
		if len(p.Roles) > 0 || len(p.Claims) > 0 {
			g.only = append(d.named(p.Roles), claim.Compile(claimsOf(p)))
		}
	case token.Machine, token.Job, token.Profile:
		m, err := machineOf(v, p.Kind, p.Key)
		if err != nil {
			return nil, err
		}
		g.machine = m.Uuid
		if err := d.lends(v, p); err != nil {
			return nil, err
		}
		if g.claim, err = claimOf(v, m.Uuid, p); err != nil {
			return nil, err
		}
		g.sets = []*claim.Set{claim.Compile(claimsOf(p))}
	case token.Plugin:
		g.sets = d.named([]string{Superuser})
	}
	return g, nil
}

// lends refuses a machine's token whose grantor may not give one any more: what
// somebody lends ends with their own right to it.
func (d *directory) lends(v *resource.View, p token.Payload) error {
	if p.Kind != token.Machine || p.Grantor == "" {
		return nil
	}
	u, err := api.Users.Get(v, p.Grantor)
	if err != nil {
		return fmt.Errorf("%w: user %s is gone", token.ErrRevoked, p.Grantor)
	}
	i := Identity{Kind: token.User, Key: u.Name, g: &grant{sets: d.named(u.Roles), limit: d.limits[u.Name]}, view: v}
	if k, _ := api.Runner(v, p.Key); k == nil || !i.Allow(k.Name, "token", p.Key) {
		return fmt.Errorf("%w: user %s, who gave it, may not any more", token.ErrRevoked, u.Name)
	}
	return nil
}

func claimsOf(p token.Payload) []api.Claim {
	out := make([]api.Claim, 0, len(p.Claims))
	for _, c := range p.Claims {
		out = append(out, api.Claim{Scope: c.Scope, Action: c.Action, Specific: c.Specific})
	}
	return out
}

// current is the grant as of a newer view: itself if nothing that it rests on
// has changed, an error if it has ended.
func (a *Auth) current(v *resource.View, g *grant, now time.Time) (*grant, error) {
	if !g.payload.Expires.IsZero() && !now.Before(g.payload.Expires) {
		return nil, fmt.Errorf("%w: %w", ErrDenied, token.ErrExpired)
	}
	if err := a.ended(g.payload); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDenied, err)
	}
	if g.dir == a.directory(v) && g.users == api.Users.Stamp(v) && g.sameMachine(v) {
		return g, nil
	}
	fresh, err := a.grantOf(v, g.payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDenied, err)
	}
	if fresh.secrets != g.secrets {
		return nil, fmt.Errorf("%w: %w", ErrDenied, token.ErrRevoked)
	}
	return fresh, nil
}

func (g *grant) sameMachine(v *resource.View) bool {
	if g.machine == "" {
		return true
	}
	m, err := machineOf(v, g.payload.Kind, g.payload.Key)
	if err != nil || m.Uuid != g.machine || m.Secret != g.secrets.Machine {
		return false
	}
	held, err := claimOf(v, g.machine, g.payload)
	return err == nil && held == g.claim
}

// secrets are what a token is bound to now.
func (d *directory) secrets(v *resource.View, p token.Payload) (token.Secrets, error) {
	s := token.Secrets{System: d.base}
	if p.Grantor != "" {
		u, err := api.Users.Get(v, p.Grantor)
		if err != nil {
			return s, fmt.Errorf("%w: user %s is gone", token.ErrRevoked, p.Grantor)
		}
		s.Grantor = u.Secret
	} else if p.Kind != token.User {
		s.Grantor = d.granted
	}
	switch p.Kind {
	case token.User:
		u, err := api.Users.Get(v, p.Key)
		if err != nil {
			return s, fmt.Errorf("%w: user %s is gone", token.ErrRevoked, p.Key)
		}
		s.User = u.Secret
	case token.Machine, token.Job, token.Profile:
		m, err := machineOf(v, p.Kind, p.Key)
		if err != nil {
			return s, err
		}
		s.Machine = m.Secret
	}
	return s, nil
}

// machineOf finds the machine that a token speaks for. A job's token ends with
// the job.
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
