// Package claim compiles the claims of roles and tells what they allow, and
// whether one set of claims allows all that another does.
//
// A claim names scopes (kinds of objects and parts of the API), actions and
// specific objects, each as a comma list or "*". The action "update" covers
// "update:/Field", which covers "update:/Field/part" (RFC 6901 pointers);
// "action" covers "action:name". Objects are named by their key only.
package claim

import (
	"strings"

	"drpd/pkg/api"
)

// Set is compiled claims. It is never changed; a nil Set allows nothing.
type Set struct {
	rules map[string][]rule // by scope; under "*" those of every scope
	all   bool              // everything is allowed
	from  []api.Claim
}

type rule struct {
	any     bool // every action
	actions []string
	keys    map[string]struct{} // nil: every object
}

// Everything is the claim of the superuser.
func Everything() api.Claim { return api.Claim{Scope: "*", Action: "*", Specific: "*"} }

// Compile makes a Set. Scopes and actions that are not known stay: they match
// nothing that is ever asked.
func Compile(claims []api.Claim) *Set {
	s := &Set{rules: map[string][]rule{}, from: claims}
	for _, c := range claims {
		r := rule{}
		if keys := Split(c.Specific); !star(keys) {
			r.keys = make(map[string]struct{}, len(keys))
			for _, k := range keys {
				r.keys[k] = struct{}{}
			}
		}
		if r.actions = Split(c.Action); star(r.actions) {
			r.any, r.actions = true, nil
		}
		for i, a := range r.actions {
			r.actions[i] = spelled(a)
		}
		for _, scope := range Split(c.Scope) {
			scope = scopeSpelled(scope)
			s.rules[scope] = append(s.rules[scope], r)
			s.all = s.all || scope == "*" && r.any && r.keys == nil
		}
	}
	return s
}

// All says whether the set allows everything.
func (s *Set) All() bool { return s != nil && s.all }

// Claims are what the set was made of.
func (s *Set) Claims() []api.Claim {
	if s == nil {
		return nil
	}
	return s.from
}

// Covers says whether one of the claims allows action on the object specific
// of kind scope.
func (s *Set) Covers(scope, action, specific string) bool {
	if s == nil {
		return false
	}
	if s.all {
		return true
	}
	return covers(s.rules[scope], action, specific) ||
		scope != AuditScope && covers(s.rules["*"], action, specific)
}

func covers(rules []rule, action, specific string) bool {
	for i := range rules {
		if r := &rules[i]; r.does(action) && r.has(specific) {
			return true
		}
	}
	return false
}

func (r *rule) has(key string) bool {
	if r.keys == nil {
		return true
	}
	_, ok := r.keys[key]
	return ok
}

func (r *rule) does(action string) bool {
	if r.any {
		return true
	}
	for _, have := range r.actions {
		if Within(have, action) {
			return true
		}
	}
	return false
}

// Within says whether an action is the same as, or a part of, another: to have
// "update" is to have "update:/Params", and that "update:/Params/a".
func Within(have, want string) bool {
	rest, ok := strings.CutPrefix(want, have)
	return ok && have != "" && (rest == "" || rest[0] == ':' || rest[0] == '/')
}

// Contains says whether any of the sets covers each single thing that claims
// allow. "*" is covered by "*" only: it also means what does not exist yet.
func Contains(sets []*Set, claims []api.Claim) bool {
	for _, s := range sets {
		if s.All() {
			return true
		}
	}
	for _, c := range claims {
		if !containsOne(sets, c) {
			return false
		}
	}
	return true
}

func containsOne(sets []*Set, c api.Claim) bool {
	for _, scope := range Split(c.Scope) {
		for _, action := range Split(c.Action) {
			for _, key := range Split(c.Specific) {
				if !anyHolds(sets, scopeSpelled(scope), spelled(action), key) {
					return false
				}
			}
		}
	}
	return true
}

func anyHolds(sets []*Set, scope, action, key string) bool {
	for _, s := range sets {
		if s != nil && (holds(s.rules[scope], action, key) || scope != AuditScope && holds(s.rules["*"], action, key)) {
			return true
		}
	}
	return false
}

func holds(rules []rule, action, key string) bool {
	for i := range rules {
		r := &rules[i]
		if (r.any || action != "*" && r.does(action)) && (r.keys == nil || key != "*" && r.has(key)) {
			return true
		}
	}
	return false
}

// Split takes a comma list apart; with "*" in it, it is only that.
func Split(list string) []string {
	out := strings.Split(list, ",")
	for i := range out {
		out[i] = strings.TrimSpace(out[i])
		if out[i] == "*" {
			return []string{"*"}
		}
	}
	return out
}

func star(list []string) bool { return len(list) == 1 && list[0] == "*" }

// spelled is our word for an action: DRP calls it post where things are not
// objects but are sent.
func spelled(action string) string {
	if action == "post" {
		return "create"
	}
	return action
}

func scopeSpelled(scope string) string {
	if scope == "prefs" {
		return api.Preferences.Name
	}
	return scope
}
