package render

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// machine is .Machine: the fields of the object, without its secret.
type machine struct {
	api.Machine
	c Context
}

func newMachine(c Context) *machine {
	m := &machine{Machine: *c.Machine, c: c}
	m.Secret = ""
	m.Machine.Params = nil // reached through Params only, which copies
	return m
}

// Params copies the machine's own params as they are stored.
func (m *machine) Params() resource.Params { return cloneParams(m.c.Machine.Params) }

// UUID is the Uuid.
func (m *machine) UUID() string { return m.Uuid }

// HexAddress is the IPv4 address as PXELINUX looks for it: 8 digits, upper case.
func (m *machine) HexAddress() string {
	ip := net.ParseIP(m.Address).To4()
	if ip == nil {
		return ""
	}
	return fmt.Sprintf("%02X%02X%02X%02X", ip[0], ip[1], ip[2], ip[3])
}

// ShortName is the name up to the first dot.
func (m *machine) ShortName() string {
	short, _, _ := strings.Cut(m.Name, ".")
	return short
}

// MacAddr is the hardware address in the form that a loader asks for: raw
// (also ipxe and grub), pxelinux or rpi4.
func (m *machine) MacAddr(form ...string) (string, error) {
	mac := m.c.MAC
	if mac == "" && len(m.HardwareAddrs) > 0 {
		mac = m.HardwareAddrs[0]
	}
	if mac == "" {
		return "", fmt.Errorf("machine %s has no hardware address", m.Name)
	}
	switch strings.Join(form, ",") {
	case "", "raw", "ipxe", "grub":
		return mac, nil
	case "pxelinux":
		return "01-" + strings.ReplaceAll(mac, ":", "-"), nil
	case "rpi4":
		return strings.ReplaceAll(mac, ":", "-"), nil
	}
	return "", fmt.Errorf("MacAddr knows no form %q; use raw, ipxe, grub, pxelinux or rpi4", strings.Join(form, ","))
}

// Path is the folder of the machine's own files.
func (m *machine) Path() string { return "machines/" + m.Uuid }

// Url is where that folder is served.
func (m *machine) Url() string { return m.c.Server.ProvisionerURL + "/" + m.Path() }

// HasProfile says whether the machine itself lists the profile.
func (m *machine) HasProfile(name string) bool { return slices.Contains(m.Profiles, name) }

// HasTask says whether the task is in the machine's task list.
func (m *machine) HasTask(name string) bool { return slices.Contains(m.Tasks, name) }
