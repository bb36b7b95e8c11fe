package api

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"drpd/pkg/resource"
)

// States of a Medium.
const (
	MediumWanted    = "wanted"    // not begun
	MediumUnpacking = "unpacking" // in hand; begun anew after a crash
	MediumUnpacked  = "unpacked"
	MediumFailed    = "failed"
	MediumPurging   = "purging" // its files are being removed
	MediumPurged    = "purged"
)

// Medium is one directory of the static tree with the contents of an ISO image
// that boot environments name. The server alone makes and changes it.
type Medium struct {
	Dir     string // as BootEnv.MediaDir lays it out
	Iso     string // file below isos
	SHA256  string // of the image that is or will be unpacked
	State   string
	Problem string // why State is failed
	Files   int
	Size    int64 // bytes of all files
}

// Media by directory.
var Media = &resource.Kind[Medium]{
	Name: "media", Key: func(o *Medium) string { return o.Dir }, Sealed: true,
	Indexes: []resource.Index[Medium]{
		keyed("Dir", func(o *Medium) string { return o.Dir }),
		textual("Iso", func(o *Medium) string { return o.Iso }),
		textual("State", func(o *Medium) string { return o.State }),
	},
}

// Due says whether there is something to do.
func (o *Medium) Due() bool {
	return o.State == MediumWanted || o.State == MediumUnpacking || o.State == MediumPurging
}

// problem is why boot environments cannot boot from it yet.
func (o *Medium) problem(iso string) string {
	switch {
	case o.Iso != iso:
		return fmt.Sprintf("directory %s holds the contents of %s, not of %s: give one of the two another OS.Name", o.Dir, o.Iso, iso)
	case o.State == MediumFailed:
		return fmt.Sprintf("medium %s cannot be unpacked: %s: upload it again", o.Iso, o.Problem)
	case o.State == MediumPurged, o.State == MediumPurging:
		return fmt.Sprintf("medium %s was purged: upload it again, or purge with reexplodeIsos=true", o.Iso)
	case o.State != MediumUnpacked:
		return fmt.Sprintf("medium %s is being unpacked", o.Iso)
	}
	return ""
}

// MediaArches lists the architectures for which the environment boots from a
// medium, by their normal names, amd64 first.
func (o *BootEnv) MediaArches() []string {
	out := []string{"amd64"}
	for _, name := range slices.Sorted(maps.Keys(o.OS.SupportedArchitectures)) {
		if arch := NormalArch(name); !slices.Contains(out, arch) {
			out = append(out, arch)
		}
	}
	return slices.DeleteFunc(out, func(arch string) bool { return !o.unpacks(arch) })
}

// unpacks says whether the kernel for an architecture is on a medium: an ISO
// file may also be an image that is written to disks as it is.
func (o *BootEnv) unpacks(arch string) bool {
	k := o.KernelFor(arch)
	return o.IsoFor(arch) != "" && k != "" && !strings.HasPrefix(k, "files/")
}

// mediaRefs are the media that must be unpacked: that for amd64, or all if
// there is none for it.
func (o *BootEnv) mediaRefs() []resource.Ref {
	arches := o.MediaArches()
	if len(arches) > 0 && arches[0] == "amd64" {
		arches = arches[:1]
	}
	var out []resource.Ref
	for _, arch := range arches {
		iso := o.IsoFor(arch)
		out = append(out, resource.Ref{Kind: "media", Key: o.MediaDir(arch),
			Check: func(target any) string { return target.(*Medium).problem(iso) }})
	}
	return out
}

// UnpackAgain wants the media of an image that was uploaded, also those that
// failed or were purged.
func UnpackAgain(tx *resource.Tx, iso, sha256 string) error {
	for m := range Media.By(tx, "Iso", iso) {
		err := Media.Modify(tx, m.Dir, func(m *Medium) error {
			m.State, m.SHA256, m.Problem = MediumWanted, sha256, ""
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
