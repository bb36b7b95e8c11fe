//go:build linux

package agent

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"drpd/pkg/agent/facts"
	"drpd/pkg/api"
	"drpd/pkg/client"
)

// maxAddrs bounds the hardware addresses of a machine that are reported.
const maxAddrs = 64

// identify asks the server who this machine is until it knows: with the token
// at hand, then with the one from the configuration.
func (a *agent) identify(ctx context.Context) error {
	if a.cfg.Context != "" {
		return fmt.Errorf("%w: its token is not accepted", errLeave)
	}
	wait := pace()
	for {
		err := a.identifyOnce(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		a.log.Error("the server does not know who this machine is, trying again", "endpoint", a.place().Endpoints[0], "err", err)
		if client.Status(err) == 0 {
			a.elsewhere()
		}
		if !wait.Sleep(ctx) {
			return context.Cause(ctx)
		}
	}
}

// report tells a restored server what runs here. Its answer is not awaited to be
// good: until it is active it only takes note.
func (a *agent) report(ctx context.Context) {
	if a.cfg.Context != "" {
		return
	}
	a.log.Warn("the server was restored from a backup: telling it what runs here", "env", a.cfg.Env)
	if err := a.identifyOnce(ctx); err != nil {
		a.log.Info("told", "answer", err)
	}
}

func (a *agent) identifyOnce(ctx context.Context) error {
	inv, err := a.cfg.Hardware.Facts.Collect()
	if err != nil {
		return err
	}
	me := client.WhoAmIRequest{MacAddrs: hardwareAddrs(inv), Fingerprint: fingerprint(inv.System), Env: a.cfg.Env}
	who, err := a.client().WhoAmI(ctx, me)
	if denied(err) && a.client().Token() != a.cfg.Token {
		a.setToken(a.cfg.Token)
		who, err = a.client().WhoAmI(ctx, me)
	}
	if err != nil {
		return err
	}
	if who.Uuid == "" {
		return errors.New("no machine has this fingerprint, and the token may not create one")
	}
	if who.Token != "" {
		a.setToken(who.Token)
	}
	if a.machine() != who.Uuid {
		a.log.Info("identified", "machine", who.Uuid, "score", who.Score, "env", a.cfg.Env)
	}
	a.setMachine(who.Uuid)
	a.learn(ctx)
	return nil
}

// hardwareAddrs lists the addresses that are the machine's own, that of the
// boot interface first. Network interfaces that a BMC offers over USB are left
// out: many vendors give all of theirs the same address.
func hardwareAddrs(inv facts.Inventory) []string {
	var out []string
	add := func(mac string) {
		if mac = strings.ToLower(mac); mac != "" && !slices.Contains(out, mac) && len(out) < maxAddrs {
			out = append(out, mac)
		}
	}
	add(inv.BootMAC)
	for _, n := range inv.NICs {
		if !slices.Contains([]string{"cdc_ether", "cdc_eem", "cdc_ncm", "rndis_host"}, n.Driver) {
			add(n.MAC)
		}
	}
	return out
}

// fingerprint hashes serial numbers: the server compares and never needs them.
func fingerprint(s facts.System) api.Fingerprint {
	f := api.Fingerprint{SSNHash: hash(s.Serial), CSNHash: hash(s.ChassisSerial)}
	if !placeholder(strings.ReplaceAll(s.UUID, "-", "")) {
		f.SystemUUID = s.UUID
	}
	return f
}

func hash(serial string) []byte {
	if placeholder(serial) {
		return nil
	}
	sum := sha256.Sum256([]byte(serial))
	return sum[:]
}

// placeholder recognizes what vendors ship instead of a serial number: a text
// that asks for one, or one character over and over.
func placeholder(s string) bool {
	s = strings.ToLower(strings.TrimSpace(s))
	if s == "" || strings.Count(s, s[:1]) == len(s) {
		return true
	}
	return slices.Contains([]string{"to be filled by o.e.m.", "default string", "not specified", "not available", "none", "n/a",
		"unknown", "system serial number", "chassis serial number", "0123456789", "123456789",
		"03000200040005000006000700080009"}, s)
}

func (a *agent) machine() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.uuid
}

func (a *agent) setMachine(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.uuid = id
}

// String names the agent for the console.
func (a *agent) String() string {
	return fmt.Sprintf("agent of machine %s in %s", a.machine(), a.cfg.Env)
}
