//go:build linux

package facts

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"drpd/pkg/agent/boot"
	"drpd/pkg/agent/disk"
)

// Firmware modes.
const (
	FirmwareUEFI = "uefi"
	FirmwareBIOS = "bios"
)

// Inventory is all that is known of a machine.
type Inventory struct {
	Arch         string // GOARCH name: "amd64", "arm64"
	Kernel       string // release of the running kernel
	FirmwareMode string // "uefi" or "bios"
	BootMAC      string // of the interface the machine was booted from; may be empty
	System       System
	CPU          CPU
	MemoryBytes  int64 // usable by the kernel, a little less than is installed
	Disks        []disk.Disk
	NICs         []NIC
}

// System is the identity the firmware gives in SMBIOS.
type System struct {
	Vendor        string
	Product       string
	Serial        string
	UUID          string
	ChassisSerial string
	AssetTag      string
	BIOSVersion   string
}

// CPU sums up all processors.
type CPU struct {
	Model   string
	Sockets int
	Cores   int
	Threads int
}

// Source says where to read. The zero value is the running machine.
type Source struct {
	Root string // put before /proc and /sys; "" for the running machine
	Dev  string // directory of device nodes, "/dev" when empty
}

func (s Source) path(p string) string { return filepath.Join("/", s.Root, p) }

// Collect takes the inventory. It fails only if the disks cannot be listed or
// the memory size is unreadable, for then /sys or /proc is not mounted.
func (s Source) Collect() (Inventory, error) {
	disks, err := disk.Host{Sys: s.path("sys"), Dev: s.Dev}.List()
	if err != nil {
		return Inventory{}, fmt.Errorf("inventory: %w", err)
	}
	var wg sync.WaitGroup
	for i := range disks {
		wg.Go(func() { disks[i].Content = disk.ContentOf(disks[i]) })
	}
	wg.Wait()
	memory, err := s.memory()
	if err != nil {
		return Inventory{}, fmt.Errorf("inventory: %w", err)
	}
	cmdline, err := os.ReadFile(s.path("proc/cmdline"))
	if err != nil {
		return Inventory{}, fmt.Errorf("inventory: %w", err)
	}
	inv := Inventory{
		Arch:         runtime.GOARCH,
		Kernel:       readLine(s.path("proc/sys/kernel/osrelease")),
		FirmwareMode: s.firmware(),
		System:       s.system(),
		CPU:          s.cpu(),
		MemoryBytes:  memory,
		Disks:        disks,
		NICs:         s.nics(),
	}
	if mac := boot.ParseCmdline(string(cmdline)).BootMAC(); mac != nil {
		inv.BootMAC = mac.String()
	}
	return inv, nil
}

func (s Source) firmware() string {
	if _, err := os.Stat(s.path("sys/firmware/efi")); err == nil {
		return FirmwareUEFI
	}
	return FirmwareBIOS
}

func (s Source) system() System {
	id := func(name string) string { return readLine(s.path("sys/class/dmi/id/" + name)) }
	return System{
		Vendor:        id("sys_vendor"),
		Product:       id("product_name"),
		Serial:        id("product_serial"),
		UUID:          strings.ToLower(id("product_uuid")),
		ChassisSerial: id("chassis_serial"),
		AssetTag:      id("chassis_asset_tag"),
		BIOSVersion:   id("bios_version"),
	}
}

// readLine reads a short file; a missing one is empty.
func readLine(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
