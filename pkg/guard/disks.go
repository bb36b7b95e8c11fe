package guard

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/resource"
)

// ParamDisks names disks, by serial or WWN, that nobody may write to.
const ParamDisks = "disk/protected"

// paramInventory is what the machine's agent found.
const paramInventory = "inventory/data"

// Disk refuses an effect on a disk that is protected, by its serial, its WWN, or
// what the inventory knows of the disk with one of them.
func Disk(r resource.Reader, m *api.Machine, serial, wwn string, what Effect) error {
	ids := []string{serial, wwn}
	for _, d := range inventory(r, m) {
		if Same(d.Serial, serial) || Same(d.WWN, wwn) || Same(d.Serial, wwn) || Same(d.WWN, serial) {
			ids = append(ids, d.Serial, d.WWN)
		}
	}
	for src, list := range named(r, m) {
		for _, p := range list {
			if slices.ContainsFunc(ids, func(id string) bool { return Same(id, p) }) {
				return resource.Errorf(resource.Refused, "machines", m.Uuid,
					"%s: disk %s is protected by param %s of %s: nothing was done, it is not %s; lift the protection there first%s",
					m.Name, first(serial, wwn), ParamDisks, src, what, src.cure(m))
			}
		}
	}
	return nil
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func inventory(r resource.Reader, m *api.Machine) []disk {
	v, _, _ := param.Get(r, param.Scope{Machine: m}, paramInventory)
	data, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var inv struct{ Disks []disk }
	if json.Unmarshal(data, &inv) != nil {
		return nil
	}
	return inv.Disks
}

// Protected lists every disk that must not be written to on the machine, as it
// was named: by any object that it takes params from, also by those that a
// nearer one overrides, and by those that it took them from once.
func Protected(r resource.Reader, m *api.Machine) []string {
	out := []string{}
	for _, list := range named(r, m) {
		out = append(out, list...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Edit takes params away and adds others, as a pool does to its machines. Disks
// that are protected stay so: more may be named, none fewer.
func Edit(p resource.Params, remove []string, add resource.Params) {
	was := disksIn(p)
	for _, name := range remove {
		delete(p, name)
	}
	maps.Copy(p, add)
	if len(was) == 0 {
		return
	}
	list := []any{}
	for _, d := range append(was, disksIn(p)...) {
		if !slices.Contains(list, any(d)) {
			list = append(list, d)
		}
	}
	p[ParamDisks] = list
}

// Same compares names of disks loosely, as agents do: a disk spared for a false
// match costs nothing.
func Same(a, b string) bool {
	a, b = bare(a), bare(b)
	return a != "" && a == b
}

func bare(id string) string {
	id = strings.ToLower(strings.TrimSpace(id))
	for _, prefix := range []string{"wwn-", "naa.", "eui.", "nvme.", "uuid.", "0x"} {
		id = strings.TrimPrefix(id, prefix)
	}
	return id
}

// source is an object that names disks: kind/key.
type source string

func (s source) cure(m *api.Machine) string {
	for _, g := range m.ProtectedDisks {
		if g.Source == string(s) && g.Gone {
			return " (that object is gone: drpcli machines unprotect " + m.Name + ")"
		}
	}
	return ""
}

// named is what each object names for the machine, now and kept from before.
func named(r resource.Reader, m *api.Machine) map[source][]string {
	out := applying(r, m)
	for _, g := range m.ProtectedDisks {
		s := source(g.Source)
		for _, d := range inForce(r, g) {
			if !slices.Contains(out[s], d) {
				out[s] = append(out[s], d)
			}
		}
	}
	return out
}

// inForce is what of a kept list still holds.
func inForce(r resource.Reader, g api.DiskGuard) []string {
	p, there := paramsOf(r, g.Source)
	if g.Gone || !there {
		return g.Disks
	}
	now := disksIn(p)
	return slices.DeleteFunc(slices.Clone(g.Disks), func(d string) bool {
		return !slices.ContainsFunc(now, func(n string) bool { return Same(d, n) })
	})
}

func disksIn(p resource.Params) []string {
	switch v := p[ParamDisks].(type) {
	case []string:
		return slices.Clone(v)
	case []any:
		var out []string
		for _, x := range v {
			if s, ok := x.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

func paramsOf(r resource.Reader, src string) (resource.Params, bool) {
	kind, key, _ := strings.Cut(src, "/")
	for _, k := range api.Kinds() {
		if k.KindName() != kind {
			continue
		}
		o, err := k.Lookup(r, key)
		if err != nil || o.Key != key || k.ParamsOf(o.Val) == nil {
			return nil, false
		}
		return *k.ParamsOf(o.Val), true
	}
	return nil, false
}

// applying is what the objects name that the machine takes params from: itself,
// its cluster, its stage, its orders, their profiles and blueprints, and global.
func applying(r resource.Reader, m *api.Machine) map[source][]string {
	out := map[source][]string{}
	for _, s := range scopes(r, m) {
		for src, p := range s.Layers(r) {
			if list := disksIn(p); len(list) > 0 {
				out[source(src.Kind+"/"+src.Key)] = list
			}
		}
	}
	return out
}

func scopes(r resource.Reader, m *api.Machine) []param.Scope {
	own := param.Scope{Machine: m}
	own.Stage, _ = api.Stages.Get(r, m.Stage)
	out := []param.Scope{own}
	if c, err := api.Clusters.Get(r, m.Owner); err == nil {
		out = append(out, param.Scope{Machine: c})
	}
	for o := range api.WorkOrders.By(r, "Active", m.Uuid) {
		s := param.Scope{Order: o}
		s.Blueprint, _ = api.Blueprints.Get(r, o.Blueprint)
		out = append(out, s)
	}
	return out
}
