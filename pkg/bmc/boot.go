// Package bmc makes management controllers do what objects say: it decides
// when a machine must be powered or booted, and carries the effects out through
// drivers. Every effect is stored as an object before anything is sent.
package bmc

import (
	"fmt"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/param"
	"drpd/pkg/resource"
)

// Budgets of a boot. A machine that has not called home within HomeLimit of
// its BMC saying "on" is booted again, MaxBoots times in all; then it is held.
const (
	HomeLimit    = 5 * time.Minute
	SilenceLimit = 90 * time.Second // after a step of the firmware's or iPXE's
	MaxBoots     = 3
	ActionLimit  = 10 * time.Minute
)

// Params that describe a machine's BMC.
const (
	ParamEnabled  = param.BMCEnabled
	ParamMode     = "ipmi/mode" // redfish or ipmitool
	ParamAddress  = param.BMCAddress
	ParamUser     = "ipmi/username"
	ParamPassword = "ipmi/password"
	ParamPort     = "ipmi/port"
	ParamFirmware = "detected-bios-mode" // uefi or legacy-bios
)

// Has says whether drpd may drive the machine's BMC.
func Has(r resource.Reader, m *api.Machine) bool { return param.HasBMC(r, m) }

// Rule boots machines whose next task needs them in an environment where they
// are not yet.
func Rule() engine.Rule {
	return engine.Rule{Name: "bmc boot", Kind: api.Machines, Step: Boot, Wake: map[string]engine.Wake{
		"bmc_actions": func(_ resource.Reader, e resource.Event) []string {
			if a, ok := e.New.(*api.BMCAction); ok {
				return []string{a.Machine}
			}
			return nil
		},
		"boot_records": func(r resource.Reader, e resource.Event) []string {
			if m := api.Machines.One(r, api.ByMAC, e.Key); m != nil {
				return []string{m.Uuid}
			}
			return nil
		},
	}}
}

// Boot is the step of Rule.
func Boot(tx *resource.Tx, now time.Time, id string) (engine.Result, error) {
	m, err := api.Machines.Get(tx, id)
	if err != nil || m.Boot == nil || m.Boot.Home || m.Fenced() || !needsAgent(tx, m) {
		return engine.Result{}, err
	}
	if !Has(tx, m) {
		return engine.Result{Waiting: fmt.Sprintf("boot into %s: no BMC is set (params %s ...), so its agent or a person must reboot it", m.Boot.Env, ParamAddress)}, nil
	}
	if m.Boot.Error != "" {
		return engine.Result{Waiting: "held: " + m.Boot.Error + "; repair, then drpcli machines boot " + m.Name}, nil
	}
	a := newest(tx, id, m.Boot.Intent)
	switch {
	case a == nil:
		return engine.Result{Waiting: "power-on is sent"}, start(tx, now, m)
	case !a.Over():
		return engine.Result{Waiting: describe(a), Until: a.NextTry}, nil
	case a.State != "done":
		return engine.Result{}, hold(tx, id, fmt.Sprintf("BMC: %s", a.Error))
	}
	return home(tx, now, m, a)
}

// home waits for the agent of a machine that was switched on.
func home(tx *resource.Tx, now time.Time, m *api.Machine, a *api.BMCAction) (engine.Result, error) {
	until := patience(lastStep(tx, m, a.Ended), a.Ended)
	if now.Before(until) {
		return engine.Result{Waiting: fmt.Sprintf("boots into %s, boot %d; last step seen: %s", m.Boot.Env, m.Boot.Tries, LastStep(tx, m, m.Boot.Since)), Until: until}, nil
	}
	if m.Boot.Tries >= MaxBoots {
		return engine.Result{}, hold(tx, m.Uuid, fmt.Sprintf("%d boots into %s led nowhere; last step seen: %s", m.Boot.Tries, m.Boot.Env, LastStep(tx, m, m.Boot.Since)))
	}
	return engine.Result{Waiting: "it is booted again"}, start(tx, now, m)
}

// patience is when to give up on a boot. Firmware may take minutes to its first
// packet, and a kernel to its agent; but firmware that has begun to load and
// falls silent has failed, and sits at its "no bootable device".
func patience(last api.BootStep, on time.Time) time.Time {
	switch last.Step {
	case "dhcp", "tftp", "http":
		return last.Time.Add(SilenceLimit)
	}
	return on.Add(HomeLimit)
}

// LastStep says how far the machine's boots have come since a time.
func LastStep(r resource.Reader, m *api.Machine, since time.Time) string {
	last := lastStep(r, m, since)
	if last.Step == "" {
		return "none (not even DHCP)"
	}
	return fmt.Sprintf("%s at %s %s", last.Step, last.Time.UTC().Format(time.TimeOnly), last.Detail)
}

func lastStep(r resource.Reader, m *api.Machine, since time.Time) api.BootStep {
	var last api.BootStep
	for _, mac := range m.HardwareAddrs {
		rec, err := api.BootRecords.Get(r, mac)
		if err != nil {
			continue
		}
		for _, s := range rec.Steps {
			if s.Time.After(since) && s.Time.After(last.Time) {
				last = s
			}
		}
	}
	return last
}

func describe(a *api.BMCAction) string {
	text := fmt.Sprintf("BMC %s, try %d", a.Want, a.Tries)
	if a.Error != "" {
		text += "; last error: " + a.Error
	}
	return text
}

// needsAgent says whether the entry at the machine's cursor is a task, or a
// boot environment that comes after the one that the machine has yet to enter.
func needsAgent(r resource.Reader, m *api.Machine) bool {
	if m.Context != "" {
		return false // its tasks run elsewhere
	}
	if m.WorkOrderMode {
		return true
	}
	if m.CurrentTask < 0 || m.CurrentTask >= len(m.Tasks) {
		return m.CurrentTask < 0 && len(m.Tasks) > 0
	}
	verb, _ := api.Entry(m.Tasks[m.CurrentTask])
	return verb == "bootenv" || verb == "chroot" || verb == "" && api.Operation(r, m.Tasks[m.CurrentTask]) == ""
}

func newest(r resource.Reader, machine, intent string) *api.BMCAction {
	var best *api.BMCAction
	for a := range api.BMCActions.By(r, "Machine", machine) {
		if a.Intent == intent && (best == nil || a.Created.After(best.Created)) {
			best = a
		}
	}
	return best
}

// start writes the wish to boot the machine from where its environment is.
func start(tx *resource.Tx, now time.Time, m *api.Machine) error {
	want := api.BMCBootDisk
	if env, err := api.BootEnvs.Get(tx, m.BootEnv); err == nil && env.NetBoots() {
		want = api.BMCBootPXE
	}
	if _, err := Order(tx, now, m.Uuid, want, m.Boot.Intent); err != nil {
		return err
	}
	return api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.Boot.Tries++; return nil })
}

// Order writes one BMC action and cancels what was under way before it.
func Order(tx *resource.Tx, now time.Time, machine string, want api.BMCWant, intent string) (string, error) {
	for old := range api.BMCActions.By(tx, "Machine", machine) {
		if old.Over() {
			if now.Sub(old.Ended) > 24*time.Hour {
				if err := api.BMCActions.Delete(tx, old.Uuid); err != nil {
					return "", err
				}
			}
			continue
		}
		if err := api.BMCActions.Modify(tx, old.Uuid, func(a *api.BMCAction) error {
			a.State, a.Ended = "cancelled", now
			return nil
		}); err != nil {
			return "", err
		}
	}
	a := &api.BMCAction{Machine: machine, Want: want, Intent: intent, Created: now, NextTry: now, Deadline: now.Add(ActionLimit)}
	err := api.BMCActions.Create(tx, a)
	return a.Uuid, err
}

// Hook deletes the actions of a machine that is deleted: without it they could
// not be carried out, and nobody else may delete them. Of one that is held no
// more it cancels the order to switch it off, unless that is being carried out.
func Hook() resource.Hook {
	return resource.OnSave(api.Machines, func(tx *resource.Tx, old, new *api.Machine) error {
		if new != nil {
			return spare(tx, old, new)
		}
		for a := range api.BMCActions.By(tx, "Machine", old.Uuid) {
			if err := api.BMCActions.Delete(tx, a.Uuid); err != nil {
				return err
			}
		}
		return nil
	})
}

// spare lets a machine on that is held no more: what runs there goes on.
func spare(tx *resource.Tx, old, new *api.Machine) error {
	if old == nil || !old.Fenced() || new.Fenced() || old.Fence == nil || old.Fence.Action == "" {
		return nil
	}
	a, err := api.BMCActions.Get(tx, old.Fence.Action)
	if err != nil || a.Over() || a.State == "working" {
		return nil
	}
	return api.BMCActions.Modify(tx, a.Uuid, func(a *api.BMCAction) error {
		a.State, a.Ended, a.Error = "cancelled", tx.Now(), "the machine is held no more"
		return nil
	})
}

func hold(tx *resource.Tx, id, why string) error {
	return api.Machines.Modify(tx, id, func(m *api.Machine) error { m.Boot.Error = why; return nil })
}
