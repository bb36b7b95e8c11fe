package blank

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
)

// Exempt says by which rule a disk needs no proof and is never written, "" if
// none. That a disk is read only is no such rule: it may be worn out, or locked
// by whoever had it, and holds what they wrote.
func Exempt(d api.DiskFact) string {
	switch {
	case d.Virtual:
		return "is a medium of the BMC"
	case d.Removable:
		return "is removable"
	}
	return ""
}

// readOnly is why such a disk is left alone, and stays unproven.
const readOnly = "is read only, worn out or locked perhaps"

// Alone says why a wipe leaves a disk alone unless it is named, "" if it does not.
func Alone(r resource.Reader, m *api.Machine, d api.DiskFact) string {
	if d.ReadOnly {
		return readOnly
	}
	return Apart(r, m, d)
}

// Apart says why a disk is not to be touched unless it is named, "" if it is
// the machine's own: what others see or stands elsewhere may be theirs.
func Apart(r resource.Reader, m *api.Machine, d api.DiskFact) string {
	switch {
	case d.Transport == "fc":
		return "is behind Fibre Channel"
	case d.Transport == "iscsi":
		return "is behind iSCSI"
	case d.Expander:
		return "is behind a SAS expander"
	}
	for _, id := range []string{d.Serial, d.WWN} {
		if other := alsoIn(r, m, d, id); other != "" {
			return fmt.Sprintf("is in the inventory of machine %s too", other)
		}
	}
	return ""
}

// placeholder is what virtual machines call their disks, all of them alike.
var placeholder = regexp.MustCompile(`^(?i)(QM\d{5}|drive-\w+|VB0+.*|0+|1234567890\w*|n/?a|none|unknown)$`)

// alsoIn names another machine that has the disk too, by an inventory that is
// proven no worse than the machine's own: whoever is on the network may say that
// they are some machine with that disk, which would hold this one for ever. An
// inventory of which nobody noted what it rests on is believed: not to write is
// the lesser harm.
func alsoIn(r resource.Reader, m *api.Machine, d api.DiskFact, id string) string {
	strong := false
	if own, err := api.DiskSurveys.Get(r, m.Uuid); err == nil {
		strong = proof.Kind(own.Proof).Strong()
	}
	if id == "" || placeholder.MatchString(strings.TrimSpace(id)) {
		return ""
	}
	for s := range api.DiskSurveys.By(r, api.ByDisk, id) {
		if s.Machine == m.Uuid || strong && s.Proof != "" && !proof.Kind(s.Proof).Strong() {
			continue
		}
		other, err := api.Machines.Get(r, s.Machine)
		if err == nil && slices.ContainsFunc(s.Disks, func(o api.SurveyDisk) bool { return !o.Absent && (o.Serial == id || o.WWN == id) && o.Size == d.Size }) {
			return other.Name
		}
	}
	return ""
}

// Coverage of a disk by samples: so many parts have at least one in each.
const parts = 32

// covers says whether what was read back stands for the whole disk.
func covers(p *api.DiskProof, size int64) bool {
	if p.Read >= size && size > 0 {
		return true
	}
	in := map[int64]bool{}
	for _, off := range p.Samples {
		if off >= 0 && off < size {
			in[off*parts/max(size, 1)] = true
		}
	}
	return len(in) == parts
}
