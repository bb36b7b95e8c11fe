package claim

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"drpd/pkg/api"
)

// AuditScope is the scope of audit records. "*" does not mean it, except in the
// claim to everything: who may read all need not see who did what from where.
const AuditScope = "audit"

// maxCombinations bounds what the lists of one role's claims multiply to.
const maxCombinations = 100_000

// partScopes are parts of the API that are no kinds of objects here. Some exist
// in DRP only, so that its roles can be kept.
var partScopes = map[string][]string{
	"info": {"get"}, "objects": {"list", "get"}, "indexes": {"get"}, "whoami": {"create"}, AuditScope: {"list", "get"},
	"system": {"upgrade", "replicate", "active", "passive", "action", "get"},
	"files":  {"list", "get", "post", "create", "delete"}, "isos": {"list", "get", "post", "create", "delete"},
	"events": {"post", "create", "get", "list"}, "logs": {"get", "list"}, "extended": nil,
}

// everyAction are the actions of every kind; update and action may be narrowed.
var everyAction = []string{"list", "get", "create", "delete", "actions", "update", "action"}

// moreActions are what single kinds have besides.
var moreActions = map[string][]string{
	"users": {"token", "password"}, "jobs": {"log", "post"}, "preferences": {"post"},
	"machines": {"updateTaskList", "token", "whoami"}, "clusters": {"updateTaskList", "token", "whoami"},
	"resource_brokers": {"updateTaskList", "token", "whoami"},
}

var secureActions = []string{"getSecure", "updateSecure"}

// Known knows the scopes of a server and their actions.
type Known struct{ scopes map[string][]string }

// NewKnown takes the names of all kinds, and of those that carry params.
func NewKnown(kinds, carriers []string) Known {
	k := Known{scopes: map[string][]string{}}
	for scope, actions := range partScopes {
		k.scopes[scope] = actions
	}
	for _, kind := range kinds {
		if actions, ok := partScopes[kind]; ok && actions == nil {
			continue // any action
		}
		k.scopes[kind] = slices.Concat(everyAction, moreActions[kind], partScopes[kind])
		if slices.Contains(carriers, kind) {
			k.scopes[kind] = append(k.scopes[kind], secureActions...)
		}
	}
	return k
}

// With also knows kinds that came later; any action may be done to their objects.
func (k Known) With(kinds []string) Known {
	more := Known{scopes: maps.Clone(k.scopes)}
	for _, kind := range kinds {
		if _, ok := more.scopes[kind]; !ok {
			more.scopes[kind] = nil
		}
	}
	return more
}

// Problems says, in sentences, what in the claims of a role has no meaning.
func (k Known) Problems(claims []api.Claim) []string {
	var out []string
	size := 0
	for _, c := range claims {
		scopes, actions := Split(c.Scope), Split(c.Action)
		if size += len(scopes) * len(actions) * (strings.Count(c.Specific, ",") + 1); size > maxCombinations {
			return append(out, fmt.Sprintf("The claims name more than %d combinations of scope, action and object", maxCombinations))
		}
		for _, scope := range scopes {
			out = append(out, k.problem(scopeSpelled(scope), actions)...)
		}
	}
	return out
}

func (k Known) problem(scope string, actions []string) []string {
	known, ok := k.scopes[scope]
	if scope != "*" && !ok {
		return []string{fmt.Sprintf("No such scope '%s'", scope)}
	}
	var out []string
	for _, action := range actions {
		if action != "*" && !k.has(scope, known, action) {
			out = append(out, fmt.Sprintf("No such action '%s'", action))
		}
	}
	return out
}

func (k Known) has(scope string, known []string, action string) bool {
	verb, part, narrowed := strings.Cut(action, ":")
	if narrowed && verb != "update" && verb != "action" || verb == "update" && part != "" && part[0] != '/' {
		return false
	}
	if scope != "*" {
		return known == nil || slices.Contains(known, verb)
	}
	for _, of := range k.scopes {
		if slices.Contains(of, verb) {
			return true
		}
	}
	return false
}
