//go:build linux

package ops

import (
	"context"
	"fmt"
	"io"

	"sigs.k8s.io/yaml"
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

// Runner carries out operations. All fields are required.
type Runner struct {
	Hardware Hardware
	Server   Server
	Log      io.Writer // of the job
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
	return 0, r.Server.Record(ctx, inv)
}
