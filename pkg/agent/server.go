//go:build linux

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"drpd/pkg/agent/facts"
	"drpd/pkg/client"
)

// installedTTL is the life of the token of an installed system's agent; it has
// no other way to get one.
const installedTTL = "3y"

// ownServer is what operations may ask of the server about this machine.
type ownServer struct{ a *agent }

// Record stores the inventory where tasks and people look for it.
func (s ownServer) Record(ctx context.Context, inv facts.Inventory) error {
	id := s.a.machine()
	m, err := s.a.getMachine(ctx, id)
	if err != nil {
		return fmt.Errorf("record inventory: %w", err)
	}
	addrs := m.HardwareAddrs
	for _, mac := range hardwareAddrs(inv) {
		if !slices.Contains(addrs, mac) && len(addrs) < maxAddrs {
			addrs = append(addrs, mac)
		}
	}
	mode := "legacy-bios"
	if inv.FirmwareMode == facts.FirmwareUEFI {
		mode = "uefi"
	}
	p := []client.Op{
		client.Set(client.Pointer("Params", "inventory/data"), inv),
		client.Set("/Params/detected-bios-mode", mode),
		client.Set("/HardwareAddrs", addrs),
		client.Set("/Fingerprint", fingerprint(inv.System)),
	}
	if inv.BootMAC != "" {
		p = append(p, client.Set("/Params/last-boot-macaddr", inv.BootMAC))
	}
	if err := s.a.patchMachine(ctx, id, p...); err != nil {
		return fmt.Errorf("record inventory: %w", err)
	}
	return nil
}

// AgentConfig is the configuration for the agent of the installed system.
func (s ownServer) AgentConfig(ctx context.Context, env string) ([]byte, error) {
	if env == "" {
		return nil, errors.New("personalize.env is empty: name the boot environment of the installed system")
	}
	id := s.a.machine()
	token, err := ask(ctx, s.a, func(c *client.Client) (string, error) { return c.GrantToken(ctx, "machines", id, installedTTL) })
	if err != nil {
		return nil, fmt.Errorf("get a token for the installed system: %w", err)
	}
	at := s.a.place()
	return json.MarshalIndent(Config{Endpoint: at.Endpoints[0], Endpoints: at.Endpoints[1:], CAFingerprint: strings.Join(at.Pins, ","),
		Token: token, Machine: id, Env: env}, "", "  ")
}
