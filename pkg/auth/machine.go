package auth

import (
	"slices"

	"drpd/pkg/api"
	"drpd/pkg/auth/claim"
	"drpd/pkg/auth/token"
	"drpd/pkg/resource"
)

// machineMay is what an agent needs of its own machine, jobs and orders, and of
// the content that they name. Nothing of any other machine.
func (i Identity) machineMay(scope, action, specific string) bool {
	reads := action == "get" || action == "list"
	switch scope {
	case "machines", "clusters", "resource_brokers":
		return specific == i.g.machine && (reads || i.mayWrite(action))
	case "jobs":
		return i.mayJob(action, specific)
	case "work_orders":
		return i.ownOrder(specific) && reads
	case "tasks", "stages", "bootenvs", "workflows", "params", "blueprints", "contexts", "files":
		return reads
	case "profiles":
		return reads && i.carries(specific)
	case "reservations":
		return i.ownReservation(specific) && (reads || action == "create" || i.listed(reservationFields, action))
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
	return action == "token" || action == "updateSecure" || action == "updateTaskList" || i.listed(agentFields, action)
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
		i.listed(jobFields, action)
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

// bootMay is all that whoever proves nothing can do: say who it is, and declare
// a machine.
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
		return i.covered(scope, action, specific) && i.carries(specific) && i.profileField(action)
	case api.ParamDefs.Name:
		return action == "get" || action == "list"
	case "info":
		return action == "get"
	}
	return false
}

// profileField keeps the token of a profile, which templates hand to machines,
// from what steers the server.
func (i Identity) profileField(action string) bool {
	return !claim.Within("update", action) || i.listed([]string{"Params"}, action)
}

// declares says whether the caller is a machine that nobody has declared yet.
func (i Identity) declares() bool {
	return i.Kind == token.Boot || i.Kind == token.Unknown || i.Kind == token.Join || i.unclaimed()
}

func (i Identity) isPlugin() bool { return i.Kind == token.Plugin }

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
