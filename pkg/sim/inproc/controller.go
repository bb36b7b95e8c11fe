package inproc

import (
	"context"
	"sync"

	"drpd/pkg/api"
	"drpd/pkg/sim/redfish"
)

// Controller puts a machine behind a simulated Redfish service, so that a whole
// drpd drives it over the wire. It counts.
type Controller struct {
	Machine *Machine

	mu      sync.Mutex // guards all below
	boot    redfish.Boot
	presses int
}

// Presses is how often something was done to power or boot order.
func (c *Controller) Presses() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.presses
}

// On implements redfish.Machine.
func (c *Controller) On(context.Context) (bool, error) { return c.Machine.On(), nil }

// Boot implements redfish.Machine.
func (c *Controller) Boot(context.Context) (redfish.Boot, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.boot.Target == "" {
		return redfish.Boot{Target: redfish.TargetNone, Enabled: redfish.Disabled}, nil
	}
	return c.boot, nil
}

// SetBoot implements redfish.Machine.
func (c *Controller) SetBoot(_ context.Context, b redfish.Boot) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.boot = b
	c.presses++
	return nil
}

// Press implements redfish.Machine.
func (c *Controller) Press(_ context.Context, a redfish.Action) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.presses++
	switch {
	case a == redfish.PowerOff || a == redfish.SoftOff:
		return c.Machine.press(api.BMCOff, nil)
	case a == redfish.PowerOn && c.Machine.On():
		return nil
	}
	from := c.boot
	if from.Enabled == redfish.Once {
		c.boot = redfish.Boot{}
	}
	if from.Enabled != redfish.Disabled && from.Target == redfish.TargetPXE {
		return c.Machine.press(api.BMCBootPXE, nil)
	}
	return c.Machine.press(api.BMCBootDisk, nil)
}
