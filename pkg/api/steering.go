package api

import (
	"slices"
	"strings"
)

// What params do to the server. A param that code of the server reads decides
// what that code does: where it calls, what it wipes, which workflow follows.
// So a machine, which writes its own params, may not write those. The names
// that follow are closed with all that begins so, which holds for new ones too;
// a test compares them with what the code reads.
var (
	steeringPrefixes = []string{"ipmi/", "callback/", "classify/", "flexiflow/", "universal/", "validation/", "disk/", "disk-plan/",
		"disk-wipe/", "image-deploy/", "broker/", "broker-pool/", "cluster/", "pool/", "work-order/", "cron-trigger/", "event-trigger/",
		"webhook-trigger/", "rack/", "batch/", "drpd/"}
	steeringSuffixes = []string{"/task-list"}
	steeringNames    = []string{"task-error-handlers", "task", "hostname", "package-repositories"}
	// factNames are params that the server reads as facts about the hardware, which
	// only the machine can tell. Open, because nothing else is done by them.
	factNames = []string{"inventory/data", "detected-bios-mode", "last-boot-macaddr"}
)

// Steers says whether a param decides what the server does, so that a machine
// may not write it of itself.
func Steers(param string) bool {
	if slices.Contains(factNames, param) {
		return false
	}
	return slices.Contains(steeringNames, param) ||
		slices.ContainsFunc(steeringPrefixes, func(p string) bool { return strings.HasPrefix(param, p) }) ||
		slices.ContainsFunc(steeringSuffixes, func(s string) bool { return strings.HasSuffix(param, s) })
}

// secretRoutes are params that say where a secret goes, or what is done with it.
var secretRoutes = []string{"ipmi/address", "ipmi/port", "ipmi/mode", "ipmi/tls-pin", "ipmi/username", "ipmi/cipher-suite",
	"callback/callbacks", "callback/auths", "callback/data-override"}

// SecretRoutes lists the params that RoutesSecrets is true of.
func SecretRoutes() []string { return slices.Clone(secretRoutes) }

// RoutesSecrets says whether a param decides to whom the server sends a secret:
// who writes it needs the right to set secrets.
func RoutesSecrets(param string) bool { return slices.Contains(secretRoutes, param) }

// pointers are params that name another param, which then decides what they
// stand for: a task list, rules, whether something is left out.
var pointers = []string{"flexiflow/list-parameter", "classify/stage-list-parameter", "classify/data-parameter", "classify/function-parameter",
	"classify/disable-parameter", "validation/list-parameter", "universal/skip-list-parameter"}

// Pointers lists the params that name another one. What they name steers the
// server too, whatever it is called.
func Pointers() []string { return slices.Clone(pointers) }

// RendersSecrets says whether a param holds templates that get secrets: who
// writes it needs the right to read secrets as well.
func RendersSecrets(param string) bool {
	return strings.HasPrefix(param, "callback/") && RoutesSecrets(param)
}
