// Package blank keeps the evidence that the disks of machines were wiped, and
// is alone in deciding whether a machine may be Free: that rests on evidence
// for each disk of an inventory which the discovery environment took in the
// same release, never on the end of a task list.
package blank

import (
	"fmt"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// Decommission is the workflow of a release for which nobody names another.
const Decommission = "universal-decommission"

// Required says whether the machine's pool takes it back only with proof.
func Required(r resource.Reader, m *api.Machine) bool {
	return wish(r, m, api.PrefReleaseProof, func(p *api.Pool) string { return p.ReleaseProof }) != api.ReleaseNone
}

// Overwrites says whether an installation may write over what is nobody's.
func Overwrites(r resource.Reader, m *api.Machine) bool {
	return wish(r, m, api.PrefForeignDisks, func(p *api.Pool) string { return p.ForeignDisks }) == api.ForeignOverwrite
}

func wish(r resource.Reader, m *api.Machine, pref string, of func(*api.Pool) string) string {
	if p, err := api.Pools.Get(r, m.Pool); err == nil && of(p) != "" {
		return of(p)
	}
	if p, err := api.Preferences.Get(r, pref); err == nil {
		return p.Value
	}
	return ""
}

// Verdict is what may become of a machine that has nothing left to do.
type Verdict struct {
	Clean bool   // its disks hold nothing of anybody
	Held  string // why it may not be Free, with the cure; "" if it may
}

// Decide says whether the machine may be Free. m may be an edition that is not
// stored yet.
func Decide(r resource.Reader, m *api.Machine) Verdict {
	foreign := Foreign(r, m)
	if m.Virtual || m.Unwiped == nil && len(foreign) == 0 {
		return Verdict{Clean: true}
	}
	missing := Missing(r, m)
	switch {
	case len(missing) == 0:
		return Verdict{Clean: true}
	case m.Unwiped == nil && Overwrites(r, m), m.Unwiped != nil && !Required(r, m):
		return Verdict{}
	case m.Unwiped == nil:
		return Verdict{Held: fmt.Sprintf("its disks hold data that is nobody's that drpd knows of: %s; if that may go: drpcli machines approve-disks %s",
			strings.Join(foreign, "; "), m.Name)}
	}
	return Verdict{Held: fmt.Sprintf("the data of %s is not proven to be gone: %s; repair, then wipe it again: drpcli machines wipe %s",
		m.Unwiped.Whose(), strings.Join(missing, "; "), m.Name)}
}

// Taker is who takes a machine: a cluster, or a person.
type Taker struct {
	Cluster string // uuid
	User    string // name
}

// Note is what a machine says of the data of whoever has it now.
func (t Taker) Note(r resource.Reader) api.Unwiped {
	u := api.Unwiped{Owner: t.Cluster, Why: "it was taken"}
	if c, err := api.Clusters.Get(r, t.Cluster); err == nil {
		u.Name = c.Name
	}
	if t.Cluster == "" {
		u.User, u.Tenant = t.User, tenantOf(r, t.User)
	}
	return u
}

func tenantOf(r resource.Reader, user string) string {
	if t := api.Tenants.One(r, api.ByUser, user); t != nil {
		return t.Name
	}
	return ""
}

// had says whether it is the taker who had the machine last. Of whom nothing is
// known, that is nobody.
func (t Taker) had(r resource.Reader, u *api.Unwiped) bool {
	switch {
	case u.Parted:
		return false
	case u.Owner != "" || t.Cluster != "":
		return u.Owner == t.Cluster
	}
	return u.User != "" && u.User == t.User && u.Tenant == tenantOf(r, t.User)
}

// Why says that the machine cannot be given to somebody, "" if it can.
func Why(r resource.Reader, m *api.Machine, to Taker) string {
	v := Decide(r, m)
	switch {
	case v.Held != "":
		return v.Held
	case v.Clean, m.Unwiped == nil, m.Unwiped.Prepared, to.had(r, m.Unwiped):
		return ""
	}
	return fmt.Sprintf("not wiped since %s had it: drpcli machines wipe %s", m.Unwiped.Whose(), m.Name)
}

// Foreign lists the disks with data that is nobody's and that nobody gave up.
func Foreign(r resource.Reader, m *api.Machine) []string {
	s, err := api.DiskSurveys.Get(r, m.Uuid)
	if err != nil {
		return nil
	}
	var out []string
	for _, d := range s.Disks {
		if d.Foreign && d.Approved == "" {
			out = append(out, fmt.Sprintf("%s: %s", d.DiskID, strings.Join(d.Content, ", ")))
		}
	}
	return out
}

// Spared says why the machine may not be installed, "" if it may: a disk that it
// has holds what is nobody's and nobody gave up, or nobody has looked what they
// hold. Who is asked before a wipe gives own, so that disks which a wipe leaves
// alone do not count.
func Spared(r resource.Reader, m *api.Machine, own bool) string {
	if m.Virtual || Overwrites(r, m) {
		return ""
	}
	s, err := api.DiskSurveys.Get(r, m.Uuid)
	if err != nil {
		if m.Unwiped != nil && m.Unwiped.Wrote {
			return ""
		}
		return "no inventory is known, so nobody knows what its disks hold: run workflow universal-discover first"
	}
	for _, d := range s.Disks {
		if why := Refuse(r, m, d); why != "" && !d.Absent && !(own && (Exempt(d.DiskFact) != "" || Alone(r, m, d.DiskFact) != "")) {
			return why
		}
	}
	return ""
}

// Refuse says why a disk may not be written over, "" if it may: it holds what
// is nobody's, and nobody gave it up.
func Refuse(r resource.Reader, m *api.Machine, d api.SurveyDisk) string {
	if !d.Foreign || d.Approved != "" || Overwrites(r, m) {
		return ""
	}
	return fmt.Sprintf("%s holds data that is nobody's that drpd knows of: %s; if that may go: drpcli machines approve-disks %s",
		d.DiskID, strings.Join(d.Content, ", "), m.Name)
}

// Survey is the inventory that the discovery environment took of the machine's
// disks since it was last taken, installed or released. The text says why there
// is none.
func Survey(r resource.Reader, m *api.Machine) (*api.DiskSurvey, string) {
	s, err := api.DiskSurveys.Get(r, m.Uuid)
	switch {
	case err != nil:
		return nil, "no inventory of its disks was ever taken in the discovery environment"
	case s.Release != m.Uses:
		return nil, fmt.Sprintf("no inventory of its disks was taken since it was released; that of %s is older", s.Taken.UTC().Format("2006-01-02 15:04:05Z"))
	}
	return s, ""
}

// Missing lists each disk that is not proven blank, and what is missing.
func Missing(r resource.Reader, m *api.Machine) []string {
	s, why := Survey(r, m)
	if s == nil {
		return []string{why}
	}
	proofs := proofsOf(r, m)
	if len(s.Disks) == 0 && proofs[""] == nil {
		return []string{"the inventory has no disks: if that is right, exempt them (drpcli machines exempt-disk " + m.Name + " none)"}
	}
	seen := map[string]int{}
	for _, d := range s.Disks {
		seen[d.Key()]++
	}
	var out []string
	for _, d := range s.Disks {
		switch p := proofs[d.Key()]; {
		case !d.Absent && Exempt(d.DiskFact) != "", p != nil && p.Method == api.MethodExempt:
		case d.Absent:
			out = append(out, fmt.Sprintf("%s was there with data and is not any more (put it back, or exempt it)", d.DiskID))
		case seen[d.Key()] > 1:
			out = append(out, fmt.Sprintf("%s: %d disks call themselves that", d.DiskID, seen[d.Key()]))
		default:
			if why := lacks(r, m, d, p); why != "" {
				out = append(out, fmt.Sprintf("%s %s", d.DiskID, why))
			}
		}
	}
	return out
}

// proofsOf is the evidence of the present release, by disk; "" is that a person
// said there are none.
func proofsOf(r resource.Reader, m *api.Machine) map[string]*api.DiskProof {
	out := map[string]*api.DiskProof{}
	for p := range api.DiskProofs.By(r, "Machine", m.Uuid) {
		if p.Release != m.Uses {
			continue
		}
		key := p.Disk.Key()
		if p.Disk == (api.DiskID{}) {
			key = ""
		}
		if was := out[key]; was == nil || was.Method != api.MethodExempt {
			out[key] = p
		}
	}
	return out
}

// lacks says what is missing of the proof of one disk.
func lacks(r resource.Reader, m *api.Machine, d api.SurveyDisk, p *api.DiskProof) string {
	switch {
	case p == nil && d.ReadOnly:
		return readOnly + ", so it was not wiped (exempt it if that may be)"
	case p == nil:
		if why := Apart(r, m, d.DiskFact); why != "" {
			return why + ", so it is not wiped unless disk-wipe/serials names it"
		}
		return "was not wiped"
	case p.Method != api.MethodOverwrite && p.Record == "":
		return "has no record of the drive's own that " + p.Method + " completed"
	case p.Method == api.MethodOverwrite && p.Bytes < d.Size:
		return fmt.Sprintf("was overwritten for %d of its %d bytes", p.Bytes, d.Size)
	case p.Proven.IsZero():
		return "was wiped and not read back"
	case !covers(p, d.Size):
		return fmt.Sprintf("was read back at %d places, which is not all over it", len(p.Samples))
	}
	return ""
}
