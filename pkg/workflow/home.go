package workflow

import (
	"fmt"
	"iter"

	"drpd/pkg/api"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
)

// Home notes that an agent runs on the machine in env. If that is where the
// machine shall be, and nothing else must show it, its tasks may run.
func Home(tx *resource.Tx, id, env string) error {
	m, err := api.Machines.Get(tx, id)
	if err != nil || m.BootEnv != env || (m.Boot != nil && m.Boot.Home) || absent(tx, m) != "" {
		return err
	}
	if err := recall(tx, m); err != nil {
		return err
	}
	return api.Machines.Modify(tx, id, func(m *api.Machine) error {
		if m.Boot == nil {
			m.Boot = &api.BootState{Env: env, Since: tx.Now()}
		}
		m.Boot.Home, m.Boot.Error, m.Runnable = true, "", true
		return nil
	})
}

// absent says why an agent's word that it runs where the machine shall be does
// not count yet, "" if it does. What a BMC does is known from the BMC alone: until
// its order has an outcome it may cut the power under the agent's task.
func absent(r resource.Reader, m *api.Machine) string {
	if proof.Awaited(r, m) {
		return fmt.Sprintf("%s has yet to boot into %s, as its BMC was told", m.Name, m.BootEnv)
	}
	for a := range underWay(r, m) {
		if a.State == "working" || !proof.Shown(r, m) { // it cannot be called back
			return fmt.Sprintf("%s has yet to boot into %s: its BMC is being told (%s), and what came of it is not known", m.Name, m.BootEnv, a.Want)
		}
	}
	return ""
}

// underWay are the orders to the BMC that serve the boot that is wanted now.
func underWay(r resource.Reader, m *api.Machine) iter.Seq[*api.BMCAction] {
	return func(yield func(*api.BMCAction) bool) {
		if m.Boot == nil || m.Boot.Intent == "" {
			return
		}
		for a := range api.BMCActions.By(r, "Machine", m.Uuid) {
			if !a.Over() && a.Intent == m.Boot.Intent && !yield(a) {
				return
			}
		}
	}
}

// recall cancels boots of a machine that an operator has let in meanwhile.
func recall(tx *resource.Tx, m *api.Machine) error {
	for a := range underWay(tx, m) {
		if err := api.BMCActions.Modify(tx, a.Uuid, func(a *api.BMCAction) error {
			a.State, a.Ended, a.Error = "cancelled", tx.Now(), "an operator has let in who is there"
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}
