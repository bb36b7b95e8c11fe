package auth

import (
	"fmt"
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/auth/claim"
	"drpd/pkg/resource"
)

// Hooks check what the server's access rests on: the claims of roles and tasks
// have a meaning, and the server's secret its length. kinds are those of the
// DB. Roles of content packs may name kinds that only others know.
func Hooks(kinds []resource.Any) []resource.Hook {
	var names, carriers []string
	for _, k := range kinds {
		names = append(names, k.KindName())
		if zero, err := k.Decode([]byte("{}")); err == nil && k.ParamsOf(zero) != nil {
			carriers = append(carriers, k.KindName())
		}
	}
	known := claim.NewKnown(names, carriers)
	check := func(tx *resource.Tx, kind, key, bundle string, claims []api.Claim) error {
		if tx.Loading() || bundle != "" {
			return nil
		}
		msgs := known.Problems(claims)
		if len(msgs) > 0 { // rare, so only then it is asked what providers declare
			msgs = known.With(declared(tx)).Problems(claims)
		}
		if len(msgs) > 0 {
			return &resource.Error{Code: resource.Invalid, Kind: kind, Key: key, Msgs: msgs}
		}
		return nil
	}
	return []resource.Hook{
		resource.OnSave(api.Roles, func(tx *resource.Tx, _, r *api.Role) error {
			if r == nil {
				return nil
			}
			return check(tx, api.Roles.Name, r.Name, r.Bundle, r.Claims)
		}),
		resource.OnSave(api.Tasks, func(tx *resource.Tx, _, t *api.Task) error {
			if t == nil {
				return nil
			}
			return check(tx, api.Tasks.Name, t.Name, t.Bundle, t.ExtraClaims)
		}),
		resource.OnSave(api.Users, keepOneIn),
		resource.OnSave(api.Preferences, func(tx *resource.Tx, _, p *api.Preference) error { return checkPref(tx, p) }),
	}
}

// keepOneIn refuses to take the way in from the last superuser who can log in by
// password, whoever asks: nobody could give it back but at the server itself.
func keepOneIn(tx *resource.Tx, was, is *api.User) error {
	if tx.Loading() || !opens(was) || opens(is) {
		return nil
	}
	for u := range api.Users.All(tx) {
		if u.Name != was.Name && opens(u) {
			return nil
		}
	}
	return resource.Errorf(resource.Conflict, api.Users.Name, was.Name,
		"%s is the last superuser who can log in by password: give another user role %s and a password first", was.Name, Superuser)
}

// opens says whether somebody can log in as this user by a password and do everything.
func opens(u *api.User) bool {
	return u != nil && u.PasswordHash != "" && u.Meta[AuthMethod] == "" && slices.Contains(u.Roles, Superuser)
}

// declared are the kinds that plugin providers declare.
func declared(r resource.Reader) (out []string) {
	for kind := range api.Declared(r) {
		out = append(out, kind)
	}
	return out
}

func checkPref(tx *resource.Tx, p *api.Preference) error {
	if p == nil || tx.Loading() || p.Name != PrefBaseSecret || p.Value == "" || strings.HasPrefix(p.Value, api.SealedPref) {
		return nil
	}
	return resource.Errorf(resource.Invalid, api.Preferences.Name, p.Name, "%s",
		fmt.Sprintf("%s has %d bytes, it must have exactly %d", p.Name, len(p.Value), api.BaseSecretLen))
}
