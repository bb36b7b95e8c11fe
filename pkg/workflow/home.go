package workflow

import (
	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// Home notes that an agent runs on the machine in env. If that is where the
// machine shall be, its tasks may run.
func Home(tx *resource.Tx, id, env string) error {
	m, err := api.Machines.Get(tx, id)
	if err != nil || m.BootEnv != env || (m.Boot != nil && m.Boot.Home) {
		return err
	}
	if err := booted(tx, m); err != nil {
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

// booted ends the boot that brought the agent here. Its outcome may not have
// been stored, by a crash or a BMC that answers late; doing it again would cut
// the power under the agent's task.
func booted(tx *resource.Tx, m *api.Machine) error {
	if m.Boot == nil || m.Boot.Intent == "" {
		return nil
	}
	for a := range api.BMCActions.By(tx, "Machine", m.Uuid) {
		if a.Over() || a.Intent != m.Boot.Intent {
			continue
		}
		if err := api.BMCActions.Modify(tx, a.Uuid, func(a *api.BMCAction) error {
			a.State, a.Ended, a.Power = "done", tx.Now(), "on"
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}
