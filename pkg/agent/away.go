//go:build linux

package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"drpd/pkg/api"
	"drpd/pkg/client"
)

// paramBMC is set on machines whose power the server controls.
const paramBMC = "ipmi/address"

// endGrace is how long an ordered reboot may take to end this process.
const endGrace = 5 * time.Minute

// away waits for the machine to leave the environment it runs in. The server
// does that through the BMC; a machine without one reboots itself when its next
// task needs the other environment.
func (a *agent) away(ctx context.Context, m *api.Machine) error {
	a.tell(fmt.Sprintf("the machine shall boot into %s and runs %s", m.BootEnv, a.cfg.Env))
	unix.Sync()
	if !a.mustReboot(m) {
		a.rest(ctx)
		return nil
	}
	params, err := ask(ctx, a, func(c *client.Client) (map[string]any, error) { return c.Params(ctx, "machines", m.Uuid, true) })
	if err != nil {
		return err
	}
	if s, _ := params[paramBMC].(string); s != "" {
		a.rest(ctx)
		return nil
	}
	// Tries may have taken long, and have led to a server that was restored
	// meanwhile: what it says now counts.
	now, err := ask(ctx, a, func(c *client.Client) (*api.Machine, error) { return client.Get(ctx, c, api.Machines, m.Uuid) })
	if err != nil {
		return err
	}
	if now.BootEnv != m.BootEnv || !a.mustReboot(now) || now.Boot.Intent != m.Boot.Intent {
		return nil
	}
	a.remember(m.Boot.Intent)
	a.log.Info("rebooting: no BMC does it for us", "into", m.BootEnv)
	return a.end(ctx, exitReboot)
}

// mustReboot says whether the next entry is a task, which needs an agent in the
// other environment, or waits for the machine to have been there. One intent is
// worth one reboot: firmware that comes back here in spite of it would loop. A
// boot that the server has given up, or must not have, is none.
func (a *agent) mustReboot(m *api.Machine) bool {
	next := max(m.CurrentTask, 0)
	if m.Boot == nil || m.Boot.Error != "" || m.WorkOrderMode || next >= len(m.Tasks) || a.remembered() == m.Boot.Intent {
		return false
	}
	verb, _ := api.Entry(m.Tasks[next])
	return verb == "" || verb == "bootenv"
}

func (a *agent) intentFile() string { return filepath.Join(a.cfg.StateDir, "rebooted-for") }

// remember keeps the intent over the reboot where the state directory does.
func (a *agent) remember(intent string) {
	a.reboots = intent
	if err := os.WriteFile(a.intentFile(), []byte(intent), 0o600); err != nil {
		a.log.Warn("reboot not remembered", "err", err)
	}
	unix.Sync()
}

func (a *agent) remembered() string {
	if a.reboots == "" {
		b, err := os.ReadFile(a.intentFile())
		if err != nil {
			return ""
		}
		a.reboots = string(b)
	}
	return a.reboots
}

// end reboots or powers off and waits for the end of this process.
func (a *agent) end(ctx context.Context, how string) error {
	do := a.cfg.Hardware.Power.Reboot
	if how == exitPowerOff {
		do = a.cfg.Hardware.Power.PowerOff
	}
	if err := do(ctx); err != nil {
		return fmt.Errorf("%s: %w", how, err)
	}
	if pause(ctx, endGrace) {
		return fmt.Errorf("%s was ordered and has not come in %s", how, endGrace)
	}
	return nil
}
