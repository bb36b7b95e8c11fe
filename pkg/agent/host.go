//go:build linux

package agent

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"drpd/pkg/agent/boot"
	"drpd/pkg/agent/disk"
	"drpd/pkg/agent/facts"
	"drpd/pkg/agent/ops"
)

// thisMachine is the hardware that the agent itself runs on.
func thisMachine() ops.Hardware {
	return ops.Hardware{Facts: facts.Source{}, Disks: disk.Host{}, Power: hostPower{}}
}

// hostPower ends an installed system the orderly way, through its service
// manager; the discovery image has none and nothing to close.
type hostPower struct{}

func (hostPower) Reboot(ctx context.Context) error {
	if os.Getpid() == 1 {
		return boot.Reboot()
	}
	return systemctl(ctx, "reboot")
}

func (hostPower) PowerOff(ctx context.Context) error {
	if os.Getpid() == 1 {
		return boot.PowerOff()
	}
	return systemctl(ctx, "poweroff")
}

func systemctl(ctx context.Context, verb string) error {
	out, err := exec.CommandContext(ctx, "systemctl", verb).CombinedOutput()
	if err != nil {
		return fmt.Errorf("systemctl %s: %w: %.200s", verb, err, out)
	}
	return nil
}
