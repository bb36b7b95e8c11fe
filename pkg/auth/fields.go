package auth

import (
	"slices"
	"strings"

	"drpd/pkg/api"
)

// What agents may write is listed here; what is not listed is closed, a new
// field too. Of params all are open but those that steer the server (api.Steers).
var (
	// agentFields are those of its own machine that an agent writes.
	agentFields = []string{"Address", "Arch", "OS", "Description", "HardwareAddrs", "Fingerprint", "Runnable", "CurrentTask", "Meta", "Params"}
	// newFields are those of a machine that it declares itself.
	newFields = []string{"Name", "Address", "Arch", "OS", "Description", "HardwareAddrs", "Fingerprint", "Meta", "Params"}
	// jobFields are those of its own jobs that it reports.
	jobFields = []string{"State", "ExitState", "ResultErrors", "Reports"}
	// reservationFields are those of a reservation of its own address.
	reservationFields = []string{"Addr", "Token", "Strategy", "Description", "Documentation", "Duration"}
)

// listed says whether an action "update:/Field" or "update:/Params/name" is on a
// machine of one of the fields, and of an open param.
func (i Identity) listed(fields []string, action string) bool {
	path, ok := strings.CutPrefix(action, "update:/")
	return ok && i.openPath(fields, path)
}

func (i Identity) openPath(fields []string, path string) bool {
	field, rest, deep := strings.Cut(path, "/")
	if !slices.Contains(fields, field) {
		return false
	}
	if field != "Params" {
		return true
	}
	name, _, _ := strings.Cut(rest, "/")
	return deep && !i.steers(unpointed(name))
}

// unpointed undoes the escapes of a JSON pointer (RFC 6901).
func unpointed(s string) string { return strings.NewReplacer("~1", "/", "~0", "~").Replace(s) }

// MaySet says whether the caller may give a new object of a kind a value at a
// path, such as /Params/a~1b: people may all, machines what is listed.
func (i Identity) MaySet(scope, path string) bool {
	path = strings.TrimPrefix(path, "/")
	switch {
	case i.IsUser() || i.isPlugin():
		return true
	case scope == api.Machines.Name && i.declares():
		return i.openPath(newFields, path)
	case scope == api.Reservations.Name:
		return i.openPath(reservationFields, path)
	}
	return i.covered(scope, "create", "*")
}
