package image

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// rootfs holds the files copied into the image as they are.
//
//go:embed all:rootfs
var rootfs embed.FS

// tuneTree makes the installed tree into the product's image.
func tuneTree(ctx context.Context, tree string, cfg OSConfig, disk diskLayout) error {
	if err := copyRootfs(tree); err != nil {
		return err
	}
	program, err := os.ReadFile(cfg.Drpcli)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tree, "usr/local/bin/drpcli"), program, 0o755); err != nil {
		return err
	}
	if err := writeTree(tree, "etc/fstab", disk.fstab()); err != nil {
		return err
	}
	if err := writeTree(tree, "boot/grub/grub.cfg", disk.bootConfig()); err != nil {
		return err
	}
	// Left by mmdebstrap, or pointing to this machine's name servers.
	for _, name := range []string{
		"etc/resolv.conf", "etc/apt/apt.conf.d/99mmdebstrap", "vmlinuz.old", "initrd.img.old",
		// An old name for /etc/modules, which is empty: without it there is nothing to start a loader for.
		"etc/modules-load.d/modules.conf",
	} {
		if err := os.RemoveAll(filepath.Join(tree, name)); err != nil {
			return err
		}
	}
	if err := os.Symlink("../run/resolv.conf", filepath.Join(tree, "etc/resolv.conf")); err != nil {
		return err
	}
	if err := tuneUnits(ctx, tree, cfg.RootPassword); err != nil {
		return err
	}
	return markUpdated(tree)
}

// setRootPassword hands the password over by standard input: arguments can be
// read by every user of the building machine.
func setRootPassword(ctx context.Context, tree, password string) error {
	cmd := exec.CommandContext(ctx, "chroot", tree, "chpasswd", "-c", "SHA512")
	cmd.Stdin = bytes.NewBufferString("root:" + password + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("set root password: %w: %s", err, tail(string(out), 500))
	}
	return nil
}

func copyRootfs(tree string) error {
	return fs.WalkDir(rootfs, "rootfs", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := rootfs.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel("rootfs", name)
		if err != nil {
			return err
		}
		return writeTree(tree, rel, string(body))
	})
}

func writeTree(tree, name, body string) error {
	file := filepath.Join(tree, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(body), 0o644)
}

// markUpdated tells systemd that /etc and /var belong to this /usr; otherwise
// the first boot rebuilds caches for several seconds.
func markUpdated(tree string) error {
	stamp := time.Now().Truncate(time.Second)
	if err := os.Chtimes(filepath.Join(tree, "usr"), stamp, stamp); err != nil {
		return err
	}
	for _, dir := range []string{"etc", "var"} {
		if err := writeTree(tree, dir+"/.updated", ""); err != nil {
			return err
		}
		later := stamp.Add(time.Second)
		if err := os.Chtimes(filepath.Join(tree, dir, ".updated"), later, later); err != nil {
			return err
		}
	}
	return nil
}
