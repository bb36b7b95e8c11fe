package redfish

import (
	"context"
	"sync"
)

// Action is something done to a machine's power.
type Action string

// Actions, named after what happens to the machine.
const (
	PowerOn    Action = "on"
	PowerOff   Action = "off"
	PowerReset Action = "reset"
	SoftOff    Action = "soft-off"
)

// Boot is an override of the boot source, in Redfish's words.
type Boot struct {
	// Target is None, Pxe or Hdd.
	Target string
	// Enabled is Disabled, Once or Continuous.
	Enabled string
}

// Values of Boot.
const (
	TargetNone = "None"
	TargetPXE  = "Pxe"
	TargetDisk = "Hdd"

	Disabled   = "Disabled"
	Once       = "Once"
	Continuous = "Continuous"
)

// Machine is the server behind the simulated controller.
type Machine interface {
	// On says whether the machine has power.
	On(ctx context.Context) (bool, error)
	// Press carries out an action. SoftOff may return before its effect.
	Press(ctx context.Context, action Action) error
	// Boot is the pending override; one for a single boot is gone once used.
	Boot(ctx context.Context) (Boot, error)
	SetBoot(ctx context.Context, boot Boot) error
}

// Memory is a machine that exists only in memory and obeys at once. The zero
// value is off and has no override.
type Memory struct {
	mu      sync.Mutex
	on      bool
	boot    Boot
	history []string
}

// On implements Machine.
func (m *Memory) On(context.Context) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.on, nil
}

// Press implements Machine.
func (m *Memory) Press(_ context.Context, action Action) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	entry := string(action)
	starts := action == PowerOn && !m.on || action == PowerReset && m.on
	if starts && m.boot.Enabled != Disabled && m.boot.Enabled != "" {
		entry += " from " + m.boot.Target
	}
	if starts && m.boot.Enabled == Once {
		m.boot = Boot{}
	}
	switch action {
	case PowerOn:
		m.on = true
	case PowerOff, SoftOff:
		m.on = false
	}
	m.history = append(m.history, entry)
	return nil
}

// Boot implements Machine.
func (m *Memory) Boot(context.Context) (Boot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.boot.normal(), nil
}

// SetBoot implements Machine.
func (m *Memory) SetBoot(_ context.Context, boot Boot) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.boot = boot.normal()
	return nil
}

// History lists the actions so far, with the override that a start used, such
// as "on from Pxe".
func (m *Memory) History() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.history...)
}

// normal gives "no override" one spelling.
func (b Boot) normal() Boot {
	if b.Enabled == "" || b.Enabled == Disabled || b.Target == "" || b.Target == TargetNone {
		return Boot{Target: TargetNone, Enabled: Disabled}
	}
	return b
}
