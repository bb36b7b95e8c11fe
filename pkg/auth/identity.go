package auth

import (
	"fmt"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/auth/token"
	"drpd/pkg/resource"
)

// Superuser is the role that allows everything, even if no such object exists.
const Superuser = "superuser"

// Identity is an authenticated caller.
type Identity struct {
	Name    string     // for audit and events: a user's name, or machines/<uuid>
	Kind    token.Kind // what the caller is
	Key     string     // user name, machine or job uuid
	Expires time.Time  // zero for a login by password

	payload token.Payload
	secrets token.Secrets  // what payload is bound to
	claims  []api.Claim    // what the user's roles or the job allow
	only    []api.Claim    // if not nil, allowed are only these of the claims
	machine string         // the machine that a machine or job token speaks for
	view    *resource.View // what Allow looks things up in: Allow may be called inside an update
}

// Machine is the uuid that a machine's or job's token speaks for, "" otherwise.
func (i Identity) Machine() string { return i.machine }

// Allow says whether the caller may do action on the object specific of kind
// scope, as things were when the identity was made or refreshed. Actions are list, get, create, delete, update:/Field, token,
// password, log, actions, action:<verb> and the like.
func (i Identity) Allow(scope, action, specific string) bool {
	switch i.Kind {
	case token.User:
		return (i.ownUser(scope, action, specific) || covered(i.claims, scope, action, specific)) &&
			(i.only == nil || covered(i.only, scope, action, specific))
	case token.Machine:
		return i.machineMay(scope, action, specific)
	case token.Job:
		return i.machineMay(scope, action, specific) || covered(i.claims, scope, action, specific)
	case token.Boot:
		return bootMay(scope, action)
	}
	return false
}

// ownUser allows users to see themselves, change their password and get tokens.
func (i Identity) ownUser(scope, action, specific string) bool {
	return scope == "users" && specific == i.Key && (action == "get" || action == "password" || action == "token")
}

// bootMay is all that a boot script of an unknown machine can do.
func bootMay(scope, action string) bool {
	return scope == "whoami" && action == "create" || scope == "machines" && action == "create"
}

func covered(claims []api.Claim, scope, action, specific string) bool {
	for _, c := range claims {
		if listed(c.Scope, scope, equal) && listed(c.Action, action, within) && listed(c.Specific, specific, equal) {
			return true
		}
	}
	return false
}

func listed(list, want string, match func(have, want string) bool) bool {
	for have := range strings.SplitSeq(list, ",") {
		if have = strings.TrimSpace(have); have == "*" || match(have, want) {
			return true
		}
	}
	return false
}

func equal(have, want string) bool { return have == want }

// within says that a claim to "update" covers "update:/Params", which covers
// "update:/Params/a"; likewise "action" and "action:x".
func within(have, want string) bool {
	rest, ok := strings.CutPrefix(want, have)
	return ok && have != "" && (rest == "" || rest[0] == ':' || rest[0] == '/')
}

// Refresh looks again whether the identity still holds and what it may do:
// for connections that outlive a request.
func (a *Auth) Refresh(i Identity) (Identity, error) {
	if !i.Expires.IsZero() && !a.cfg.Now().Before(i.Expires) {
		return Identity{}, fmt.Errorf("%w: %w", ErrDenied, token.ErrExpired)
	}
	now, err := a.secrets(i.payload)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrDenied, err)
	}
	if i.secrets != now {
		return Identity{}, fmt.Errorf("%w: %w", ErrDenied, token.ErrRevoked)
	}
	return a.refresh(i)
}

// refresh fills in what the objects say about the identity now.
func (a *Auth) refresh(i Identity) (Identity, error) {
	v := a.cfg.DB.View()
	i.view, i.claims, i.machine = v, nil, ""
	switch i.Kind {
	case token.User:
		u, err := api.Users.Get(v, i.Key)
		if err != nil {
			return Identity{}, fmt.Errorf("%w: user %s is gone", ErrDenied, i.Key)
		}
		i.claims = roleClaims(v, u.Roles)
	case token.Machine, token.Job:
		m, err := machineOf(v, i.Kind, i.Key)
		if err != nil {
			return Identity{}, fmt.Errorf("%w: %w", ErrDenied, err)
		}
		i.machine = m.Uuid
		if j, err := api.Jobs.Get(v, i.Key); err == nil {
			i.claims = j.ExtraClaims
		}
	}
	return i, nil
}

func roleClaims(v *resource.View, roles []string) []api.Claim {
	var out []api.Claim
	for _, name := range roles {
		if name == Superuser {
			return []api.Claim{{Scope: "*", Action: "*", Specific: "*"}}
		}
		if r, err := api.Roles.Get(v, name); err == nil {
			out = append(out, r.Claims...)
		}
	}
	return out
}
