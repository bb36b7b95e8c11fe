package bmc

import (
	"context"
	"fmt"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/bmc/driver"
	"drpd/pkg/engine"
	"drpd/pkg/param"
	"drpd/pkg/resource"
)

// Worker carries out BMCActions.
type Worker struct {
	DB     *resource.DB
	Vault  *param.Vault
	Dialer *driver.Dialer
	Now    func() time.Time
}

// Action is the engine's row for BMCActions on real BMCs.
func (w *Worker) Action() engine.Action[api.BMCAction] { return ActionBy(w.carryOut, w.Now) }

// ActionBy is a row for BMCActions that are carried out by do, which returns
// the power state that it saw: repeated with back-off until it succeeds or its
// time budget is used up. do may note the SystemUUID in the action that it gets.
func ActionBy(do func(context.Context, *api.BMCAction) (power string, err error), now func() time.Time) engine.Action[api.BMCAction] {
	return engine.Action[api.BMCAction]{
		Name: "bmc", Kind: api.BMCActions, Timeout: 2 * time.Minute, Parallel: 32,
		Due: func(a *api.BMCAction, now time.Time) (bool, time.Time) {
			if a.Over() {
				return false, time.Time{}
			}
			return !now.Before(a.NextTry), a.NextTry
		},
		Claim: func(a *api.BMCAction, _ time.Time) { a.State, a.Tries = "working", a.Tries+1 },
		Do: func(ctx context.Context, a *api.BMCAction) func(*api.BMCAction) error {
			c := *a // what was read is shared
			power, err := do(ctx, &c)
			return func(a *api.BMCAction) error {
				if a.SystemUUID = c.SystemUUID; !a.Over() { // else it was cancelled or the agent is there already
					settle(a, now(), power, err)
				}
				return nil
			}
		},
	}
}

// settle records one try.
func settle(a *api.BMCAction, now time.Time, power string, err error) {
	if power != "" {
		a.Power = power
	}
	if err == nil {
		a.State, a.Ended = "done", now
		return
	}
	a.Error = err.Error()
	a.NextTry = now.Add(engine.Backoff(a.Tries))
	a.State = "wanted"
	if a.NextTry.After(a.Deadline) {
		a.State, a.Ended = "failed", now
		a.Error = fmt.Sprintf("given up after %d tries in %s: %v", a.Tries, now.Sub(a.Created).Round(time.Second), err)
	}
}

func (w *Worker) carryOut(ctx context.Context, a *api.BMCAction) (power string, err error) {
	t, uefi, err := w.target(a.Machine)
	if err != nil {
		return "", err
	}
	err = w.Dialer.Do(ctx, t, func(s *driver.Session) error {
		if err := apply(ctx, s, a.Want, uefi); err != nil {
			return err
		}
		if a.Intent != "" {
			a.SystemUUID = s.SystemUUID(ctx) // whoever comes from this boot tells it too
		}
		state, err := s.PowerState(ctx)
		power = string(state)
		return err
	})
	return power, err
}

func apply(ctx context.Context, s *driver.Session, want api.BMCWant, uefi bool) error {
	switch want {
	case api.BMCStatus:
		return nil
	case api.BMCOn:
		return s.SetPower(ctx, driver.WantOn)
	case api.BMCOff:
		return s.SetPower(ctx, driver.WantOff)
	case api.BMCCycle:
		return s.SetPower(ctx, driver.WantCycle)
	case api.BMCBootPXE:
		return bootFrom(ctx, s, driver.DevicePXE, uefi)
	case api.BMCBootDisk:
		return bootFrom(ctx, s, driver.DeviceDisk, uefi)
	}
	return fmt.Errorf("no such BMC action %q", want)
}

// controller is what a boot needs of a session.
type controller interface {
	driver.Power
	driver.BootDevice
}

// bootFrom goes through off, so that the machine surely starts its firmware
// and repeating it after a crash does no more than one extra restart. The power
// is cut only when the controller has taken the boot device: one that does not
// must not leave a machine off. It is told once more after that, for some forget
// it with the power, and those of IPMI after a minute.
func bootFrom(ctx context.Context, s controller, d driver.Device, uefi bool) error {
	state, err := s.PowerState(ctx)
	if err != nil {
		return err
	}
	if err := s.BootOnce(ctx, d, uefi); err != nil {
		return err
	}
	if state != driver.StateOff {
		if err := s.SetPower(ctx, driver.WantOff); err != nil {
			return err
		}
		if err := s.BootOnce(ctx, d, uefi); err != nil {
			return err
		}
	}
	return s.SetPower(ctx, driver.WantOn)
}

// target reads where and how to reach a machine's BMC.
func (w *Worker) target(id string) (t driver.Target, uefi bool, err error) {
	v := w.DB.View()
	m, err := api.Machines.Get(v, id)
	if err != nil {
		return t, false, err
	}
	p := param.Resolver{Reader: v, Scope: param.Scope{Machine: m}, Vault: w.Vault}
	text := func(name, def string) string {
		got, _, ok, getErr := p.Get(name)
		if getErr != nil {
			err = fmt.Errorf("machine %s: %w", m.Name, getErr)
		}
		if s, isText := got.(string); ok && isText && s != "" {
			return s
		}
		return def
	}
	t = driver.Target{Mode: text(ParamMode, driver.ModeIPMI), Address: text(ParamAddress, ""), User: text(ParamUser, ""),
		Password: text(ParamPassword, ""), CipherSuite: text("ipmi/cipher-suite", ""), TLSPin: text("ipmi/tls-pin", "")}
	t.InsecureTLS = t.TLSPin == ""
	if port, ok := number(p, ParamPort); ok {
		t.Port = port
	}
	return t, text(ParamFirmware, "") == "uefi", err
}

func number(p param.Resolver, name string) (int, bool) {
	if _, _, ok, _ := p.Get(name); !ok {
		return 0, false
	}
	n, err := p.Int(name)
	return n, err == nil
}
