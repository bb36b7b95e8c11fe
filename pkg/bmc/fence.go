package bmc

import (
	"fmt"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/resource"
)

// fenceAgain is when a BMC is asked once more to switch a held machine off.
const fenceAgain = time.Hour

// apart is what holds for a held machine that may be on.
const apart = "it gets nothing to boot but its disk, and its address is given to nobody else"

// FenceRule switches machines off that are held with data on their disks: what
// they were part of goes on without them, and they must not.
func FenceRule() engine.Rule {
	return engine.Rule{Name: "bmc fence", Kind: api.Machines, Step: Fence, Wake: map[string]engine.Wake{
		"bmc_actions": func(_ resource.Reader, e resource.Event) []string {
			if a, ok := e.New.(*api.BMCAction); ok {
				return []string{a.Machine}
			}
			return nil
		},
	}}
}

// Fence is the step of FenceRule.
func Fence(tx *resource.Tx, now time.Time, id string) (engine.Result, error) {
	m, err := api.Machines.Get(tx, id)
	if err != nil || !m.Fenced() || m.Virtual {
		return engine.Result{}, err
	}
	f := api.Fence{}
	if m.Fence != nil {
		f = *m.Fence
	}
	a, err := api.BMCActions.Get(tx, f.Action)
	switch {
	case f.Off || f.Spared:
		return engine.Result{}, nil
	case !Has(tx, m):
		return engine.Result{}, fenced(tx, m, api.Fence{Says: "it has no BMC that could show it switched off: " + apart})
	case busy(tx, m):
		// What its BMC is being told just now may come after what it is told next.
		return engine.Result{Waiting: "it is switched off when its BMC has done what it is about"}, nil
	case f.Action == "" || err != nil:
		return engine.Result{}, cutOff(tx, now, m)
	case !a.Over():
		return engine.Result{Waiting: "it is being switched off: " + describe(a), Until: a.NextTry}, nil
	case a.State == "done" && a.Power == "off":
		return engine.Result{}, isOff(tx, m, a)
	case a.State == "cancelled":
		return engine.Result{}, fenced(tx, m, api.Fence{Action: a.Uuid, Says: "another order to its BMC came after that to switch it off: " + apart})
	case !now.Before(a.Ended.Add(fenceAgain)):
		return engine.Result{}, cutOff(tx, now, m)
	}
	f.Says = fmt.Sprintf("its BMC does not show it switched off (%s): %s", a.Error, apart)
	return engine.Result{Waiting: f.Says, Until: a.Ended.Add(fenceAgain)}, fenced(tx, m, f)
}

// busy says that an order that is not the fence's is being carried out.
func busy(r resource.Reader, m *api.Machine) bool {
	for a := range api.BMCActions.By(r, "Machine", m.Uuid) {
		if a.State == "working" && (m.Fence == nil || a.Uuid != m.Fence.Action) {
			return true
		}
	}
	return false
}

func fenced(tx *resource.Tx, m *api.Machine, f api.Fence) error {
	if m.Fence != nil && *m.Fence == f {
		return nil
	}
	return api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.Fence = &f; return nil })
}

// isOff notes that the power is off. The agent that ran there ended with it:
// when the machine goes on it is booted again. Said any sooner, that agent would
// call home once more.
func isOff(tx *resource.Tx, m *api.Machine, a *api.BMCAction) error {
	return api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error {
		m.Fence = &api.Fence{Off: true, Action: a.Uuid, Says: "it is off, as its BMC showed at " + a.Ended.UTC().Format("2006-01-02 15:04:05Z")}
		if m.Boot != nil && m.Boot.Error == "" {
			m.Boot = &api.BootState{Intent: a.Uuid, Env: m.BootEnv, Since: a.Ended}
		}
		return nil
	})
}

// cutOff orders the power off.
func cutOff(tx *resource.Tx, now time.Time, m *api.Machine) error {
	id, err := Order(tx, now, m.Uuid, api.BMCOff, "")
	if err != nil {
		return err
	}
	return api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error {
		m.Fence = &api.Fence{Action: id, Says: "it is being switched off"}
		return nil
	})
}
