//go:build linux

package facts

import (
	"os"
	"path/filepath"
	"strconv"
)

// NIC is one physical network interface.
type NIC struct {
	Name   string
	MAC    string
	Driver string
	Bus    string // address of the device on its bus, PCI mostly: "0000:02:00.0"
	Speed  int    // Mbit/s, 0 when unknown or without link
	Link   bool   // a carrier is there; known only for interfaces that are up
}

// nics lists the interfaces with a device behind them; bridges, bonds, tunnels
// and the loopback have none.
func (s Source) nics() []NIC {
	dir := s.path("sys/class/net")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var nics []NIC
	for _, e := range entries {
		d := filepath.Join(dir, e.Name())
		device, err := filepath.EvalSymlinks(filepath.Join(d, "device"))
		if err != nil {
			continue
		}
		nics = append(nics, NIC{
			Name:   e.Name(),
			MAC:    readLine(filepath.Join(d, "address")),
			Driver: driver(d),
			Bus:    busAddress(device),
			Speed:  speed(d),
			Link:   readLine(filepath.Join(d, "carrier")) == "1",
		})
	}
	return nics
}

func driver(dir string) string {
	target, err := os.Readlink(filepath.Join(dir, "device/driver"))
	if err != nil {
		return ""
	}
	return filepath.Base(target)
}

// busAddress names the device; a virtio device sits below the PCI function that
// carries it, and that is the one an operator knows.
func busAddress(device string) string {
	if up := filepath.Dir(device); isVirtio(device) && filepath.Base(up) != "devices" {
		return filepath.Base(up)
	}
	return filepath.Base(device)
}

func isVirtio(device string) bool {
	ok, _ := filepath.Match("virtio[0-9]*", filepath.Base(device))
	return ok
}

// speed is -1 in sysfs, or unreadable, without link.
func speed(dir string) int {
	n, err := strconv.Atoi(readLine(filepath.Join(dir, "speed")))
	if err != nil || n < 0 {
		return 0
	}
	return n
}
