//go:build linux

package ops

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"

	"drpd/pkg/agent/disk"
	"drpd/pkg/agent/facts"
)

// agentConfig as the content of a file stands for the configuration of the
// agent in the installed system.
const agentConfig = "@agent-config"

type deploy struct {
	Op          string       `json:"op"`
	Disk        target       `json:"disk"`
	Image       string       `json:"image"`
	SHA256      string       `json:"sha256"`
	RawSize     int64        `json:"rawSize"`
	Protected   []string     `json:"protected"`
	Personalize *personalize `json:"personalize"`
	Check       bool         `json:"check"`   // the disk must hold what the plan says, and nothing else
	Content     []string     `json:"content"` // what the plan found on it
}

type personalize struct {
	Label string `json:"label"`
	Env   string `json:"env"` // the boot environment of the installed system
	Files []file `json:"files"`
}

type file struct {
	Path    string `json:"path"`
	Mode    string `json:"mode"` // octal permission bits; "" is 0644
	Content string `json:"content"`
}

func (d *deploy) run(ctx context.Context, r Runner) (int, error) {
	if err := d.check(); err != nil {
		return 0, fmt.Errorf("op deploy: %w", err)
	}
	inv, err := r.Hardware.Facts.Collect()
	if err != nil {
		return 0, fmt.Errorf("refused: the disks cannot be listed: %w", err)
	}
	if err := r.guard(inv, []target{d.Disk}, d.Protected); err != nil {
		return 0, err
	}
	if err := d.asPlanned(inv); err != nil {
		return 0, err
	}
	r.show("deploy", inv.Disks, nil)
	// All files are made before the first byte is written: a token that the
	// server refuses must not leave a disk without an agent.
	files, err := d.files(ctx, r.Server)
	if err != nil {
		return 0, err
	}
	if err := d.write(ctx, r); err != nil {
		return 0, err
	}
	if d.Personalize == nil {
		return 0, nil
	}
	return 0, r.Hardware.Disks.Personalize(ctx, disk.Personalize{Want: d.Disk.want(), Protected: d.Protected,
		Label: d.Personalize.Label, Files: files, Log: r.Log})
}

// asPlanned refuses a disk that has come to hold something since the plan was
// made: nobody gave that up.
func (d *deploy) asPlanned(inv facts.Inventory) error {
	if !d.Check {
		return nil
	}
	for _, x := range inv.Disks {
		if !same(d.Disk.Serial, x.Serial) && !same(d.Disk.WWN, x.WWN) {
			continue
		}
		for _, found := range x.Content {
			if !slices.Contains(d.Content, found) {
				return fmt.Errorf("refused, nothing written: disk %s holds %s, which was not there when its installation was planned", d.Disk.want(), found)
			}
		}
	}
	return nil
}

func (d *deploy) check() error {
	var errs []error
	if d.Image == "" {
		errs = append(errs, errors.New("image is empty: give its URL"))
	}
	if sum, err := hex.DecodeString(d.SHA256); err != nil || len(sum) != 32 {
		errs = append(errs, fmt.Errorf("sha256 %.80q is not 64 hex digits", d.SHA256))
	}
	if d.RawSize <= 0 {
		errs = append(errs, fmt.Errorf("rawSize is %d: give the unpacked size in bytes", d.RawSize))
	}
	if d.Personalize != nil && d.Personalize.Label == "" {
		errs = append(errs, errors.New("personalize.label is empty: name the file system to write to"))
	}
	return errors.Join(errs...)
}

func (d *deploy) write(ctx context.Context, r Runner) error {
	fmt.Fprintf(r.Log, "deploy %s to disk %s\n", d.Image, d.Disk.want())
	body, err := r.Server.Download(ctx, d.Image)
	if err != nil {
		return err
	}
	defer body.Close()
	rep, err := r.Hardware.Disks.Deploy(ctx, disk.Deploy{Want: d.Disk.want(), Image: body, SHA256: d.SHA256,
		RawSize: d.RawSize, Protected: d.Protected, Log: r.Log})
	if err != nil {
		return err
	}
	r.print("deployed", []disk.Report{rep})
	return nil
}

func (d *deploy) files(ctx context.Context, server Server) ([]disk.File, error) {
	if d.Personalize == nil {
		return nil, nil
	}
	var out []disk.File
	for _, f := range d.Personalize.Files {
		mode := uint64(0o644)
		if f.Mode != "" {
			var err error
			if mode, err = strconv.ParseUint(f.Mode, 8, 9); err != nil {
				return nil, fmt.Errorf("op deploy: mode %q of %s is not octal permission bits such as 0644", f.Mode, f.Path)
			}
		}
		made := disk.File{Path: f.Path, Mode: fs.FileMode(mode), Content: []byte(f.Content)}
		if f.Content == agentConfig {
			conf, err := server.AgentConfig(ctx, d.Personalize.Env)
			if err != nil {
				return nil, fmt.Errorf("make %s: %w", f.Path, err)
			}
			// It holds a token, whatever the plan says.
			made.Mode, made.Content = 0o600, conf
		}
		out = append(out, made)
	}
	return out, nil
}
