package blob

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Sync makes everything durable that was put with Bulk, and links: the whole
// file system of the folder is synced.
func (d *Dir) Sync() error {
	f, err := d.root.Open(".")
	if err != nil {
		return fmt.Errorf("sync blobs: %w", err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("sync blobs: %w", err)
	}
	return nil
}

// Link makes a symbolic link, which Open follows. The target is relative and
// must stay below within, a folder that name is in: a way up only at its
// beginning, so that no link on its way changes where it leads.
func (d *Dir) Link(name, target, within string) error {
	for _, n := range []string{name, within} {
		if err := CheckName(n); err != nil {
			return fmt.Errorf("link blob: %w", err)
		}
	}
	if !staysWithin(name, target, within) {
		return fmt.Errorf("link blob %s: %w: its target %q leads out of %s", name, ErrBadName, target, within)
	}
	d.names.Lock()
	defer d.names.Unlock()
	if err := d.root.MkdirAll(path.Dir(name), dirMode); err != nil {
		return fmt.Errorf("link blob %s: %w", name, err)
	}
	if err := d.root.Symlink(target, name); err != nil {
		return fmt.Errorf("link blob %s: %w", name, err)
	}
	return nil
}

func staysWithin(name, target, within string) bool {
	if target == "" || target[0] == '/' {
		return false
	}
	down := false
	for part := range strings.SplitSeq(target, "/") {
		if part == ".." && down {
			return false
		}
		down = down || part != ".." && part != "." && part != ""
	}
	to := path.Join(path.Dir(name), target)
	return strings.HasPrefix(name, within+"/") && (to == within || strings.HasPrefix(to, within+"/"))
}

// RemoveTree removes everything below a folder but the folders in keep. It is
// no error if there is nothing.
func (d *Dir) RemoveTree(dir string, keep ...string) error {
	if err := CheckName(dir); err != nil {
		return fmt.Errorf("remove blobs: %w", err)
	}
	d.names.Lock()
	defer d.names.Unlock()
	if err := d.removeTree(dir, keep); err != nil {
		return fmt.Errorf("remove blobs below %s: %w", dir, err)
	}
	return nil
}

func (d *Dir) removeTree(dir string, keep []string) error {
	if !slices.ContainsFunc(keep, func(k string) bool { return strings.HasPrefix(k+"/", dir+"/") }) {
		return d.root.RemoveAll(dir)
	}
	list, err := fs.ReadDir(d.root.FS(), dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range list {
		at := path.Join(dir, e.Name())
		if slices.Contains(keep, at) {
			continue
		}
		if err := d.removeTree(at, keep); err != nil {
			return err
		}
	}
	return nil
}
