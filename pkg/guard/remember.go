package guard

import (
	"maps"
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/resource"
)

// remember keeps with a machine what the objects named that it no longer takes
// params from. What it said itself, it may take back.
func remember(r resource.Reader, old, new *api.Machine) {
	if slices.Equal(old.Profiles, new.Profiles) && old.Stage == new.Stage && old.Owner == new.Owner {
		return
	}
	was := applying(r, old)
	if len(was) == 0 {
		return
	}
	is := applying(r, new)
	for src := range was {
		if _, kept := is[src]; kept || src == source(api.Machines.Name+"/"+old.Uuid) {
			delete(was, src)
		}
	}
	keep(r, new, was)
}

// keep adds to what a machine remembers, and drops what holds no longer.
func keep(r resource.Reader, m *api.Machine, more map[source][]string) {
	for _, src := range slices.Sorted(maps.Keys(more)) {
		at := slices.IndexFunc(m.ProtectedDisks, func(g api.DiskGuard) bool { return g.Source == string(src) && !g.Gone })
		if at < 0 {
			m.ProtectedDisks = append(m.ProtectedDisks, api.DiskGuard{Source: string(src)})
			at = len(m.ProtectedDisks) - 1
		}
		g := &m.ProtectedDisks[at]
		for _, d := range more[src] {
			if !slices.Contains(g.Disks, d) {
				g.Disks = append(slices.Clone(g.Disks), d)
			}
		}
	}
	m.ProtectedDisks = slices.DeleteFunc(m.ProtectedDisks, func(g api.DiskGuard) bool { return len(inForce(r, g)) == 0 })
}

// sourceHooks keep what objects named when they end, go, or give up a profile.
func sourceHooks() []resource.Hook {
	return []resource.Hook{
		resource.OnSave(api.WorkOrders, saveOrder),
		onSource(api.Profiles), onSource(api.Stages), onSource(api.Blueprints), onSource(api.Clusters), onSource(api.WorkOrders),
	}
}

// onSource is the hook of a kind that machines take params from.
func onSource[T any](k *resource.Kind[T]) resource.Hook {
	return resource.OnSave(k, func(tx *resource.Tx, old, new *T) error {
		if old == nil || tx.Loading() {
			return nil
		}
		lost := *k.Profiles(old)
		if new != nil {
			is := *k.Profiles(new)
			if slices.Equal(lost, is) {
				return nil
			}
			lost = slices.DeleteFunc(slices.Clone(lost), func(p string) bool { return slices.Contains(is, p) })
		}
		if err := losing(tx, lost); err != nil || new != nil {
			return err
		}
		return gone(tx, source(k.Name+"/"+k.Key(old)), disksIn(*k.Params(old)))
	})
}

// losing keeps what the profiles of that name, and those that they nest, name
// for machines that may take params from them for the last time now.
func losing(tx *resource.Tx, profiles []string) error {
	lost := map[source]bool{}
	for src, p := range (param.Scope{Order: &api.WorkOrder{Profiles: profiles}}).Layers(tx) {
		if src.Kind == api.Profiles.Name && len(disksIn(p)) > 0 {
			lost[source(src.Kind+"/"+src.Key)] = true
		}
	}
	delete(lost, source(api.Profiles.Name+"/"+param.Global))
	if len(lost) == 0 {
		return nil
	}
	return each(tx, func(m *api.Machine) map[source][]string {
		was := applying(tx, m)
		maps.DeleteFunc(was, func(s source, _ []string) bool { return !lost[s] })
		return was
	})
}

// each has every machine keep what fn says of it.
func each(tx *resource.Tx, fn func(*api.Machine) map[source][]string) error {
	more := map[string]map[source][]string{}
	for m := range api.Machines.All(tx) {
		if list := fn(m); len(list) > 0 {
			more[m.Uuid] = list
		}
	}
	for _, id := range slices.Sorted(maps.Keys(more)) {
		err := api.Machines.Modify(tx, id, func(m *api.Machine) error { m.Moving = true; keep(tx, m, more[id]); return nil })
		if err != nil {
			return err
		}
	}
	return nil
}

// gone marks what an object named that is being deleted: from now on only an
// operator lifts it.
func gone(tx *resource.Tx, src source, last []string) error {
	if len(last) == 0 {
		return nil
	}
	err := each(tx, func(m *api.Machine) map[source][]string { // who has it now loses it
		was := applying(tx, m)
		maps.DeleteFunc(was, func(s source, _ []string) bool { return s != src })
		return was
	})
	if err != nil {
		return err
	}
	var ids []string
	for m := range api.Machines.All(tx) {
		if slices.ContainsFunc(m.ProtectedDisks, func(g api.DiskGuard) bool { return g.Source == string(src) && !g.Gone }) {
			ids = append(ids, m.Uuid)
		}
	}
	for _, id := range ids {
		err := api.Machines.Modify(tx, id, func(m *api.Machine) error {
			m.Moving = true
			m.ProtectedDisks = slices.Clone(m.ProtectedDisks)
			for i, g := range m.ProtectedDisks {
				if g.Source == string(src) && !g.Gone {
					m.ProtectedDisks[i].Disks, m.ProtectedDisks[i].Gone = inForce(tx, g), true
				}
			}
			m.ProtectedDisks = slices.DeleteFunc(m.ProtectedDisks, func(g api.DiskGuard) bool { return len(g.Disks) == 0 })
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// saveOrder keeps what an order and its blueprint named for its machine when it
// ends.
func saveOrder(tx *resource.Tx, old, new *api.WorkOrder) error {
	if old == nil || old.Ended() || new != nil && !new.Ended() || !api.Machines.Has(tx, old.Machine) {
		return nil
	}
	s := param.Scope{Order: old}
	s.Blueprint, _ = api.Blueprints.Get(tx, old.Blueprint)
	more := map[source][]string{}
	for src, p := range s.Layers(tx) {
		if list := disksIn(p); len(list) > 0 && src.Key != param.Global {
			more[source(src.Kind+"/"+src.Key)] = list
		}
	}
	if len(more) == 0 {
		return nil
	}
	return api.Machines.Modify(tx, old.Machine, func(m *api.Machine) error { m.Moving = true; keep(tx, m, more); return nil })
}

// Lift forgets what objects named that are gone, or that the machine does not
// have any more: the disks given, or all. It is refused if another object that
// the machine has still names one of them.
func Lift(tx *resource.Tx, id string, disks []string) error {
	m, err := api.Machines.Get(tx, id)
	if err != nil {
		return err
	}
	meant := func(d string) bool {
		return len(disks) == 0 || slices.ContainsFunc(disks, func(x string) bool { return Same(x, d) })
	}
	for src, list := range applying(tx, m) {
		if i := slices.IndexFunc(list, meant); i >= 0 && len(disks) > 0 {
			return resource.Errorf(resource.Refused, "machines", id, "%s: %s names disk %s in param %s: take it out there", m.Name, src, list[i], ParamDisks)
		}
	}
	return api.Machines.Modify(tx, id, func(m *api.Machine) error {
		m.Moving = true
		list := []api.DiskGuard{}
		for _, g := range m.ProtectedDisks {
			g.Disks = slices.DeleteFunc(slices.Clone(g.Disks), meant)
			if len(g.Disks) > 0 {
				list = append(list, g)
			}
		}
		m.ProtectedDisks = list
		return nil
	})
}

// kept lists the disks that would be forgotten with a machine.
func kept(r resource.Reader, m *api.Machine) string {
	out := disksIn(m.Params)
	for _, g := range m.ProtectedDisks {
		out = append(out, inForce(r, g)...)
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), ", ")
}
