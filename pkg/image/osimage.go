package image

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
)

// OSConfig says what goes into an OS image. Zero values of the optional fields
// are replaced by the defaults named here.
type OSConfig struct {
	// From says where the packages come from.
	From Packages
	// Kernel is the kernel metapackage; default linux-image-amd64, because the
	// cloud kernel has no AHCI driver.
	Kernel string
	// Packages are installed besides the image's own.
	Packages []string
	// Drpcli is the path of the static program placed as /usr/local/bin/drpcli.
	Drpcli string
	// RootPassword opens a login for root on the screen and the serial port.
	// Empty locks root and starts no login prompt.
	RootPassword string
	// SizeMiB is the size of the raw disk; default 660.
	SizeMiB int
	// Cache keeps the installed tree (0.4 GB) and holds temporary files.
	Cache string
	// Out names the results: Out.zst, the disk compressed by zstd with its
	// size in the frame header, and Out.json, an OSInfo.
	Out string
	Log *slog.Logger
}

// OSInfo describes an OS image to those who serve and write it.
type OSInfo struct {
	// RawSize is the size of the uncompressed disk in bytes.
	RawSize int64
	// Size is the size of the compressed file in bytes.
	Size int64
	// SHA256 is the hexadecimal checksum of the compressed file.
	SHA256 string
}

// OS makes the image. The first run installs packages (about a minute);
// later runs with the same packages only assemble the disk.
func OS(ctx context.Context, cfg OSConfig) (OSInfo, error) {
	cfg = cfg.withDefaults()
	if err := checkOS(cfg); err != nil {
		return OSInfo{}, fmt.Errorf("make os image: %w", err)
	}
	base, err := baseTree(ctx, cfg)
	if err != nil {
		return OSInfo{}, fmt.Errorf("make os image: %w", err)
	}
	tmp, err := os.MkdirTemp(cfg.Cache, "os-")
	if err != nil {
		return OSInfo{}, fmt.Errorf("make os image: %w", err)
	}
	defer os.RemoveAll(tmp)
	raw := filepath.Join(tmp, "disk.raw")
	if err := assemble(ctx, cfg, base, tmp, raw); err != nil {
		return OSInfo{}, fmt.Errorf("make os image: %w", err)
	}
	info, err := publish(ctx, raw, cfg.Out)
	if err != nil {
		return OSInfo{}, fmt.Errorf("make os image: %w", err)
	}
	cfg.Log.Info("os image made", "file", cfg.Out+".zst", "raw", info.RawSize, "size", info.Size)
	return info, nil
}

func (cfg OSConfig) withDefaults() OSConfig {
	cfg.From = cfg.From.withDefaults()
	if cfg.Kernel == "" {
		cfg.Kernel = "linux-image-amd64"
	}
	if cfg.SizeMiB == 0 {
		cfg.SizeMiB = 660
	}
	return cfg
}

// checkOS finds what would stop the build later.
func checkOS(cfg OSConfig) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("the files of the image belong to root: run as root")
	}
	err := requireTools("mmdebstrap", "tar", "sgdisk", "mke2fs", "mkfs.fat", "mmd", "mcopy", "grub-mkimage", "zstd")
	if err != nil {
		return err
	}
	if err := requireGrub(); err != nil {
		return err
	}
	program, err := os.ReadFile(cfg.Drpcli)
	if err != nil {
		return err
	}
	if err := checkStatic(program); err != nil {
		return fmt.Errorf("drpcli %s: %w", cfg.Drpcli, err)
	}
	return nil
}

// assemble turns the installed tree into a bootable raw disk.
func assemble(ctx context.Context, cfg OSConfig, base, tmp, raw string) error {
	tree := filepath.Join(tmp, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		return err
	}
	// Device nodes come from the kernel at boot and may not be made in containers.
	if _, err := run(ctx, "", "tar", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--exclude=./dev/*", "-C", tree, "-xpf", base); err != nil {
		return err
	}
	disk := newDiskLayout(cfg.SizeMiB, filepath.Base(base))
	if err := tuneTree(ctx, tree, cfg, disk); err != nil {
		return err
	}
	return writeDisk(ctx, disk, tree, raw)
}

// publish compresses the disk and writes its description last, so that a
// description never speaks of an image that is not there.
func publish(ctx context.Context, raw, out string) (OSInfo, error) {
	packed := out + ".zst"
	// Several threads would leave the result dependent on the machine.
	if _, err := run(ctx, "", "zstd", "-q", "-f", "-3", "--single-thread", raw, "-o", packed+".tmp"); err != nil {
		return OSInfo{}, err
	}
	sum, size, err := fileSum(packed + ".tmp")
	if err != nil {
		return OSInfo{}, err
	}
	stat, err := os.Stat(raw)
	if err != nil {
		return OSInfo{}, err
	}
	if err := os.Rename(packed+".tmp", packed); err != nil {
		return OSInfo{}, err
	}
	info := OSInfo{RawSize: stat.Size(), Size: size, SHA256: sum}
	body, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return OSInfo{}, err
	}
	return info, replaceFile(out+".json", append(body, '\n'))
}
