package driver

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// State is the power state that a controller reports.
type State string

// The power states. StateChanging covers a controller's own "powering on" and
// "powering off".
const (
	StateOn       State = "on"
	StateOff      State = "off"
	StateChanging State = "changing"
)

// Want is a power order.
type Want string

// The power orders, with the state that proves each.
const (
	// WantOn turns the machine on; done when the state is on.
	WantOn Want = "on"
	// WantOff cuts the power at once; done when the state is off.
	WantOff Want = "off"
	// WantSoft asks the operating system to shut down; done when the state is off.
	WantSoft Want = "soft"
	// WantCycle is off, seen off, then on, seen on: the only restart that the
	// controller's state can prove.
	WantCycle Want = "cycle"
	// WantReset restarts a running machine by its reset line, or by WantCycle
	// where the controller has no reset. A machine that is off is turned on.
	// The state reads "on" before and after, so a reset is proved no further
	// than "accepted, and on at the end".
	WantReset Want = "reset"
)

// Device is what a machine starts from once, at its next power-on.
type Device string

// The boot devices.
const (
	DevicePXE   Device = "pxe"
	DeviceDisk  Device = "disk"
	DeviceCDROM Device = "cdrom"
	// DeviceHTTP is UEFI HTTP boot: Redfish only, and only with uefi set.
	DeviceHTTP Device = "http"
)

// Power reads and changes the power of one machine.
type Power interface {
	PowerState(ctx context.Context) (State, error)
	SetPower(ctx context.Context, want Want) error
}

// BootDevice chooses the device of the next start only. IPMI controllers forget
// the choice after 60 s (IPMI 2.0, table 28-14): order power right after it.
type BootDevice interface {
	BootOnce(ctx context.Context, device Device, uefi bool) error
}

// link is one protocol's conversation: single orders, neither verified nor retried.
type link interface {
	state(ctx context.Context) (State, error)
	order(ctx context.Context, want Want) error
	bootOnce(ctx context.Context, device Device, uefi bool) error
	close(ctx context.Context) error
}

// parseState reads the text forms of both protocols: "On", "PoweringOff" from
// Redfish, "Chassis Power is on\n" from ipmitool.
func parseState(text string) (State, error) {
	word := strings.ToLower(strings.TrimSpace(text))
	word = strings.TrimSpace(strings.TrimPrefix(word, "chassis power is "))
	switch word {
	case "on":
		return StateOn, nil
	case "off":
		return StateOff, nil
	case "poweringon", "poweringoff":
		return StateChanging, nil
	}
	return "", fmt.Errorf("unknown power state %.60q", text)
}

func (w Want) valid() bool {
	return slices.Contains([]Want{WantOn, WantOff, WantSoft, WantCycle, WantReset}, w)
}

func (d Device) valid() bool {
	return slices.Contains([]Device{DevicePXE, DeviceDisk, DeviceCDROM, DeviceHTTP}, d)
}
