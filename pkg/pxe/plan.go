package pxe

import (
	"fmt"
	"net/netip"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/guard"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
)

// plan is what one client shall boot now.
type plan struct {
	machine *api.Machine // nil: unknown
	env     *api.BootEnv // nil if there is no such environment
	local   string       // why it boots its disk, "" if it boots env
	intent  string       // the intent that serving env's script uses up
}

// name is how messages call the client.
func (p plan) name() string {
	if p.machine == nil {
		return "unknown machine"
	}
	return p.machine.Name
}

// arch is the machine's architecture; unknown ones are taken for amd64.
func (p plan) arch() string {
	if p.machine == nil || p.machine.Arch == "" {
		return "amd64"
	}
	return p.machine.Arch
}

// planFor decides what the client with that MAC (or, if mac is "", that
// address) boots.
func planFor(r resource.Reader, mac string, addr netip.Addr) plan {
	p := plan{machine: findMachine(r, mac, addr)}
	if p.machine != nil && p.machine.Fenced() {
		p.local = "it is held with data on its disks"
		return p
	}
	want := envName(r, p.machine)
	if want == "" {
		p.local = "no boot environment is set"
		return p
	}
	env, err := api.BootEnvs.Get(r, want)
	if err != nil {
		p.local = fmt.Sprintf("boot environment %s does not exist", want)
		return p
	}
	p.env = env
	switch {
	case !env.NetBoots():
		p.local = "boot environment " + want + " boots the disk"
	case !env.Available:
		p.local = fmt.Sprintf("boot environment %s is not available: %s", want, strings.Join(env.Errors, "; "))
	case env.OneShot():
		if p.intent, p.local = pending(p.machine, want); p.intent == "" {
			break
		}
		if err := guard.Destroy(r, p.machine, guard.Install); err != nil {
			p.intent, p.local = "", err.Error()
		}
	}
	return p
}

// pending returns the intent under which an installer may go out, or why none may.
func pending(m *api.Machine, env string) (intent, refusal string) {
	switch {
	case m == nil:
		return "", "installer " + env + " is never served to an unknown machine"
	case m.Boot == nil || m.Boot.Intent == "" || m.Boot.Env != env:
		return "", "nobody asked to boot installer " + env
	case m.Boot.Served || m.Boot.Home:
		return "", "installer " + env + " was already served for this intent"
	}
	return m.Boot.Intent, ""
}

// envName is the boot environment of a machine, or of unknown ones.
func envName(r resource.Reader, m *api.Machine) string {
	switch {
	case m == nil:
		return preference(r, "unknownBootEnv", "discovery")
	case m.BootEnv == "":
		return preference(r, "defaultBootEnv", "")
	}
	return m.BootEnv
}

func preference(r resource.Reader, name, def string) string {
	if p, err := api.Preferences.Get(r, name); err == nil && p.Value != "" {
		return p.Value
	}
	return def
}

// findMachine looks by MAC and, only if no MAC is known, by address: a stale
// Address must never make one machine get what is meant for another.
func findMachine(r resource.Reader, mac string, addr netip.Addr) *api.Machine {
	if mac == "" {
		mac = leasedTo(r, addr)
	}
	if mac != "" {
		return api.Machines.One(r, api.ByMAC, mac)
	}
	if !addr.IsValid() {
		return nil
	}
	return api.Machines.One(r, api.ByAddress, addr.String())
}

// leasedTo returns the MAC that holds the address, "" if there is no lease.
func leasedTo(r resource.Reader, addr netip.Addr) string {
	if !addr.IsValid() {
		return ""
	}
	l, err := api.Leases.Get(r, addr.String())
	if err != nil {
		return ""
	}
	return l.Token
}

// mayRead says whether the client may read what is rendered for m alone, since
// it may hold a token: only who could claim to be m may.
func (s *Server) mayRead(r resource.Reader, m *api.Machine, client netip.Addr) bool {
	return m == nil || proof.MayRead(r, s.cfg.DB.Now(), m, client)
}
