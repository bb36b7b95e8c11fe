package lab

import (
	"context"
	"fmt"
	"io"
)

// Chassis is the contract of ipmi_sim's chassis_control program: it is called
// with "get" and names, or "set" and pairs of name and value, and answers a get
// with name:value lines on out.
//
//	get power|boot
//	set power 0|1, set boot pxe|disk|default|none, set reset 1, set shutdown 1
//	set identify SECONDS FORCE (accepted; there is no lamp)
func (n *Node) Chassis(ctx context.Context, args []string, out io.Writer) error {
	if len(args) < 2 {
		return fmt.Errorf("chassis command %q: want get NAME or set NAME VALUE", args)
	}
	switch args[0] {
	case "get":
		return n.chassisGet(args[1:], out)
	case "set":
		return n.chassisSet(ctx, args[1:])
	}
	return fmt.Errorf("chassis command %q: use get or set", args[0])
}

func (n *Node) chassisGet(names []string, out io.Writer) error {
	for _, name := range names {
		value, err := n.chassisValue(name)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%s:%s\n", name, value); err != nil {
			return fmt.Errorf("answer chassis get %s: %w", name, err)
		}
	}
	return nil
}

func (n *Node) chassisValue(name string) (string, error) {
	switch name {
	case "power":
		if n.Power() == On {
			return "1", nil
		}
		return "0", nil
	case "boot":
		boot, err := n.Boot()
		if err != nil {
			return "", err
		}
		if boot.Device == BootPXE {
			return "pxe", nil
		}
		return "default", nil // ipmi_sim's word for the disk too
	}
	return "", fmt.Errorf("chassis get %q: use power or boot", name)
}

func (n *Node) chassisSet(ctx context.Context, pairs []string) error {
	for len(pairs) > 0 {
		if len(pairs) < 2 {
			return fmt.Errorf("chassis set %s: a value is missing", pairs[0])
		}
		name, value := pairs[0], pairs[1]
		pairs = pairs[2:]
		if name == "identify" {
			pairs = pairs[min(1, len(pairs)):]
			continue
		}
		if err := n.chassisApply(ctx, name, value); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) chassisApply(ctx context.Context, name, value string) error {
	switch name + " " + value {
	case "power 0":
		return n.PowerOff(ctx)
	case "power 1":
		return n.PowerOn(ctx)
	case "reset 1":
		return n.Reset(ctx)
	case "shutdown 1":
		return n.SoftOff(ctx)
	case "boot pxe":
		return n.SetBoot(ctx, Boot{Device: BootPXE, Once: true})
	case "boot disk":
		return n.SetBoot(ctx, Boot{Device: BootDisk, Once: true})
	case "boot default", "boot none":
		return n.SetBoot(ctx, Boot{})
	}
	return fmt.Errorf("chassis set %s %q: not simulated", name, value)
}
