package lab

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"

	"github.com/google/uuid"
)

var (
	nodeName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	// plain keeps values safe inside QEMU options and the BMC's config file.
	plain = regexp.MustCompile(`^[A-Za-z0-9_.!@%+-]{1,20}$`)
)

// Limits of one machine: what a firmware needs at least, and what keeps a
// typing error from filling the host.
const (
	minMemoryMiB, maxMemoryMiB = 128, 16 << 10
	minDiskSize, maxDiskSize   = 1 << 20, 1 << 40
)

// complete fills the defaults and checks the result; cidr is the rack's network.
func (c *NodeConfig) complete(cidr string) error {
	c.Firmware = cmp.Or(c.Firmware, BIOS)
	c.Disk = cmp.Or(c.Disk, Virtio)
	c.DiskSerial = cmp.Or(c.DiskSerial, c.Name[:min(20, len(c.Name))])
	c.DiskSize = cmp.Or(c.DiskSize, 2<<30)
	c.MemoryMiB = cmp.Or(c.MemoryMiB, 512)
	c.BMC.Kind = cmp.Or(c.BMC.Kind, NoBMC)
	if err := c.checkIdentity(); err != nil {
		return err
	}
	switch {
	case !slices.Contains([]string{BIOS, UEFI}, c.Firmware):
		return fmt.Errorf("firmware %q: use %s or %s", c.Firmware, BIOS, UEFI)
	case c.HTTPBoot && c.Firmware != UEFI:
		return fmt.Errorf("HTTP boot needs firmware %s", UEFI)
	case !slices.Contains([]string{Virtio, NVMe, AHCI}, c.Disk):
		return fmt.Errorf("disk %q: use %s, %s or %s", c.Disk, Virtio, NVMe, AHCI)
	case c.DiskSize < minDiskSize || c.DiskSize > maxDiskSize || c.DiskSize%512 != 0:
		return fmt.Errorf("disk size %d: use a multiple of 512 from %d to %d bytes", c.DiskSize, minDiskSize, maxDiskSize)
	case c.MemoryMiB < minMemoryMiB || c.MemoryMiB > maxMemoryMiB:
		return fmt.Errorf("memory %d MiB: use %d to %d", c.MemoryMiB, minMemoryMiB, maxMemoryMiB)
	}
	return c.BMC.check(cidr)
}

func (c *NodeConfig) checkIdentity() error {
	mac, err := net.ParseMAC(c.MAC)
	if err != nil || len(mac) != 6 || mac[0]&1 != 0 {
		return fmt.Errorf("MAC %q: give a unicast address of six bytes, such as 52:54:00:00:00:01", c.MAC)
	}
	id, err := uuid.Parse(c.UUID)
	if err != nil {
		return fmt.Errorf("UUID %q: %w", c.UUID, err)
	}
	c.MAC, c.UUID = mac.String(), id.String()
	switch {
	case !nodeName.MatchString(c.Name):
		return fmt.Errorf("name %q: use at most 32 of a-z, 0-9 and -", c.Name)
	case !plain.MatchString(c.DiskSerial):
		return fmt.Errorf("disk serial %q: use 1 to 20 letters, digits or _.!@%%+-", c.DiskSerial)
	}
	return nil
}

func (b *BMC) check(cidr string) error {
	if b.Kind == NoBMC {
		return nil
	}
	if !slices.Contains([]string{IPMI, Redfish}, b.Kind) {
		return fmt.Errorf("BMC kind %q: use %s, %s or %s", b.Kind, IPMI, Redfish, NoBMC)
	}
	network, err := netip.ParsePrefix(cidr)
	if err != nil {
		return fmt.Errorf("rack network: %w", err)
	}
	addr, err := netip.ParseAddr(b.Address)
	if err != nil || !network.Contains(addr) || addr == network.Addr() {
		return fmt.Errorf("BMC address %q: give a free address in %s", b.Address, network.Masked())
	}
	if !plain.MatchString(b.User) || len(b.User) > 16 || !plain.MatchString(b.Password) {
		return fmt.Errorf("BMC user %q or its password: use 1 to 16 and 1 to 20 letters, digits or _.!@%%+-", b.User)
	}
	return nil
}
