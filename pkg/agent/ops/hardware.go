//go:build linux

package ops

import (
	"context"
	"io"

	"drpd/pkg/agent/disk"
	"drpd/pkg/agent/facts"
)

// Hardware is the machine that operations work on. All fields are required.
type Hardware struct {
	Facts Facts
	Disks Disks
	Power Power
}

// Facts takes the inventory; facts.Source is the real one.
type Facts interface {
	Collect() (facts.Inventory, error)
}

// Disks works on whole disks; disk.Host is the real one.
type Disks interface {
	Deploy(ctx context.Context, d disk.Deploy) (disk.Report, error)
	Personalize(ctx context.Context, p disk.Personalize) error
	Wipe(ctx context.Context, w disk.Wipe) ([]disk.Report, error)
	VerifyBlank(ctx context.Context, wants []disk.Want, log io.Writer) ([]disk.Report, error)
}

// Power ends what the machine does. A nil error means that the end is under
// way, perhaps only after this process was stopped.
type Power interface {
	Reboot(ctx context.Context) error
	PowerOff(ctx context.Context) error
}

// Server is what operations need of the server, about the own machine only.
type Server interface {
	// Record stores an inventory with the machine.
	Record(ctx context.Context, inv facts.Inventory) error
	// AgentConfig is the configuration of the agent of an installed system.
	AgentConfig(ctx context.Context, env string) ([]byte, error)
	// Download opens a stream that ends with an error if it is cut off or stalls.
	Download(ctx context.Context, url string) (io.ReadCloser, error)
}
