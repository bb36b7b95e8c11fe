package inproc

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/resource"
)

// Disk is one simulated disk: so many bytes stand for all of it.
type Disk struct {
	Fact   api.DiskFact
	Data   []byte
	Broken bool // every write fails
	Lies   bool // it says that it writes, and does not
}

// sectors is how many bytes stand for a disk.
const sectors = 64

func newDisk(serial string, size int64) *Disk {
	return &Disk{Fact: api.DiskFact{DiskID: api.DiskID{Serial: serial, Size: size}, Transport: "sas"}, Data: make([]byte, sectors)}
}

// Fill writes text all over the disk.
func (d *Disk) Fill(text string) {
	copy(d.Data, bytes.Repeat([]byte(text+" "), sectors/(len(text)+1)+1))
}

// Blank says whether nothing is on the disk.
func (d *Disk) Blank() bool { return !slices.ContainsFunc(d.Data, func(b byte) bool { return b != 0 }) }

// Holds lists what is on the machine's disks, by serial; blank ones are left out.
func (m *Machine) Holds() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]string{}
	for _, d := range m.Disks {
		if !d.Blank() {
			out[d.Fact.Serial] = strings.TrimRight(string(d.Data), "\x00")
		}
	}
	return out
}

// Change lets a test do anything to the disks.
func (m *Machine) Change(fn func(disks []*Disk)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fn(m.Disks)
}

// facts is the inventory. It is called with mu held.
func (m *Machine) facts() []api.DiskFact {
	out := []api.DiskFact{}
	for i, d := range m.Disks {
		f := d.Fact
		f.Name = "sd" + string(rune('a'+i))
		f.Path = "/dev/" + f.Name
		if !d.Blank() {
			f.Content = []string{"data of no known kind at 0"}
		}
		out = append(out, f)
	}
	return out
}

// named finds the disks of a plan as the agent does: exactly those, or an error.
func (m *Machine) named(plan []api.DiskID, protected []string) ([]*Disk, error) {
	if len(plan) == 0 {
		return nil, fmt.Errorf("refused: the plan names no disk, and the machine has %d", len(m.Disks))
	}
	var out []*Disk
	for _, p := range plan {
		i := slices.IndexFunc(m.Disks, func(d *Disk) bool { return d.Fact.Serial == p.Serial && d.Fact.WWN == p.WWN })
		if i < 0 {
			return nil, fmt.Errorf("refused, nothing written: no disk with serial %s", p.Serial)
		}
		if slices.Contains(protected, p.Serial) {
			return nil, fmt.Errorf("refused: disk serial %s is protected", p.Serial)
		}
		out = append(out, m.Disks[i])
	}
	return out, nil
}

// onDisks carries out a task on the disks as its params say it, and nothing
// else. It is called with mu held.
func (m *Machine) onDisks(v *resource.View, task string, o *api.Machine) ([]api.DiskReport, error) {
	protected, _ := param.Strings(v, param.Scope{Machine: o}, "disk/protected")
	rep := api.DiskReport{Op: strings.TrimPrefix(task, "disk-"), Disks: m.facts()}
	var err error
	switch task {
	case "inventory":
	case "image-deploy":
		rep.Op = "deploy"
		var plan api.DiskID
		plan, err = planned[api.DiskID](o, "disk-plan/install")
		if err == nil {
			err = m.deploy(plan, protected)
		}
	case "disk-wipe", "disk-verify-blank":
		var plan []api.DiskID
		if plan, err = planned[[]api.DiskID](o, "disk-plan/wipe"); err == nil {
			rep.Done, err = m.sweep(task, plan, protected)
		}
	default:
		return nil, nil
	}
	return []api.DiskReport{rep}, err
}

func planned[T any](o *api.Machine, name string) (plan T, err error) {
	v, ok := o.Params[name]
	if !ok {
		return plan, fmt.Errorf("required param %s is not set", name)
	}
	data, err := json.Marshal(v)
	return plan, cmp.Or(err, json.Unmarshal(data, &plan))
}

func (m *Machine) deploy(plan api.DiskID, protected []string) error {
	list, err := m.named([]api.DiskID{plan}, protected)
	if err != nil {
		return err
	}
	m.Installs++
	list[0].Fill(fmt.Sprintf("system %d", m.Installs)) // no two are alike
	m.installed = true
	return nil
}

// sweep wipes disks, or reads them back.
func (m *Machine) sweep(task string, plan []api.DiskID, protected []string) (done []api.DiskDone, err error) {
	list, err := m.named(plan, protected)
	if err != nil {
		return nil, err
	}
	for _, d := range list {
		n := api.DiskDone{DiskID: d.Fact.DiskID, Bytes: d.Fact.Size}
		switch {
		case task == "disk-wipe" && d.Broken:
			n.Error = "write error"
		case task == "disk-wipe":
			if n.Method = api.MethodOverwrite; !d.Lies {
				clear(d.Data)
			}
		case !d.Blank():
			n.Error = "byte at offset 0 is not zero"
		default:
			n.Samples = []int64{0, d.Fact.Size / 2}
		}
		if n.Error != "" {
			err = fmt.Errorf("disk %s: %s", d.Fact.Serial, n.Error)
		}
		done = append(done, n)
	}
	if task == "disk-wipe" {
		m.Wipes++
		m.installed = m.installed && slices.ContainsFunc(m.Disks, func(d *Disk) bool { return strings.HasPrefix(string(d.Data), "system") })
	}
	return done, err
}
