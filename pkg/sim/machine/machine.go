//go:build linux

package machine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"

	"drpd/pkg/agent/disk"
	"drpd/pkg/agent/facts"
	"drpd/pkg/agent/ops"
)

// Ways a machine's run can end.
const (
	Rebooted   = "reboot"
	PoweredOff = "poweroff"
)

// Config describes a simulated machine.
type Config struct {
	Serial string
	UUID   string
	MAC    string
	Disks  map[string]int64 // size in bytes, by serial
}

// Machine is one simulated machine. Its methods may be called from any
// goroutine.
type Machine struct {
	mu    sync.Mutex // guards all below
	inv   facts.Inventory
	disks map[string]*Disk // by serial
	onEnd func(how string)
	ends  []string
}

// Disk is what a simulated disk holds.
type Disk struct {
	Data     []byte
	Bootable bool                 // a whole image was deployed
	Files    map[string]disk.File // written into the image, by path
}

// New makes a machine. Its disks are full of old data.
func New(c Config) *Machine {
	m := &Machine{disks: map[string]*Disk{}, inv: facts.Inventory{
		Arch: "amd64", FirmwareMode: facts.FirmwareUEFI, BootMAC: c.MAC, MemoryBytes: 8 << 30,
		System: facts.System{Vendor: "drpd", Product: "simulated machine", Serial: c.Serial, UUID: c.UUID},
		CPU:    facts.CPU{Model: "simulated", Sockets: 1, Cores: 1, Threads: 1},
		NICs:   []facts.NIC{{Name: "eth0", MAC: c.MAC, Driver: "sim", Link: true}},
	}}
	for serial, size := range c.Disks {
		m.disks[serial] = &Disk{Data: bytes.Repeat([]byte{0xaa}, int(size)), Bootable: true}
		m.inv.Disks = append(m.inv.Disks, disk.Disk{Serial: serial, Size: size, Transport: disk.TransportVirtio})
	}
	slices.SortFunc(m.inv.Disks, func(a, b disk.Disk) int { return bytes.Compare([]byte(a.Serial), []byte(b.Serial)) })
	for i := range m.inv.Disks {
		name := "sd" + string(rune('a'+i))
		m.inv.Disks[i].Name, m.inv.Disks[i].Path = name, "/dev/"+name
	}
	return m
}

// Hardware is the machine as the agent works on it.
func (m *Machine) Hardware() ops.Hardware { return ops.Hardware{Facts: m, Disks: m, Power: m} }

// OnEnd sets what happens when the machine reboots or powers off: the test ends
// the agent's context there.
func (m *Machine) OnEnd(fn func(how string)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.onEnd = fn
}

// Ends lists how the machine's runs ended so far.
func (m *Machine) Ends() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.ends)
}

// Disk returns a copy of what a disk holds.
func (m *Machine) Disk(serial string) Disk {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := *m.disks[serial]
	d.Data = bytes.Clone(d.Data)
	return d
}

// Collect is the inventory.
func (m *Machine) Collect() (facts.Inventory, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	inv := m.inv
	inv.Disks, inv.NICs = slices.Clone(inv.Disks), slices.Clone(inv.NICs)
	for i, d := range inv.Disks {
		data := m.disks[d.Serial].Data
		inv.Disks[i].Content = disk.Content(bytes.NewReader(data), int64(len(data)))
	}
	return inv, nil
}

// Reboot ends the run.
func (m *Machine) Reboot(context.Context) error { m.end(Rebooted); return nil }

// PowerOff ends the run.
func (m *Machine) PowerOff(context.Context) error { m.end(PoweredOff); return nil }

func (m *Machine) end(how string) {
	m.mu.Lock()
	m.ends = append(m.ends, how)
	fn := m.onEnd
	m.mu.Unlock()
	if fn != nil {
		fn(how)
	}
}

// Deploy unpacks the image into memory. As on real disks nothing can be booted
// from the disk before the whole image is there and verified.
func (m *Machine) Deploy(_ context.Context, d disk.Deploy) (disk.Report, error) {
	found, err := m.target(d.Want, d.Protected)
	if err != nil {
		return disk.Report{}, err
	}
	m.change(found.Serial, func(d *Disk) { d.Bootable, d.Files = false, nil })
	sum := sha256.New()
	z, err := zstd.NewReader(io.TeeReader(d.Image, sum), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return disk.Report{}, err
	}
	defer z.Close()
	data, err := io.ReadAll(io.LimitReader(z, found.Size+1))
	if err != nil {
		return disk.Report{Disk: found}, fmt.Errorf("deploy to %s: %w", found.Path, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != d.SHA256 || int64(len(data)) != d.RawSize {
		return disk.Report{Disk: found}, fmt.Errorf("deploy to %s: got %d bytes of SHA-256 %s, want %d of %s",
			found.Path, len(data), got, d.RawSize, d.SHA256)
	}
	if int64(len(data)) > found.Size {
		return disk.Report{Disk: found}, fmt.Errorf("deploy to %s: the image is larger than the disk", found.Path)
	}
	m.change(found.Serial, func(d *Disk) { copy(d.Data, data); d.Bootable = true })
	return disk.Report{Disk: found, Bytes: d.RawSize, SHA256: d.SHA256, Verified: true}, nil
}

// Personalize keeps the files beside the disk's data.
func (m *Machine) Personalize(_ context.Context, p disk.Personalize) error {
	found, err := m.target(p.Want, p.Protected)
	if err != nil {
		return err
	}
	if !m.Disk(found.Serial).Bootable {
		return fmt.Errorf("personalize %s: no file system labeled %q", found.Path, p.Label)
	}
	m.change(found.Serial, func(d *Disk) {
		d.Files = map[string]disk.File{}
		for _, f := range p.Files {
			d.Files[f.Path] = f
		}
	})
	return nil
}

// Wipe zeroes disks.
func (m *Machine) Wipe(_ context.Context, w disk.Wipe) ([]disk.Report, error) {
	var out []disk.Report
	if len(w.Wants) == 0 {
		return nil, &disk.Refusal{Reason: "no disk named"}
	}
	for _, want := range w.Wants {
		found, err := m.target(want, w.Protected)
		if err != nil {
			return out, err
		}
		m.change(found.Serial, func(d *Disk) { *d = Disk{Data: make([]byte, found.Size)} })
		out = append(out, disk.Report{Disk: found, Bytes: found.Size, Method: "overwrite"})
	}
	return out, nil
}

// VerifyBlank looks for anything but zeros.
func (m *Machine) VerifyBlank(_ context.Context, wants []disk.Want, _ io.Writer) ([]disk.Report, error) {
	var out []disk.Report
	if len(wants) == 0 {
		return nil, &disk.Refusal{Reason: "no disk named"}
	}
	for _, want := range wants {
		found, err := m.target(want, nil)
		if err != nil {
			return out, err
		}
		if i := bytes.IndexFunc(m.Disk(found.Serial).Data, func(r rune) bool { return r != 0 }); i >= 0 {
			return out, fmt.Errorf("verify blank %s: byte at offset %d is not zero", found.Path, i)
		}
		out = append(out, disk.Report{Disk: found, Bytes: found.Size, Verified: true, Samples: []int64{0}})
	}
	return out, nil
}

func (m *Machine) target(w disk.Want, protected []string) (disk.Disk, error) {
	inv, err := m.Collect()
	if err != nil {
		return disk.Disk{}, err
	}
	d, err := disk.Find(inv.Disks, w)
	if err == nil && slices.Contains(protected, d.Serial) {
		return d, &disk.Refusal{Reason: "disk " + d.Name + " is protected"}
	}
	return d, err
}

func (m *Machine) change(serial string, fn func(*Disk)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fn(m.disks[serial])
}
