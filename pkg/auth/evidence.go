package auth

import (
	"reflect"

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
func (i Identity) mayTrust(c resource.Change) error {
	switch is := c.New.(type) {
	case *api.Job:
		was, _ := c.Old.(*api.Job)
		if len(is.Reports) > 0 && (was == nil || !reflect.DeepEqual(was.Reports, is.Reports)) && i.Machine() != is.Machine {
			return resource.Errorf(resource.Forbidden, c.Kind, c.Key, "Reports come from the agent of the machine")
		}
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

func safety(pref string) bool {
	return pref == api.PrefReleaseProof || pref == api.PrefForeignDisks
}

func (i Identity) waives(c resource.Change, weaker bool) error {
	if !weaker || i.Allow(c.Kind, waive, c.Key) {
		return nil
	}
	return resource.Errorf(resource.Forbidden, c.Kind, c.Key, "%s may not do without proof that disks are blank: that wants the claim %s on %s", i.Name, waive, c.Kind)
}
