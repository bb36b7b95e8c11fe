package bmc

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"drpd/pkg/bmc/driver"
)

// played is a controller that notes what it is told.
type played struct {
	state   driver.State
	refuses int  // the how-manieth boot order it refuses; 0: none
	forgets bool // it drops the boot order when it cuts the power
	stuck   bool // it does not cut the power
	order   driver.Device
	orders  int
	told    []string
}

func (p *played) PowerState(context.Context) (driver.State, error) { return p.state, nil }

func (p *played) BootOnce(_ context.Context, d driver.Device, _ bool) error {
	p.told = append(p.told, "boot "+string(d))
	if p.orders++; p.orders == p.refuses {
		return errors.New("refused")
	}
	p.order = d
	return nil
}

func (p *played) SetPower(_ context.Context, w driver.Want) error {
	p.told = append(p.told, string(w))
	if w == driver.WantOff && p.stuck {
		return errors.New("power stays")
	}
	if w == driver.WantOff && p.forgets {
		p.order = ""
	}
	p.state = driver.State(w)
	return nil
}

// TestNoPowerCutBeforeTheBootOrder: a controller that takes no boot order leaves
// the machine as it is, and the order holds when the machine starts.
func TestNoPowerCutBeforeTheBootOrder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		p     played
		told  []string
		ends  driver.State
		order driver.Device
		err   string
	}{
		"on":                     {played{state: driver.StateOn}, []string{"boot pxe", "off", "boot pxe", "on"}, driver.StateOn, "pxe", ""},
		"off":                    {played{state: driver.StateOff}, []string{"boot pxe", "on"}, driver.StateOn, "pxe", ""},
		"takes no order":         {played{state: driver.StateOn, refuses: 1}, []string{"boot pxe"}, driver.StateOn, "", "refused"},
		"off, takes no order":    {played{state: driver.StateOff, refuses: 1}, []string{"boot pxe"}, driver.StateOff, "", "refused"},
		"forgets with the power": {played{state: driver.StateOn, forgets: true}, []string{"boot pxe", "off", "boot pxe", "on"}, driver.StateOn, "pxe", ""},
		"cannot cut the power":   {played{state: driver.StateOn, stuck: true}, []string{"boot pxe", "off"}, driver.StateOn, "pxe", "power stays"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := c.p
			err := bootFrom(t.Context(), &p, driver.DevicePXE, true)
			if c.err != "" {
				assert.EqualError(t, err, c.err)
			} else {
				assert.NoError(t, err)
			}
			assert.Equal(t, []any{c.told, c.ends, c.order}, []any{p.told, p.state, p.order})
		})
	}
}
