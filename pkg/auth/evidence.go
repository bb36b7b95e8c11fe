package auth

import (
	"reflect"
	"slices"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// waive is the right to do without proof that disks are blank, or to let data
// that is nobody's be overwritten, in a pool or wherever no pool says otherwise.
const waive = "action:waiveProof"

// mayTrust refuses what would make others believe that disks are blank, to
// whoever has not that right: reports of wipes come from the machine's own
// agent, and a pool or preference that wants less proof than before has a right
// of its own.
func (i Identity) mayTrust(r resource.Reader, c resource.Change) error {
	if was, ok := c.Old.(*api.Machine); ok && c.Kind == api.Machines.Name {
		is, _ := c.New.(*api.Machine)
		return i.mayLose(c, was, is)
	}
	switch is := c.New.(type) {
	case *api.Job:
		was, _ := c.Old.(*api.Job)
		switch {
		case len(is.Reports) == 0 || was != nil && reflect.DeepEqual(was.Reports, is.Reports):
			return nil
		case i.Machine() != is.Machine:
			return resource.Errorf(resource.Forbidden, c.Kind, c.Key, "Reports come from the agent of the machine")
		}
		if claimNow(r, is.Machine) != i.g.claim { // also one that a user was lent
			return resource.Errorf(resource.Forbidden, c.Kind, c.Key, "Reports come from who has proven to be the machine: another has proven to be it since, or this token was lent; say whoami again")
		}
		return nil
	case *api.Pool:
		was, ok := c.Old.(*api.Pool)
		if !ok {
			was = &api.Pool{}
		}
		weaker := is.ReleaseProof != was.ReleaseProof && is.ReleaseProof != api.ReleaseRequired ||
			is.ForeignDisks != was.ForeignDisks && is.ForeignDisks != api.ForeignRefuse
		return i.waives(c, weaker)
	case *api.Preference:
		was, _ := c.Old.(*api.Preference)
		return i.waives(c, safety(is.Name) && is.Value != api.ReleaseRequired && is.Value != api.ForeignRefuse && (was == nil || was.Value != is.Value))
	case nil:
		switch was := c.Old.(type) {
		case *api.Pool:
			return i.waives(c, was.ReleaseProof == api.ReleaseRequired || was.ForeignDisks == api.ForeignRefuse)
		case *api.Preference:
			return i.waives(c, safety(was.Name))
		}
	}
	return nil
}

// exempt is the right to say that a disk of a machine needs no wipe.
const exempt = "action:exemptDisk"

// mayLose refuses that a machine with data of somebody is forgotten, or that its
// hardware is a new machine the next time it comes, of which nobody would know
// that data: whoever does that says that its disks need no wipe.
func (i Identity) mayLose(c resource.Change, was, is *api.Machine) error {
	keeps := is != nil && is.Uses >= was.Uses && !slices.ContainsFunc(was.HardwareAddrs, func(mac string) bool { return !slices.Contains(is.HardwareAddrs, mac) })
	if was.Unwiped == nil || was.Virtual || keeps || i.Allow(c.Kind, exempt, c.Key) {
		return nil
	}
	return resource.Errorf(resource.Forbidden, c.Kind, c.Key,
		"%s holds data of %s, of which nobody would know if it were deleted or lost a MAC address: wipe it first (drpcli machines wipe %s), or have the claim %s on it, which %s has not", was.Name, was.Unwiped.Whose(), was.Name, exempt, i.Name)
}

func safety(pref string) bool {
	return pref == api.PrefReleaseProof || pref == api.PrefForeignDisks
}

func (i Identity) waives(c resource.Change, weaker bool) error {
	if !weaker || i.Allow(c.Kind, waive, c.Key) {
		return nil
	}
	return resource.Errorf(resource.Forbidden, c.Kind, c.Key, "%s may not do without proof that disks are blank: that wants the claim %s on %s", i.Name, waive, c.Kind)
}
