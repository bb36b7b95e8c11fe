package disk

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// nodeWait bounds the wait for the partition nodes after the table was read.
	nodeWait  = 10 * time.Second
	nodeCheck = 100 * time.Millisecond
	// unmountTries and nodeCheck bound the wait for a busy file system.
	unmountTries = 50
)

// findLabel makes the kernel read the partition table and returns the node of
// the one partition, or of the whole disk, that holds the labeled ext4 file
// system.
func (h Host) findLabel(ctx context.Context, d Disk, label string) (string, error) {
	if err := h.reread(d); err != nil {
		return "", err
	}
	nodes, err := h.waitNodes(ctx, d)
	if err != nil {
		return "", err
	}
	var hits, seen []string
	for _, n := range nodes {
		got, ok := ext4Label(n)
		if ok {
			seen = append(seen, fmt.Sprintf("%s %q", n, got))
		}
		if ok && got == label {
			hits = append(hits, n)
		}
	}
	if len(hits) != 1 {
		return "", fmt.Errorf("%d ext4 file systems with label %q on %s; present: %s",
			len(hits), label, d.Name, strings.Join(seen, ", "))
	}
	return hits[0], nil
}

func (h Host) reread(d Disk) error {
	dev, err := h.openDevice(d)
	if err != nil {
		return err
	}
	defer dev.Close()
	if err := dev.Reread(); err != nil {
		return fmt.Errorf("reread partitions: %w", err)
	}
	return nil
}

// waitNodes waits until every partition in sysfs has its device node and
// returns all nodes, the whole disk's included.
func (h Host) waitNodes(ctx context.Context, d Disk) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, nodeWait)
	defer cancel()
	for {
		nodes := []string{d.Path}
		for _, p := range partitionNames(filepath.Join(h.sys(), "block", d.Name)) {
			nodes = append(nodes, filepath.Join(h.dev(), p))
		}
		missing := slices.DeleteFunc(slices.Clone(nodes), func(n string) bool {
			_, err := os.Stat(n)
			return err == nil
		})
		if len(missing) == 0 {
			return nodes, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for %s: %w", strings.Join(missing, ", "), ctx.Err())
		case <-time.After(nodeCheck):
		}
	}
}

// ext4Label reads the volume label from the superblock at offset 1024; ok is
// false where there is no ext file system.
func ext4Label(node string) (label string, ok bool) {
	const superblock, magicOff, labelOff, labelLen, magic = 1024, 56, 120, 16, 0xef53
	f, err := os.Open(node)
	if err != nil {
		return "", false
	}
	defer f.Close()
	sb := make([]byte, labelOff+labelLen)
	if _, err := f.ReadAt(sb, superblock); err != nil {
		return "", false
	}
	if binary.LittleEndian.Uint16(sb[magicOff:]) != magic {
		return "", false
	}
	name, _, _ := bytes.Cut(sb[labelOff:], []byte{0})
	return string(name), true
}

// mounted runs do with the ext4 file system of node mounted at dir.
func mounted(node, dir string, do func() error) error {
	if err := unix.Mount(node, dir, "ext4", unix.MS_NODEV|unix.MS_NOSUID|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount %s as ext4: %w", node, err)
	}
	return errors.Join(do(), unmount(dir))
}

// unmount writes everything back and then lets go.
func unmount(dir string) error {
	if err := syncFS(dir); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	var err error
	for range unmountTries {
		if err = unix.Unmount(dir, 0); !errors.Is(err, unix.EBUSY) {
			break
		}
		time.Sleep(nodeCheck)
	}
	if err != nil {
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	return nil
}

func syncFS(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}
