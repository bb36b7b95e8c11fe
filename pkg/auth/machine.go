package auth

import (
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/auth/claim"
	"drpd/pkg/resource"
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
		return specific == i.g.machine && (reads || action == "action:releaseToPool" || i.mayWrite(action))
	case "jobs":
		return i.mayJob(action, specific)
	case "work_orders":
		return i.ownOrder(specific) && (reads || claim.Within("update", action))
	case "tasks", "stages", "bootenvs", "workflows", "params", "blueprints", "contexts", "files":
		return reads
	case "profiles":
		return reads && i.carries(specific)
	case "reservations":
		return i.ownReservation(specific) && (reads || action == "create" || claim.Within("update", action))
	case "whoami":
		return action == "create"
	case "events":
		return action == "create"
	case "info", "objects", "indexes":
		return action == "get"
	}
	return false
}

// mayWrite: secure params too, but not reading them back.
func (i Identity) mayWrite(action string) bool {
	if action == "token" || action == "update" || action == "updateSecure" || action == "updateTaskList" {
		return true
	}
	field, ok := strings.CutPrefix(action, "update:/")
	field, _, _ = strings.Cut(field, "/")
	return ok && !slices.Contains(reserved, field)
}

// mayJob: a job is created for a machine, whose uuid is then the specific part.
func (i Identity) mayJob(action, specific string) bool {
	if action == "create" {
		return specific == i.g.machine
	}
	j, err := api.Jobs.Get(i.view, specific)
	if err != nil || j.Machine != i.g.machine {
		return false
	}
	return action == "get" || action == "list" || action == "log" || action == "actions" ||
		claim.Within("update", action)
}

func (i Identity) ownOrder(id string) bool {
	o, err := api.WorkOrders.Get(i.view, id)
	return err == nil && o.Machine == i.g.machine
}

// ownReservation says whether the address is the machine's and not reserved
// for another one.
func (i Identity) ownReservation(addr string) bool {
	_, m := api.Runner(i.view, i.g.machine)
	if m == nil || addr == "" || m.Address != addr {
		return false
	}
	r, err := api.Reservations.Get(i.view, addr)
	return err != nil || slices.Contains(m.HardwareAddrs, r.Token)
}

// bootMay is all that the boot script of an unknown machine can do.
func bootMay(scope, action string) bool {
	return (scope == "whoami" || scope == api.Machines.Name) && action == "create"
}

// unknownMay lets content look for the machine that it is to create. It finds
// those that never ran anything; what others have become is not its business.
func (i Identity) unknownMay(scope, action, specific string) bool {
	if scope != api.Machines.Name || action != "get" && action != "list" {
		return scope == "info" && action == "get"
	}
	m, err := api.Machines.Get(i.view, specific)
	return err == nil && m.CurrentJob == ""
}

// profileMay is one profile, as long as the machine carries it, and the
// definitions of params, by which clients know which values to seal.
func (i Identity) profileMay(scope, action, specific string) bool {
	switch scope {
	case api.Profiles.Name:
		return i.covered(scope, action, specific) && i.carries(specific)
	case api.ParamDefs.Name:
		return action == "get" || action == "list"
	case "info":
		return action == "get"
	}
	return false
}

func (i Identity) carries(profile string) bool { return carries(i.view, i.g.machine, profile) }

// carries says whether the machine takes params from the profile, directly or
// nested.
func carries(v *resource.View, machine, profile string) bool {
	if profile == "global" {
		return true
	}
	_, m := api.Runner(v, machine)
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
