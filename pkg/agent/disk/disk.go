//go:build linux

package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// sysfsSector is the unit of every size in sysfs, whatever the disk's real
// sector size is.
const sysfsSector = 512

// Transports a Disk can have.
const (
	TransportNVMe   = "nvme"
	TransportATA    = "ata"
	TransportVirtio = "virtio"
	TransportUSB    = "usb"
	TransportMMC    = "mmc"
	TransportSCSI   = "scsi"
	TransportSAS    = "sas"
	TransportFC     = "fc"    // Fibre Channel
	TransportISCSI  = "iscsi" // also NVMe over a network
)

// Disk is one whole disk as the kernel describes it.
type Disk struct {
	Name       string // kernel name of this boot, such as "sda"
	Path       string // device node, such as "/dev/sda"
	Serial     string // as the disk gives it, blanks trimmed; may be empty
	WWN        string // "naa.5000...", "eui.0025..." or "nvme.1b36-..."; may be empty
	Model      string
	Size       int64 // bytes
	Rotational bool
	Removable  bool
	ReadOnly   bool
	Transport  string   // one of the Transport constants
	Partitions int      // partitions the kernel knows of
	Virtual    bool     `json:",omitempty"` // a medium that the BMC pretends to be
	Expander   bool     `json:",omitempty"` // behind a SAS expander
	Content    []string `json:",omitempty"` // what Content found, by whoever asked it
}

// Host is the machine whose disks are worked on. The zero value is the running
// machine.
type Host struct {
	Sys string // sysfs mount point, "/sys" when empty
	Dev string // directory of device nodes, "/dev" when empty

	open func(Disk) (device, error) // set by tests; a block device when nil
	self func(Disk) (self, error)   // set by tests; what the disk erases itself by
}

func (h Host) sys() string { return orDefault(h.Sys, "/sys") }
func (h Host) dev() string { return orDefault(h.Dev, "/dev") }

func orDefault(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// List returns the machine's disks, by name. Loop, RAM, optical, device-mapper,
// RAID and hidden multipath devices, disks of size zero (empty card readers) and
// the areas of an eMMC that belong to its firmware are left out.
func (h Host) List() ([]Disk, error) {
	dir := filepath.Join(h.sys(), "block")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list disks: %w", err)
	}
	var disks []Disk
	for _, e := range entries {
		if isVirtual(e.Name()) {
			continue
		}
		if d, ok := h.describe(filepath.Join(dir, e.Name())); ok {
			disks = append(disks, d)
		}
	}
	return disks, nil
}

// firmwareArea are the boot and replay-protected areas of an eMMC (JEDEC
// JESD84-B51, 6.2 and 6.6.22): a few MiB that are read only until somebody wants
// otherwise, with the serial number of the whole.
var firmwareArea = regexp.MustCompile(`^mmcblk\d+(boot\d+|rpmb)$`)

func isVirtual(name string) bool {
	if firmwareArea.MatchString(name) {
		return true
	}
	prefixes := []string{"loop", "ram", "sr", "dm-", "md", "zram", "nbd", "fd", "rbd", "drbd", "bcache"}
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// describe reads one directory of /sys/block; ok is false for what is no usable
// disk.
func (h Host) describe(dir string) (d Disk, ok bool) {
	sectors, err := strconv.ParseInt(attr(dir, "size"), 10, 64)
	if err != nil || sectors <= 0 || attr(dir, "hidden") == "1" {
		return Disk{}, false
	}
	name := filepath.Base(dir)
	d = Disk{
		Name:       name,
		Path:       filepath.Join(h.dev(), name),
		Model:      attr(dir, "device/model"),
		Size:       sectors * sysfsSector,
		Rotational: attr(dir, "queue/rotational") == "1",
		Removable:  attr(dir, "removable") == "1",
		ReadOnly:   attr(dir, "ro") == "1",
		Transport:  transport(dir),
		Partitions: len(partitionNames(dir)),
	}
	d.Serial, d.WWN = identity(dir, d.Path)
	d.Virtual = d.Transport == TransportUSB && pretended.MatchString(attr(dir, "device/vendor")+" "+d.Model)
	d.Expander = strings.Contains(place(dir), "/expander-")
	return d, true
}

// transport reads the bus from the name and from the place of the disk in the
// device tree, to which the entry in /sys/block is a link.
func transport(dir string) string {
	real := place(dir)
	name := filepath.Base(dir)
	switch {
	case strings.HasPrefix(name, "nvme") && strings.Contains(real, "/nvme-fabrics/"), strings.Contains(real, "/session"):
		return TransportISCSI
	case strings.Contains(real, "/rport-"):
		return TransportFC
	case strings.HasPrefix(name, "nvme"):
		return TransportNVMe
	case strings.HasPrefix(name, "vd"):
		return TransportVirtio
	case strings.HasPrefix(name, "mmcblk"):
		return TransportMMC
	case strings.Contains(real, "/usb"):
		return TransportUSB
	case strings.Contains(real, "/ata"):
		return TransportATA
	case strings.Contains(real, "/end_device-"):
		return TransportSAS
	}
	return TransportSCSI
}

// place is where the disk of a directory of /sys/block is in the device tree.
func place(dir string) string {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return dir
	}
	return real
}

// pretended is what BMCs call the media that they attach over USB.
var pretended = regexp.MustCompile(`(?i)virtual|idrac|\bilo\b|\bami\b|remote|\bxcc\b|\bimm\b|\blun\b|kvm`)

// partitionNames lists the partitions of the disk in dir.
func partitionNames(dir string) []string {
	found, _ := filepath.Glob(filepath.Join(dir, filepath.Base(dir)+"*", "partition"))
	var names []string
	for _, f := range found {
		names = append(names, filepath.Base(filepath.Dir(f)))
	}
	return names
}

// attr reads a one-line sysfs attribute; a missing one is empty.
func attr(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(strings.TrimRight(string(b), "\x00\n"))
}
