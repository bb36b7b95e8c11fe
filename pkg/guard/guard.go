// Package guard says whether data may die. Whatever would wipe a disk, install
// over it, release a member, or end a cluster asks here, whoever wants it, and
// what says so is read from stored objects alone: the field Protected of
// clusters, the disks that param disk/protected names, and the inventories that
// say which disks hold what is nobody's (package blank).
//
// It is asked where the effect is begun: by the operations of task lists, by
// package workflow before an entry that does such a thing, when an agent fetches
// the document of an operation, when an installer is served, and by Hooks for
// every save that lets a member go.
package guard

import (
	"drpd/pkg/api"
	"drpd/pkg/blank"
	"drpd/pkg/resource"
)

// Effect is something that ends data, as the past participle in "is not ...".
type Effect string

// The effects.
const (
	Wipe    Effect = "wiped"
	Install Effect = "installed"
	Release Effect = "released"
	Delete  Effect = "deleted"
	End     Effect = "destroyed" // of a cluster: its members leave it
	Shrink  Effect = "made smaller"
	Forget  Effect = "forgotten"
)

// Destroy refuses an effect on a machine whose cluster is protected, and one on
// disks with data that is nobody's and that nobody gave up.
func Destroy(r resource.Reader, m *api.Machine, what Effect) error {
	if err := member(r, m, what); err != nil || what != Wipe && what != Install {
		return err
	}
	was := stored(r, m)
	if why := blank.Spared(r, was, what == Wipe); why != "" {
		return resource.Errorf(resource.Refused, "machines", was.Uuid, "%s is not %s: %s", was.Name, what, why)
	}
	return nil
}

func stored(r resource.Reader, m *api.Machine) *api.Machine {
	if was, err := api.Machines.Get(r, m.Uuid); err == nil {
		return was
	}
	return m // it is about to be filed
}

// member refuses an effect on a machine whose cluster is protected. Until a
// member is built for the first time it has nothing of the cluster's to lose, so
// it may be wiped and installed.
func member(r resource.Reader, m *api.Machine, what Effect) error {
	was := stored(r, m)
	c, err := api.Clusters.Get(r, was.Owner)
	if err != nil || !c.Protected || built(was, what) {
		return nil
	}
	return refusal(c, "machines", was.Uuid, was.Name, what)
}

func built(m *api.Machine, what Effect) bool {
	first := m.PoolStatus == api.Building || m.PoolStatus == api.HoldBuild
	return first && (what == Wipe || what == Install)
}

// Cluster refuses an effect on a protected cluster.
func Cluster(r resource.Reader, c *api.Machine, what Effect) error {
	was, err := api.Clusters.Get(r, c.Uuid)
	if err != nil || !was.Protected {
		return nil
	}
	return refusal(was, "clusters", was.Uuid, "it", what)
}

func refusal(c *api.Machine, kind, key, name string, what Effect) error {
	return resource.Errorf(resource.Refused, kind, key,
		"cluster %s is protected: nothing was done, %s is not %s; lift the protection first (drpcli clusters unprotect %s), which is its field Protected, set by %s",
		c.Name, name, what, c.Name, c.ProtectedBy)
}
