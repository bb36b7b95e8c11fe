package lab

import (
	"context"
	"fmt"
	"slices"
)

// BootDevice is where a machine is told to start from.
type BootDevice string

// Boot devices. BootDefault is the machine's own order.
const (
	BootDefault BootDevice = ""
	BootPXE     BootDevice = "pxe"
	BootDisk    BootDevice = "disk"
)

// Boot is a boot override; the zero value is none.
type Boot struct {
	Device BootDevice `json:"device"`
	// Once ends the override with the next power-on or reset by the BMC.
	Once bool `json:"once"`
}

// SetBoot sets the override for the next start. A machine that runs goes on.
func (n *Node) SetBoot(ctx context.Context, boot Boot) error {
	if !slices.Contains([]BootDevice{BootDefault, BootPXE, BootDisk}, boot.Device) {
		return fmt.Errorf("set boot of node %s: device %q: use %q, %q or none", n.Name, boot.Device, BootPXE, BootDisk)
	}
	if boot.Device == BootDefault {
		boot.Once = false
	}
	return n.act(ctx, "set boot of", func(context.Context) error { return n.saveBoot(boot) })
}

// Boot is the pending override.
func (n *Node) Boot() (Boot, error) {
	var boot Boot
	if err := readJSON(n.path("bootdev"), &boot); err != nil {
		return Boot{}, fmt.Errorf("read boot override of node %s: %w", n.Name, err)
	}
	return boot, nil
}

func (n *Node) saveBoot(boot Boot) error { return writeJSON(n.path("bootdev"), boot) }

// bootOrder says whether the network comes before the disk, at the first start
// and at later restarts by the guest.
func (n *Node) bootOrder(boot Boot) (first, later bool) {
	first = n.NetFirst
	switch boot.Device {
	case BootPXE:
		first = true
	case BootDisk:
		first = false
	}
	if boot.Once {
		return first, n.NetFirst
	}
	return first, first
}
