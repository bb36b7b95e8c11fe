//go:build linux

package ops

import (
	"context"
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"

	"drpd/pkg/agent/disk"
)

// MaxDocument bounds the YAML of one operation, in bytes.
const MaxDocument = 1 << 20

// Exit codes of operations, with the meaning they have for scripts.
const (
	ExitOK       = 0
	ExitFailed   = 1
	ExitPowerOff = 32
	ExitReboot   = 64
)

// Runner carries out operations. All fields but Evidence are required.
type Runner struct {
	Hardware Hardware
	Server   Server
	Log      io.Writer      // of the job
	Evidence func(Evidence) // gets what an operation on disks saw and did, also of one that fails; may be nil
}

// Evidence is what an operation saw and did, as facts for the server.
type Evidence struct {
	Op    string
	Disks []disk.Disk   // all of the machine, before it began
	Done  []disk.Report // one for each disk that was worked on
}

// show takes the inventory of the disks and hands over the evidence.
func (r Runner) show(op string, disks []disk.Disk, done []disk.Report) {
	if r.Evidence != nil {
		r.Evidence(Evidence{op, disks, done})
	}
}

// operation is one decoded document.
type operation interface {
	run(ctx context.Context, r Runner) (int, error)
}

// Run decodes a document, checks all of it, and carries it out. The number is
// an exit code as a script would give it; it is ExitFailed with every error.
func (r Runner) Run(ctx context.Context, doc string) (int, error) {
	op, err := parse(doc)
	if err != nil {
		return ExitFailed, err
	}
	code, err := op.run(ctx, r)
	if err != nil {
		return ExitFailed, err
	}
	return code, nil
}

func parse(doc string) (operation, error) {
	if len(doc) > MaxDocument {
		return nil, fmt.Errorf("the operation has %d bytes, at most %d are allowed", len(doc), MaxDocument)
	}
	var head struct {
		Op string `json:"op"`
	}
	if err := yaml.Unmarshal([]byte(doc), &head); err != nil {
		return nil, fmt.Errorf("decode operation: %w", err)
	}
	op := newOperation(head.Op)
	if op == nil {
		return nil, fmt.Errorf("op %q is not known: use inventory, deploy, wipe, verify-blank, reboot or poweroff", head.Op)
	}
	if err := yaml.UnmarshalStrict([]byte(doc), op); err != nil {
		return nil, fmt.Errorf("decode op %s: %w", head.Op, err)
	}
	return op, nil
}

func newOperation(name string) operation {
	switch name {
	case "inventory":
		return &inventory{}
	case "deploy":
		return &deploy{}
	case "wipe":
		return &wipe{}
	case "verify-blank":
		return &verifyBlank{}
	case "reboot":
		return &end{code: ExitReboot}
	case "poweroff":
		return &end{code: ExitPowerOff}
	}
	return nil
}

// end asks for the exit code by which the agent reboots or powers off once the
// job is reported: done here, the report would be lost.
type end struct {
	Op   string `json:"op"`
	code int
}

func (e *end) run(context.Context, Runner) (int, error) { return e.code, nil }

type inventory struct {
	Op string `json:"op"`
}

func (*inventory) run(ctx context.Context, r Runner) (int, error) {
	inv, err := r.Hardware.Facts.Collect()
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(r.Log, "%s %s, serial %q, uuid %s, firmware %s\n", inv.System.Vendor, inv.System.Product,
		inv.System.Serial, inv.System.UUID, inv.FirmwareMode)
	fmt.Fprintf(r.Log, "%d threads (%s), %d MiB memory\n", inv.CPU.Threads, inv.CPU.Model, inv.MemoryBytes>>20)
	for _, d := range inv.Disks {
		fmt.Fprintf(r.Log, "disk %s: serial %q, wwn %q, %d bytes, %s\n", d.Name, d.Serial, d.WWN, d.Size, d.Model)
	}
	for _, n := range inv.NICs {
		fmt.Fprintf(r.Log, "nic %s: %s, driver %s, link %t\n", n.Name, n.MAC, n.Driver, n.Link)
	}
	for _, d := range inv.Disks {
		if len(d.Content) > 0 {
			fmt.Fprintf(r.Log, "disk %s holds %s\n", d.Name, strings.Join(d.Content, ", "))
		}
	}
	r.show("inventory", inv.Disks, nil)
	return 0, r.Server.Record(ctx, inv)
}
