//go:build linux

package disk

import (
	"errors"
	"fmt"
	"strings"
)

// Want names one disk by serial, WWN or both, of which all given must match; a
// disk that has neither by its path, model and size, all of them.
type Want struct {
	Serial string
	WWN    string

	Path, Model string
	Size        int64 // bytes
}

func (w Want) String() string {
	switch {
	case w.Serial == "" && w.WWN == "":
		return fmt.Sprintf("path %s, model %q and %d bytes", w.Path, w.Model, w.Size)
	case w.WWN == "":
		return "serial " + w.Serial
	case w.Serial == "":
		return "wwn " + w.WWN
	}
	return "serial " + w.Serial + " and wwn " + w.WWN
}

func (w Want) matches(d Disk) bool {
	if w.Serial == "" && w.WWN == "" {
		return d.Serial == "" && d.WWN == "" && w.Path == d.Path && w.Model == d.Model && w.Size == d.Size
	}
	return (w.Serial == "" || w.Serial == d.Serial) && (w.WWN == "" || w.WWN == d.WWN)
}

// Refusal is returned when an operation was refused before anything on any
// disk was changed.
type Refusal struct{ Reason string }

func (r *Refusal) Error() string { return "refused, nothing written: " + r.Reason }

func refuse(format string, a ...any) error {
	return &Refusal{Reason: fmt.Sprintf(format, a...)}
}

// IsRefusal says whether err means that no disk was changed.
func IsRefusal(err error) bool {
	var r *Refusal
	return errors.As(err, &r)
}

// Find returns the one disk that w names. None, or more than one (two paths to
// one disk, NVMe namespaces with one serial), is an error that lists what is
// there.
func Find(disks []Disk, w Want) (Disk, error) {
	if w.Serial == "" && w.WWN == "" && (w.Path == "" || w.Size == 0) {
		return Disk{}, refuse("no disk named: give its serial or wwn")
	}
	var hits []Disk
	for _, d := range disks {
		if w.matches(d) {
			hits = append(hits, d)
		}
	}
	switch len(hits) {
	case 1:
		return hits[0], nil
	case 0:
		return Disk{}, refuse("no disk with %s; present: %s", w, inventory(disks))
	}
	return Disk{}, refuse("%d disks with %s: %s; name it by serial and wwn", len(hits), w, inventory(hits))
}

func inventory(disks []Disk) string {
	if len(disks) == 0 {
		return "none"
	}
	var parts []string
	for _, d := range disks {
		parts = append(parts, fmt.Sprintf("%s (serial %q, wwn %q, %d bytes)", d.Name, d.Serial, d.WWN, d.Size))
	}
	return strings.Join(parts, ", ")
}

// target finds the disk for a writing operation and makes the checks that hold
// for all of them.
func target(disks []Disk, w Want, protected []string) (Disk, error) {
	d, err := Find(disks, w)
	if err != nil {
		return Disk{}, err
	}
	if p, hit := protects(protected, d); hit {
		return Disk{}, refuse("disk %s is protected by %q", d.Name, p)
	}
	if d.ReadOnly {
		return Disk{}, refuse("disk %s is read-only", d.Name)
	}
	return d, nil
}

// protects compares more loosely than Find does (case, "0x", "naa."): for a
// protected disk a false match is harmless and a missed one is not.
func protects(protected []string, d Disk) (string, bool) {
	for _, p := range protected {
		f := fold(p)
		if f != "" && (f == fold(d.Serial) || f == fold(d.WWN)) {
			return p, true
		}
	}
	return "", false
}

func fold(id string) string {
	id = strings.ToLower(strings.TrimSpace(id))
	for _, p := range []string{"wwn-", "naa.", "eui.", "nvme.", "uuid.", "0x"} {
		id = strings.TrimPrefix(id, p)
	}
	return id
}
