//go:build linux

package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Limits of one Personalize request; what a machine needs of its own is small.
const (
	MaxFiles     = 256
	MaxFileBytes = 16 * mib // of all files together
)

// Personalize asks for files to be written into a file system on a disk.
type Personalize struct {
	Want      Want
	Protected []string // serials and WWNs never to be written
	Label     string   // of the ext4 file system, such as "root"
	Files     []File
	Log       io.Writer
}

// File is one file to write. It replaces what has its name, links included;
// missing directories are made. It belongs to root.
type File struct {
	Path    string      // from the top of the file system; a leading slash is allowed
	Mode    fs.FileMode // permission bits only
	Content []byte
}

// Personalize mounts the ext4 file system with the given label on the disk and
// writes the files. No path can leave the file system, not even through links
// inside it.
func (h Host) Personalize(ctx context.Context, p Personalize) error {
	if err := h.personalize(ctx, p); err != nil {
		return fmt.Errorf("personalize %s: %w", p.Want, err)
	}
	return nil
}

func (h Host) personalize(ctx context.Context, p Personalize) error {
	if err := checkFiles(p.Files); err != nil {
		return err
	}
	if p.Label == "" {
		return refuse("no file system label")
	}
	disks, err := h.List()
	if err != nil {
		return refuse("%s", err)
	}
	d, err := target(disks, p.Want, p.Protected)
	if err != nil {
		return err
	}
	node, err := h.findLabel(ctx, d, p.Label)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "drpd-mount-")
	if err != nil {
		return fmt.Errorf("make mount point: %w", err)
	}
	// Remove, never RemoveAll: the file system may still be mounted here.
	defer os.Remove(dir)
	err = mounted(node, dir, func() error { return writeFiles(dir, p.Files) })
	if err == nil && p.Log != nil {
		fmt.Fprintf(p.Log, "personalize %s: %d files written to %s\n", d.Name, len(p.Files), node)
	}
	return err
}

// checkFiles refuses the request before anything is mounted.
func checkFiles(files []File) error {
	if len(files) > MaxFiles {
		return refuse("%d files, at most %d are allowed", len(files), MaxFiles)
	}
	total := 0
	for _, f := range files {
		if _, err := localPath(f.Path); err != nil {
			return refuse("%s", err)
		}
		if f.Mode&^fs.ModePerm != 0 {
			return refuse("mode %o of %s: only permission bits are allowed", uint32(f.Mode), f.Path)
		}
		total += len(f.Content)
	}
	if total > MaxFileBytes {
		return refuse("files have %d bytes, at most %d are allowed", total, MaxFileBytes)
	}
	return nil
}

func localPath(p string) (string, error) {
	rel := strings.TrimPrefix(p, "/")
	if !filepath.IsLocal(rel) || path.Clean(rel) != rel || rel == "." || strings.ContainsRune(rel, 0) {
		return "", fmt.Errorf("path %q is not a clean path to a file inside the file system", p)
	}
	return rel, nil
}

// writeFiles writes all files below dir and makes them durable.
func writeFiles(dir string, files []File) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open file system: %w", err)
	}
	defer root.Close()
	for _, f := range files {
		if err := writeFile(root, f); err != nil {
			return fmt.Errorf("write %s: %w", f.Path, err)
		}
	}
	return nil
}

// writeFile writes beside the file and renames, so that a link in its place is
// replaced and not followed.
func writeFile(root *os.Root, f File) error {
	rel, err := localPath(f.Path)
	if err != nil {
		return err
	}
	if err := root.MkdirAll(path.Dir(rel), 0o755); err != nil {
		return err
	}
	tmp := rel + ".drpd-new"
	if err := root.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	w, err := root.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, f.Mode)
	if err != nil {
		return err
	}
	_, err = w.Write(f.Content)
	// Chmod because the mode at creation is cut by the umask.
	err = errors.Join(err, w.Chmod(f.Mode), w.Sync(), w.Close())
	if err != nil {
		return err
	}
	return root.Rename(tmp, rel)
}
