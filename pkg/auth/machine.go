package auth

import (
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/auth/token"
)

// reserved are the fields of its own object that an agent may not write: who
// holds the machine and what mode it works in are not its to decide. (Fields
// that the server sets are refused to everybody.)
var reserved = []string{"Locked", "WorkOrderMode", "Owner", "Generation", "Pool", "PoolAllocated", "PoolStatus",
	"PoolHoldReason", "Secret", "Boot", "Uuid", "CurrentJob", "Endpoint"}

// machineMay is what an agent needs of its own machine, jobs and orders, and of
// the content that they name. Nothing of any other machine.
func (i Identity) machineMay(scope, action, specific string) bool {
	reads := action == "get" || action == "list"
	switch scope {
	case "machines", "clusters", "resource_brokers":
		return specific == i.machine && (reads || action == "token" || action == "update" || action == "action:releaseToPool" || i.mayWrite(action))
	case "jobs":
		return i.mayJob(action, specific)
	case "work_orders":
		return i.ownOrder(specific) && (reads || within("update", action))
	case "tasks", "stages", "bootenvs", "workflows", "params", "blueprints", "files":
		return reads
	case "profiles":
		return reads && i.carries(specific)
	case "whoami":
		return action == "create"
	case "info", "objects", "indexes":
		return action == "get"
	}
	return false
}

func (i Identity) mayWrite(action string) bool {
	field, ok := strings.CutPrefix(action, "update:/")
	field, _, _ = strings.Cut(field, "/")
	return ok && !slices.Contains(reserved, field)
}

// mayJob: a job is created for a machine, whose uuid is then the specific part.
func (i Identity) mayJob(action, specific string) bool {
	if action == "create" {
		return specific == i.machine
	}
	j, err := api.Jobs.Get(i.view, specific)
	if err != nil || j.Machine != i.machine {
		return false
	}
	return action == "get" || action == "list" || action == "log" || action == "actions" ||
		within("update", action)
}

func (i Identity) ownOrder(id string) bool {
	o, err := api.WorkOrders.Get(i.view, id)
	return err == nil && o.Machine == i.machine
}

// carries says whether the machine takes params from the profile, directly or
// nested.
func (i Identity) carries(profile string) bool {
	if profile == "global" {
		return true
	}
	v := i.view
	_, m := api.Runner(v, i.machine)
	if m == nil {
		return false
	}
	seen := map[string]bool{}
	todo := slices.Clone(m.Profiles)
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		if name == profile {
			return true
		}
		if p, err := api.Profiles.Get(v, name); err == nil && !seen[name] {
			seen[name] = true
			todo = append(todo, p.Profiles...)
		}
	}
	return false
}

// IsUser says whether a person, or a script in their name, is calling.
func (i Identity) IsUser() bool { return i.Kind == token.User }
