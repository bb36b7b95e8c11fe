package guard

import (
	"slices"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// Hooks ask before a save that lets a member of a protected cluster go or would
// write to its disks, whoever makes it. They come after those of package
// workflow, which expand what was set into a task list.
func Hooks() []resource.Hook {
	return append(append(sourceHooks(), needHooks()...), resource.OnSave(api.Machines, saveMachine), resource.OnSave(api.Clusters, saveCluster))
}

// saveMachine asks of wishes whether the cluster is protected, alone: what is on
// the disks is looked at when a wish is carried out, for its list may do so first.
func saveMachine(tx *resource.Tx, old, new *api.Machine) error {
	switch {
	case tx.Loading() || old == nil:
		return nil
	case new == nil:
		return deleteMachine(tx, old)
	case new.Owner != old.Owner || leaves(old.PoolStatus, new.PoolStatus):
		if err := Destroy(tx, old, Release); err != nil {
			return err
		}
	}
	if new.BootEnv != old.BootEnv {
		if err := entryBy(tx, old, "bootenv:"+new.BootEnv, member); err != nil {
			return err
		}
	}
	remember(tx, old, new)
	if old.Owner == "" || slices.Equal(old.Tasks, new.Tasks) {
		return nil
	}
	for _, entry := range new.Tasks[min(max(new.CurrentTask, 0), len(new.Tasks)):] {
		if err := entryBy(tx, old, entry, member); err != nil {
			return err
		}
	}
	return nil
}

// deleteMachine keeps a machine whose protected disks nobody would know of any
// more.
func deleteMachine(tx *resource.Tx, m *api.Machine) error {
	if err := Destroy(tx, m, Delete); err != nil {
		return err
	}
	if list := kept(tx, m); list != "" {
		return resource.Errorf(resource.Refused, "machines", m.Uuid,
			"disks of %s are protected (%s), which would be forgotten with it: take them out of its param %s, or drpcli machines unprotect %s, first", m.Name, list, ParamDisks, m.Name)
	}
	return nil
}

// leaves says whether a move takes a machine from whoever has it.
func leaves(from, to api.PoolStatus) bool {
	has := func(s api.PoolStatus) bool { return s == api.Building || s == api.HoldBuild || s == api.InUse }
	return has(from) && !has(to)
}

func saveCluster(tx *resource.Tx, old, new *api.Machine) error {
	switch {
	case tx.Loading() || old == nil:
		return nil
	case new == nil:
		return Cluster(tx, old, Forget)
	case old.Protected && new.Protected && (old.Stage != new.Stage || !slices.Equal(old.Tasks, new.Tasks)) && ends(tx, new):
		return Cluster(tx, old, End)
	}
	return nil
}
