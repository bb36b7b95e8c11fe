//go:build linux

package agent

import (
	"fmt"
	"strings"

	"drpd/pkg/api"
)

// result is how a job ends.
type result struct {
	state  api.JobState
	exit   string   // one of the exit states
	errors []string // causes of a failure

	reports []api.DiskReport // what its operations saw and did
}

// halts says whether the machine may not go on by itself.
func (r result) halts() bool { return r.state != api.JobFinished || r.exit != exitComplete }

// inContext is what a result means for a context runner: it has no machine to
// reboot or switch off, and to stop it stops nothing.
func (r result) inContext() bool {
	return r.state != api.JobFailed && r.exit != exitStop
}

func failed(format string, args ...any) result {
	return result{state: api.JobFailed, exit: exitFailed, errors: []string{fmt.Sprintf(format, args...)}}
}

// legacyCodes is the feature flag of tasks that use the old exit codes.
const legacyCodes = "original-exit-codes"

func legacy(t *api.Task) bool {
	flags := t.Meta["feature-flags"]
	for flag := range strings.SplitSeq(flags, ",") {
		if strings.TrimSpace(flag) == legacyCodes {
			return true
		}
	}
	return false
}

// exitResult maps an exit code, with DRP's meaning. ok is false for a failure.
func exitResult(code int, legacy bool) (r result, ok bool) {
	table := map[int]result{
		0:   {state: api.JobFinished, exit: exitComplete},
		16:  {state: api.JobFinished, exit: exitStop},
		32:  {state: api.JobFinished, exit: exitPowerOff},
		64:  {state: api.JobFinished, exit: exitReboot},
		128: {state: api.JobIncomplete, exit: exitIncomplete},
		144: {state: api.JobIncomplete, exit: exitStop},
		160: {state: api.JobIncomplete, exit: exitPowerOff},
		192: {state: api.JobIncomplete, exit: exitReboot},
	}
	if legacy {
		table = map[int]result{0: table[0], 1: table[64], 2: table[128], 3: table[192]}
	}
	r, ok = table[code]
	return r, ok
}

// nonFinal is what the result of a script means when others follow: a reboot
// in between leaves the job to be run again, and "incomplete" alone just ends
// the list early.
func nonFinal(r result) result {
	if r.exit == exitIncomplete {
		return result{state: api.JobFinished, exit: exitComplete}
	}
	if r.exit != exitComplete {
		r.state = api.JobIncomplete
	}
	return r
}
