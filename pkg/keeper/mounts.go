//go:build linux

package keeper

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"drpd/pkg/child"
)

// devices are the ones in a cell.
var devices = []string{"null", "zero", "full", "random", "urandom"}

const plainMount = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// isolate gives this mount namespace the view of the system that those in a cell
// have: all of it to read as far as their user may, but the server's directories,
// other processes, devices and /run; Home to write.
func isolate(p plan) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("part from the system's mounts: %w", err)
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, &attr); err != nil {
		return fmt.Errorf("make the system read-only (Linux 5.12 or later is needed): %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", plainMount, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, step := range []func() error{dev, run} {
		if err := step(); err != nil {
			return err
		}
	}
	for _, dir := range p.Hide {
		if err := cover(dir, "mode=0,size=4k"); err != nil {
			return err
		}
	}
	if err := cover("/var/tmp", "mode=0555,size=4k"); err != nil {
		return err
	}
	if err := unix.MoveMount(fdDir, "", unix.AT_FDCWD, child.Home, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount the cell's directory on %s: %w", child.Home, err)
	}
	return unix.Close(fdDir)
}

// cover hides what is in a directory, if there is one.
func cover(dir, data string) error {
	err := unix.Mount("tmpfs", dir, "tmpfs", plainMount|unix.MS_RDONLY, data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("hide %s: %w", dir, err)
	}
	return nil
}

// fresh covers a directory by a new one that make fills, then nobody.
func fresh(dir string, flags uintptr, fill func() error) error {
	if err := unix.Mount("tmpfs", dir, "tmpfs", flags, "mode=0755,size=256k"); err != nil {
		return fmt.Errorf("cover %s: %w", dir, err)
	}
	if err := fill(); err != nil {
		return err
	}
	if err := unix.Mount("", dir, "", flags|unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("make %s read-only: %w", dir, err)
	}
	return nil
}

// dev makes a /dev of few devices.
func dev() error {
	kept := map[string]int{}
	for _, name := range devices {
		fd, err := unix.OpenTree(unix.AT_FDCWD, "/dev/"+name, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
		if err != nil {
			return fmt.Errorf("take along /dev/%s: %w", name, err)
		}
		kept[name] = fd
	}
	return fresh("/dev", unix.MS_NOSUID|unix.MS_NOEXEC, func() error {
		for name, fd := range kept {
			if err := put(fd, "/dev/"+name, func(path string) error { return os.WriteFile(path, nil, 0o600) }); err != nil {
				return err
			}
		}
		for name, to := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
			if err := os.Symlink(to, "/dev/"+name); err != nil {
				return err
			}
		}
		if err := os.Mkdir("/dev/shm", 0o755); err != nil {
			return err
		}
		return unix.Mount("tmpfs", "/dev/shm", "tmpfs", plainMount, "mode=1777,size=64m,nr_inodes=1000")
	})
}

// put attaches a mount at a place that create makes.
func put(fd int, at string, create func(path string) error) error {
	defer unix.Close(fd)
	if err := create(at); err != nil {
		return err
	}
	if err := unix.MoveMount(fd, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("put %s back: %w", at, err)
	}
	return nil
}

// run covers /run, where the system's services have their sockets, but for what
// the resolver's configuration points to.
func run() error {
	const dir = "/run"
	names, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if names = filepath.Dir(names); err != nil || !strings.HasPrefix(names, dir+"/") {
		return fresh(dir, plainMount, func() error { return nil })
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, names, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("take along %s: %w", names, err)
	}
	return fresh(dir, plainMount, func() error {
		return put(fd, names, func(path string) error { return os.MkdirAll(path, 0o755) })
	})
}
