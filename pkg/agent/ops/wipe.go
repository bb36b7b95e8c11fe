//go:build linux

package ops

import (
	"cmp"
	"context"
	"fmt"

	"drpd/pkg/agent/disk"
	"drpd/pkg/agent/facts"
)

type wipe struct {
	Op        string   `json:"op"`
	Mode      string   `json:"mode"`
	Disks     []target `json:"disks"`
	Protected []string `json:"protected"`
}

func (w *wipe) run(ctx context.Context, r Runner) (int, error) {
	inv, err := r.named(w.Disks)
	if err != nil {
		return 0, err
	}
	if err := r.guard(inv, w.Disks, w.Protected); err != nil {
		return 0, err
	}
	reports, err := r.Hardware.Disks.Wipe(ctx, disk.Wipe{Wants: wants(w.Disks), Protected: w.Protected,
		Mode: cmp.Or(w.Mode, disk.WipeZero), Log: r.Log})
	r.print("wiped", reports)
	r.show("wipe", inv.Disks, reports)
	return 0, err
}

type verifyBlank struct {
	Op    string   `json:"op"`
	Disks []target `json:"disks"`
}

func (v *verifyBlank) run(ctx context.Context, r Runner) (int, error) {
	inv, err := r.named(v.Disks)
	if err != nil {
		return 0, err
	}
	reports, err := r.Hardware.Disks.VerifyBlank(ctx, wants(v.Disks), r.Log)
	r.print("read back and found blank", reports)
	r.show("verify-blank", inv.Disks, reports)
	return 0, err
}

// named refuses a plan that names no disk: that one is to be wiped, or found
// blank, is why the operation was asked for. A machine without disks has its own
// way of saying so (drpcli machines exempt-disk).
func (r Runner) named(list []target) (facts.Inventory, error) {
	inv, err := r.Hardware.Facts.Collect()
	if err != nil {
		return inv, fmt.Errorf("refused: the disks cannot be listed: %w", err)
	}
	if len(list) == 0 {
		return inv, fmt.Errorf("refused: the plan names no disk, and the machine has %d", len(inv.Disks))
	}
	return inv, nil
}

func wants(list []target) []disk.Want {
	var out []disk.Want
	for _, t := range list {
		out = append(out, t.want())
	}
	return out
}

// print reports what was done, after an error too: it says how far each came.
func (r Runner) print(what string, reports []disk.Report) {
	for _, p := range reports {
		fmt.Fprintf(r.Log, "%s: %s (serial %q, wwn %q), %d of %d bytes in %.1f s, verified %t\n",
			what, p.Disk.Path, p.Disk.Serial, p.Disk.WWN, p.Bytes, p.Disk.Size, p.Seconds, p.Verified)
	}
}
