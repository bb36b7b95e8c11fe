package auth

import (
	"fmt"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/auth/claim"
	"drpd/pkg/auth/token"
	"drpd/pkg/resource"
)

// Identity is an authenticated caller. The zero Identity may do nothing; as
// the grantor of a token it stands for the server itself.
type Identity struct {
	Name    string     // for audit and events: a user's name, or machines/<uuid>
	Kind    token.Kind // what the caller is
	Key     string     // user name, machine or job uuid
	Expires time.Time  // zero for a login by password

	g    *grant
	view *resource.View // what Allow looks things up in: Allow may be called inside an update
}

func (g *grant) identity(v *resource.View) Identity {
	p := &g.payload
	return Identity{Name: p.Subject, Kind: p.Kind, Key: p.Key, Expires: p.Expires, g: g, view: v}
}

// Held is what the caller's token says of its claim to be a machine: the claim
// that it rests on, or the ticket that it is and the boot that this was made for.
// operator says that it is an operator's word.
func (i Identity) Held() (claim, ticket, intent string, operator bool) {
	if i.g == nil {
		return "", "", "", false
	}
	p := &i.g.payload
	return i.g.claim, p.Ticket, p.Intent, p.Kind == token.Join
}

// SpeaksFor says whether the caller holds a token of the machine that is more
// than a ticket which anybody may have fetched.
func (i Identity) SpeaksFor(machine string) bool {
	return machine != "" && i.Machine() == machine && !i.unclaimed()
}

// unclaimed says that the token is a ticket which nobody has used yet: with it
// one can only ask to be taken for the machine.
func (i Identity) unclaimed() bool { return i.g.payload.Ticket != "" && i.g.claim == "" }

// Machine is the uuid that a machine's, job's or profile's token speaks for, ""
// otherwise.
func (i Identity) Machine() string {
	if i.g == nil {
		return ""
	}
	return i.g.machine
}

// IsUser says whether a person, or a script in their name, is calling.
func (i Identity) IsUser() bool { return i.Kind == token.User }

// Allow says whether the caller may do action on the object specific of kind
// scope, as things were when the identity was made or refreshed. Actions are
// list, get, create, delete, update:/Field, token, password, log, actions,
// action:<verb>, getSecure, updateSecure and the like.
func (i Identity) Allow(scope, action, specific string) bool {
	if i.g == nil {
		return false
	}
	switch i.Kind {
	case token.User:
		return i.userMay(scope, action, specific)
	case token.Machine:
		if i.unclaimed() {
			return bootMay(scope, action)
		}
		return i.machineMay(scope, action, specific)
	case token.Job:
		return i.machineMay(scope, action, specific) || i.covered(scope, action, specific)
	case token.Profile:
		return !i.unclaimed() && i.profileMay(scope, action, specific)
	case token.Plugin:
		return i.covered(scope, action, specific)
	case token.Boot, token.Join:
		return bootMay(scope, action)
	case token.Unknown:
		return bootMay(scope, action) || i.unknownMay(scope, action, specific)
	}
	return false
}

// userMay: users always see themselves, change their password and get tokens.
// With a token that was narrowed they do not change it: that would widen it.
func (i Identity) userMay(scope, action, specific string) bool {
	if scope == api.Users.Name && specific == i.Key &&
		(action == "get" || action == "token" || action == "password" && i.g.only == nil) {
		return true
	}
	return i.g.limit.lets(scope, action, specific) && i.covered(scope, action, specific)
}

func (i Identity) covered(scope, action, specific string) bool {
	return anyCovers(i.g.sets, scope, action, specific) &&
		(i.g.only == nil || anyCovers(i.g.only, scope, action, specific))
}

func anyCovers(sets []*claim.Set, scope, action, specific string) bool {
	for _, s := range sets {
		if s.Covers(scope, action, specific) {
			return true
		}
	}
	return false
}

// Sees says whether the caller may know that the object exists.
func (i Identity) Sees(kind, key string) bool { return i.Allow(kind, "get", key) }

// AllowEvent says whether the caller may be told of an event. Records of audit
// are for administrators.
func (i Identity) AllowEvent(e resource.Event) bool {
	if j, ok := e.Old.(*api.Job); ok && e.Action == "delete" && i.Machine() != "" {
		return j.Machine == i.g.machine // the view does not hold the job any more
	}
	return i.Sees(e.Type, e.Key)
}

// Contains says whether the caller may do all that the claims allow, a tenant
// aside.
func (i Identity) Contains(claims []api.Claim) bool {
	return i.g != nil && claim.Contains(i.g.sets, claims) && (i.g.only == nil || claim.Contains(i.g.only, claims))
}

// All says whether the caller may do everything, in no tenant.
func (i Identity) All() bool {
	return i.g != nil && i.g.limit == nil && i.Contains([]api.Claim{claim.Everything()})
}

// Refresh looks again whether the identity still holds and what it may do:
// for connections that outlive a request.
func (a *Auth) Refresh(i Identity) (Identity, error) {
	if i.g == nil {
		return Identity{}, fmt.Errorf("%w: no credentials", ErrDenied)
	}
	v := a.cfg.DB.View()
	g, err := a.current(v, i.g, a.cfg.Now())
	if err != nil {
		return Identity{}, err
	}
	if g.claim != "" {
		a.signs.saw(g.machine, a.cfg.Now())
	}
	return g.identity(v), nil
}
