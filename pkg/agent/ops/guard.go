//go:build linux

package ops

import (
	"fmt"
	"strings"

	"drpd/pkg/agent/disk"
	"drpd/pkg/agent/facts"
)

// target names a disk as a plan does. Fields beside serial and wwn are what
// plans carry for people; a size that is not zero must fit.
type target struct {
	Name      string `json:"name"`
	Serial    string `json:"serial"`
	WWN       string `json:"wwn"`
	Path      string `json:"path"`
	Model     string `json:"model"`
	Size      int64  `json:"size"`
	Removable bool   `json:"removable"`
	ReadOnly  bool   `json:"readOnly"`
}

// want names a disk with neither serial nor wwn by its place, model and size,
// all three.
func (t target) want() disk.Want {
	if t.Serial == "" && t.WWN == "" {
		return disk.Want{Path: t.Path, Model: t.Model, Size: t.Size}
	}
	return disk.Want{Serial: t.Serial, WWN: t.WWN}
}

// guard is the agent's own refusal of disks that must not be written, on
// purpose apart from the checks of the server and of package disk: it looks at
// every disk that has the serial or the wwn, not only at the one that has both.
func (r Runner) guard(inv facts.Inventory, targets []target, protected []string) error {
	for i, t := range targets {
		if strings.TrimSpace(t.Serial) == "" && strings.TrimSpace(t.WWN) == "" && (t.Path == "" || t.Size == 0) {
			return fmt.Errorf("refused: disk %d has neither serial nor wwn", i+1)
		}
		if err := allowed(t, t.Serial, t.WWN, protected); err != nil {
			return err
		}
		for _, d := range inv.Disks {
			if !same(t.Serial, d.Serial) && !same(t.WWN, d.WWN) && (t.Serial != "" || t.WWN != "" || t.Path != d.Path) {
				continue
			}
			if err := allowed(t, d.Serial, d.WWN, protected); err != nil {
				return err
			}
			if t.Size != 0 && t.Size != d.Size {
				return fmt.Errorf("refused: disk %s was planned with %d bytes and has %d", t.want(), t.Size, d.Size)
			}
		}
	}
	return nil
}

func allowed(t target, serial, wwn string, protected []string) error {
	for _, p := range protected {
		if same(p, serial) || same(p, wwn) {
			return fmt.Errorf("refused: disk %s is protected (%s)", t.want(), p)
		}
	}
	return nil
}

// same compares loosely: a protected disk spared for a false match costs
// nothing.
func same(a, b string) bool {
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
