// Package blob keeps what is too large for the store: job logs, ISO images and
// uploaded files, in one folder, under slash-separated names.
//
// The files are plain, so an operator may look at them or drop some in.
// Everything goes through os.Root: neither a name nor a symbolic link leads out
// of the folder. Our own files are below ".blob": uploads in progress, and the
// SHA-256 of finished ones so that Stat is cheap after a restart.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	tmpDir   = private + "/tmp"
	sumDir   = private + "/sum"
	dirMode  = 0o700
	fileMode = 0o600 // logs may hold secrets
)

// Errors to test for with errors.Is.
var (
	ErrTooLarge = errors.New("too large")
	ErrChecksum = errors.New("wrong checksum")
	ErrNotFile  = errors.New("not a regular file")
)

// Info describes one blob.
type Info struct {
	Path    string // its name
	Size    int64  // bytes
	SHA256  string // lower-case hex; "" until known, see Dir.Sum
	ModTime time.Time
}

// Dir is the folder. Make it with OpenDir; its methods may run concurrently.
type Dir struct {
	root  *os.Root
	names sync.Mutex // held while folders come and go
	logs  keyLock    // one appender per log
}

// OpenDir opens the folder at path, making it if needed, and removes what
// unfinished uploads and stages left. Only one Dir may be open on a folder.
func OpenDir(path string) (*Dir, error) {
	if err := os.MkdirAll(path, dirMode); err != nil {
		return nil, fmt.Errorf("open blobs: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("open blobs: %w", err)
	}
	err = root.RemoveAll(tmpDir)
	for _, dir := range []string{tmpDir, sumDir} {
		err = errors.Join(err, root.MkdirAll(dir, dirMode))
	}
	d := &Dir{root: root}
	if err == nil {
		err = d.recover()
	}
	if err != nil {
		return nil, fmt.Errorf("open blobs %s: %w", path, errors.Join(err, root.Close()))
	}
	return d, nil
}

// Close frees the folder; files already open stay open.
func (d *Dir) Close() error { return d.root.Close() }

// Open opens a blob for reading. The caller closes it.
func (d *Dir) Open(name string) (*os.File, error) {
	f, _, err := d.open(name)
	if err != nil {
		return nil, fmt.Errorf("open blob %s: %w", name, err)
	}
	return f, nil
}

// open does not wait for the other end if someone put a named pipe there.
func (d *Dir) open(name string) (*os.File, fs.FileInfo, error) {
	if err := CheckName(name); err != nil {
		return nil, nil, err
	}
	f, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = ErrNotFile
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// Stat describes a blob without reading it. The error matches fs.ErrNotExist
// when there is none.
func (d *Dir) Stat(name string) (Info, error) {
	f, info, err := d.open(name)
	if err != nil {
		return Info{}, fmt.Errorf("stat blob %s: %w", name, err)
	}
	defer f.Close()
	return d.info(name, info), nil
}

func (d *Dir) info(name string, fi fs.FileInfo) Info {
	i := Info{Path: name, Size: fi.Size(), ModTime: fi.ModTime()}
	i.SHA256 = d.knownSum(i)
	return i
}

// Remove deletes a blob and the folders that become empty.
func (d *Dir) Remove(name string) error {
	f, _, err := d.open(name) // a folder must not go by this way
	if err != nil {
		return fmt.Errorf("remove blob %s: %w", name, err)
	}
	defer f.Close()
	d.names.Lock()
	defer d.names.Unlock()
	if err := d.root.Remove(name); err != nil {
		return fmt.Errorf("remove blob %s: %w", name, err)
	}
	if err := d.root.Remove(sumPath(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove checksum of blob %s: %w", name, err)
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if d.root.Remove(dir) != nil {
			break // not empty, the usual end
		}
	}
	return nil
}

// List describes all blobs whose name starts with prefix, sorted by name.
func (d *Dir) List(ctx context.Context, prefix string) ([]Info, error) {
	start := path.Dir(prefix + "x") // the deepest folder all of them are in
	if start != "." {
		if err := CheckName(start); err != nil {
			return nil, fmt.Errorf("list blobs: %w", err)
		}
	}
	var list []Info
	err := fs.WalkDir(d.root.FS(), start, func(name string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // removed meanwhile, or nothing of that prefix
		case err != nil:
			return err
		case name == private:
			return fs.SkipDir
		case !e.Type().IsRegular() || !strings.HasPrefix(name, prefix):
			return ctx.Err()
		}
		if fi, err := e.Info(); err == nil {
			list = append(list, d.info(name, fi))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list blobs %s*: %w", prefix, err)
	}
	sort.Slice(list, func(i, k int) bool { return list[i].Path < list[k].Path })
	return list, nil
}

// ctxReader ends a copy when the context does.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
