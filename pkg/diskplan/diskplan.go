// Package diskplan decides, before anything is written, which disks an
// installation or a wipe may touch: by serial number, never by device name.
// The plan is stored with the machine; the agent acts on exactly that plan and
// refuses when the hardware does not fit it.
package diskplan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/blank"
	"drpd/pkg/engine"
	"drpd/pkg/guard"
	"drpd/pkg/param"
	"drpd/pkg/resource"
)

// Params that plans are made from and kept in.
const (
	ParamInventory = "inventory/data"
	ParamProtected = "disk/protected"
	ParamImage     = "image-deploy/image"
	ParamSerial    = "image-deploy/disk-serial"
	ParamInstall   = "disk-plan/install"
	ParamWipe      = "disk-plan/wipe"
	ParamWipeDisks = "disk-wipe/serials"
)

// Disk is what a plan needs to know of a disk in the inventory.
type Disk struct {
	Name, Serial, WWN   string
	Path, Model         string // tell disks without serial and WWN apart
	Size                int64  // bytes
	Removable, ReadOnly bool
}

// Install is one planned installation.
type Install struct {
	Serial  string
	WWN     string
	Size    int64  // of the disk, bytes
	Image   string // path under the provisioner's URL
	SHA256  string
	RawSize int64 // of the unpacked image, bytes
	// Content is what the inventory found on the disk. With Check, for the first
	// installation on what was not ours, the agent wants to find the same.
	Content []string
	Check   bool
}

// Natives are the planning operations of task lists.
func Natives() map[string]engine.Native {
	return map[string]engine.Native{"disk/plan-install": planInstall, "disk/plan-wipe": planWipe}
}

type planner struct {
	tx *resource.Tx
	m  *api.Machine
}

func forJob(tx *resource.Tx, job string) (planner, error) {
	j, err := api.Jobs.Get(tx, job)
	if err != nil {
		return planner{}, err
	}
	m, err := api.Machines.Get(tx, j.Machine)
	return planner{tx, m}, err
}

// planInstall refuses what holds data that nobody gave up. The image is looked
// at first: nothing is planned that could not be installed.
func planInstall(tx *resource.Tx, _ time.Time, job string) (engine.Result, error) {
	p, err := forJob(tx, job)
	if err != nil {
		return engine.Result{}, err
	}
	if err := guard.Destroy(tx, p.m, guard.Install); err != nil {
		return engine.Result{}, err
	}
	image, err := p.image()
	if err != nil {
		return engine.Result{}, err
	}
	disks, err := p.disks()
	if err != nil {
		return engine.Result{}, err
	}
	d, problem := Choose(disks, p.text(ParamSerial), p.protected(), image.RawSize)
	if problem != "" {
		return engine.Result{}, p.refuse("%s", problem)
	}
	if why := p.apart(d); why != "" {
		return engine.Result{}, p.refuse("%s", why)
	}
	image.Serial, image.WWN, image.Size = d.Serial, d.WWN, d.Size
	image.Content = p.content(d)
	image.Check = !blank.Overwrites(p.tx, p.m) && (p.m.Unwiped == nil || !p.m.Unwiped.Wrote)
	return engine.Result{Done: true}, p.set(ParamInstall, image)
}

// apart says that the disk may be another's. That it holds what is nobody's
// guard.Destroy has said: the whole machine is somebody's then, not one disk.
func (p planner) apart(d Disk) string {
	s, err := api.DiskSurveys.Get(p.tx, p.m.Uuid)
	if err != nil {
		return ""
	}
	for _, x := range s.Disks {
		if x.Serial == d.Serial && x.WWN == d.WWN && p.text(ParamSerial) == "" {
			if why := blank.Apart(p.tx, p.m, x.DiskFact); why != "" {
				return fmt.Sprintf("%s %s: name it in param %s if it is meant", x.DiskID, why, ParamSerial)
			}
		}
	}
	return ""
}

func (p planner) content(d Disk) []string {
	s, err := api.DiskSurveys.Get(p.tx, p.m.Uuid)
	if err != nil {
		return nil
	}
	for _, x := range s.Disks {
		if !x.Absent && x.Serial == d.Serial && x.WWN == d.WWN {
			return x.Content
		}
	}
	return nil
}

// planWipe names all disks of the inventory that this release took: nothing else
// tells what is on a machine that was somebody's. Those in disk-wipe/serials are
// named too, wherever they are.
func planWipe(tx *resource.Tx, _ time.Time, job string) (engine.Result, error) {
	p, err := forJob(tx, job)
	if err != nil {
		return engine.Result{}, err
	}
	if err := guard.Destroy(tx, p.m, guard.Wipe); err != nil {
		return engine.Result{}, err
	}
	named, err := param.Strings(tx, param.Scope{Machine: p.m}, ParamWipeDisks)
	if err != nil {
		named = nil
	}
	s, why := blank.Survey(tx, p.m)
	if s == nil {
		return engine.Result{}, p.refuse("%s: the stage must take it first (task inventory)", why)
	}
	if err := p.installable(); err != nil {
		return engine.Result{}, err
	}
	plan, spared, err := p.wipes(s, named)
	if err != nil {
		return engine.Result{}, err
	}
	if len(plan) == 0 {
		return engine.Result{}, p.refuse("there is no disk to wipe: %s", strings.Join(append(spared, fmt.Sprintf("%d disks found", len(s.Disks))), ", "))
	}
	return engine.Result{Done: true}, p.set(ParamWipe, plan)
}

// wipes sorts the disks of an inventory into those to wipe and those to spare.
func (p planner) wipes(s *api.DiskSurvey, named []string) (plan []Disk, spared []string, err error) {
	all := present(s)
	for _, serial := range named {
		if _, problem := Named(all, serial, p.protected()); problem != "" {
			return nil, nil, p.refuse("param %s: %s", ParamWipeDisks, problem)
		}
	}
	i := -1
	for _, d := range s.Disks {
		if d.Absent {
			continue
		}
		i++
		asked := slices.Contains(named, d.Serial)
		why := blank.Exempt(d.DiskFact)
		if why == "" && !asked {
			why = blank.Alone(p.tx, p.m, d.DiskFact)
		}
		if why != "" {
			spared = append(spared, fmt.Sprintf("%s %s", d.DiskID, why))
			continue
		}
		if isProtected(all[i], p.protected()) {
			return nil, nil, p.refuse("disk %s is protected (param %s)", d.Serial, ParamProtected)
		}
		if why := blank.Refuse(p.tx, p.m, d); why != "" {
			return nil, nil, p.refuse("%s", why)
		}
		plan = append(plan, target(all[i]))
	}
	return plan, spared, nil
}

// target is how a plan names a disk: by what tells it from others.
func target(d Disk) Disk {
	if d.Serial != "" || d.WWN != "" {
		return Disk{Serial: d.Serial, WWN: d.WWN, Size: d.Size}
	}
	return Disk{Path: d.Path, Model: d.Model, Size: d.Size}
}

// Choose picks the disk to install to: the one with that serial, else the
// smallest that the image fits on. The problem says why there is none.
func Choose(disks []Disk, serial string, protected []string, rawSize int64) (Disk, string) {
	if serial != "" {
		d, problem := Named(disks, serial, protected)
		if problem == "" && d.Size < rawSize {
			problem = fmt.Sprintf("disk %s has %d bytes, the image needs %d", serial, d.Size, rawSize)
		}
		return d, problem
	}
	var fit []Disk
	var why []string
	for _, d := range disks {
		if r := unfit(d, protected, rawSize); r != "" {
			why = append(why, fmt.Sprintf("%s (serial %q): %s", d.Name, d.Serial, r))
			continue
		}
		fit = append(fit, d)
	}
	if len(fit) == 0 {
		return Disk{}, "no disk to install to: " + strings.Join(append(why, fmt.Sprintf("%d disks found", len(disks))), ", ")
	}
	slices.SortFunc(fit, func(a, b Disk) int { return cmp.Or(cmp.Compare(a.Size, b.Size), cmp.Compare(a.Serial, b.Serial)) })
	return fit[0], ""
}

func unfit(d Disk, protected []string, rawSize int64) string {
	switch {
	case d.Serial == "":
		return "has no serial number"
	case isProtected(d, protected):
		return "is protected"
	case d.Removable:
		return "is removable"
	case d.ReadOnly:
		return "is read only"
	case d.Size < rawSize:
		return fmt.Sprintf("has %d bytes, the image needs %d", d.Size, rawSize)
	}
	return ""
}

// Named finds the one disk with that serial that may be written to.
func Named(disks []Disk, serial string, protected []string) (Disk, string) {
	var found []Disk
	var present []string
	for _, d := range disks {
		present = append(present, d.Serial)
		if d.Serial == serial {
			found = append(found, d)
		}
	}
	switch {
	case len(found) == 0:
		return Disk{}, fmt.Sprintf("no disk with serial %s; the inventory has %s", serial, strings.Join(present, ", "))
	case len(found) > 1:
		return Disk{}, fmt.Sprintf("%d disks have serial %s; remove the doubt by hand", len(found), serial)
	case isProtected(found[0], protected):
		return Disk{}, fmt.Sprintf("disk %s is protected (param %s)", serial, ParamProtected)
	case found[0].ReadOnly:
		return Disk{}, fmt.Sprintf("disk %s is read only", serial)
	}
	return found[0], ""
}

func isProtected(d Disk, protected []string) bool {
	return slices.ContainsFunc(protected, func(p string) bool { return guard.Same(p, d.Serial) || guard.Same(p, d.WWN) })
}

func (p planner) image() (Install, error) {
	name := p.text(ParamImage)
	env, err := api.BootEnvs.Get(p.tx, name)
	switch {
	case name == "":
		return Install{}, p.refuse("param %s is not set: name the image to install", ParamImage)
	case err != nil:
		return Install{}, p.refuse("param %s: no boot environment %q", ParamImage, name)
	case !env.Available:
		return Install{}, p.refuse("image %s is not available: %s", name, strings.Join(env.Errors, "; "))
	case env.OS.IsoFile == "" || env.OS.IsoSha256 == "":
		return Install{}, p.refuse("boot environment %s names no image with its SHA-256 (OS.IsoFile, OS.IsoSha256)", name)
	}
	raw, err := strconv.ParseInt(env.Meta["raw-size"], 10, 64)
	if err != nil || raw <= 0 {
		return Install{}, p.refuse("boot environment %s: Meta raw-size %q is not the unpacked size in bytes", name, env.Meta["raw-size"])
	}
	return Install{Image: "isos/" + env.OS.IsoFile, SHA256: env.OS.IsoSha256, RawSize: raw}, nil
}

// disks are those of the last inventory that the discovery environment took.
// Where an installation may write over anything, the machine's own param does.
func (p planner) disks() ([]Disk, error) {
	if s, err := api.DiskSurveys.Get(p.tx, p.m.Uuid); err == nil {
		return present(s), nil
	}
	var inv struct{ Disks []Disk }
	if !blank.Overwrites(p.tx, p.m) || !p.read(ParamInventory, &inv) {
		return nil, p.refuse("no inventory is known: run workflow universal-discover first, or task inventory before this")
	}
	return inv.Disks, nil
}

func present(s *api.DiskSurvey) []Disk {
	all := []Disk{}
	for _, d := range s.Disks {
		if !d.Absent {
			all = append(all, Disk{Name: d.Name, Serial: d.Serial, WWN: d.WWN, Path: d.Path, Model: d.Model, Size: d.Size,
				Removable: d.Removable || d.Virtual, ReadOnly: d.ReadOnly})
		}
	}
	return all
}

// installable says why what the task list installs after a wipe could not be: a
// machine is not wiped for that.
func (p planner) installable() error {
	if !slices.Contains(p.m.Tasks[min(max(p.m.CurrentTask, 0), len(p.m.Tasks)):], "action:disk/plan-install") {
		return nil
	}
	image, err := p.image()
	if err != nil {
		return err
	}
	disks, err := p.disks()
	if err != nil {
		return err
	}
	if _, problem := Choose(disks, p.text(ParamSerial), p.protected(), image.RawSize); problem != "" {
		return p.refuse("it is not wiped, because it could not be installed after that: %s", problem)
	}
	return nil
}

func (p planner) read(name string, into any) bool {
	v, _, ok := param.Get(p.tx, param.Scope{Machine: p.m}, name)
	if !ok {
		return false
	}
	data, err := json.Marshal(v)
	return err == nil && json.Unmarshal(data, into) == nil
}

func (p planner) text(name string) string {
	v, _, _ := param.Get(p.tx, param.Scope{Machine: p.m}, name)
	s, _ := v.(string)
	return s
}

func (p planner) protected() []string {
	return guard.Protected(p.tx, p.m)
}

// set stores a plan as plain JSON values, as a client would have sent it.
func (p planner) set(name string, plan any) error {
	data, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	return api.Machines.Modify(p.tx, p.m.Uuid, func(m *api.Machine) error { m.Params[name] = v; return nil })
}

func (p planner) refuse(format string, args ...any) error {
	return resource.Errorf(resource.Refused, "machines", p.m.Uuid, "%s: %s", p.m.Name, fmt.Sprintf(format, args...))
}
