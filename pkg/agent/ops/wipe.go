//go:build linux

package ops

import (
	"cmp"
	"context"
	"fmt"

	"drpd/pkg/agent/disk"
)

type wipe struct {
	Op        string   `json:"op"`
	Mode      string   `json:"mode"`
	Disks     []target `json:"disks"`
	Protected []string `json:"protected"`
}

func (w *wipe) run(ctx context.Context, r Runner) (int, error) {
	if len(w.Disks) == 0 {
		fmt.Fprintln(r.Log, "the plan names no disk: nothing to wipe")
		return 0, nil
	}
	if err := r.guard(w.Disks, w.Protected); err != nil {
		return 0, err
	}
	reports, err := r.Hardware.Disks.Wipe(ctx, disk.Wipe{Wants: wants(w.Disks), Protected: w.Protected,
		Mode: cmp.Or(w.Mode, disk.WipeZero), Log: r.Log})
	r.print("wiped", reports)
	return 0, err
}

type verifyBlank struct {
	Op    string   `json:"op"`
	Disks []target `json:"disks"`
}

func (v *verifyBlank) run(ctx context.Context, r Runner) (int, error) {
	if len(v.Disks) == 0 {
		fmt.Fprintln(r.Log, "the plan names no disk: nothing to verify")
		return 0, nil
	}
	reports, err := r.Hardware.Disks.VerifyBlank(ctx, wants(v.Disks), r.Log)
	r.print("read back and found blank", reports)
	return 0, err
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
