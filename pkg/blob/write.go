package blob

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"sync"
)

// PutOptions bounds and checks an upload.
type PutOptions struct {
	MaxSize int64  // bytes; must be above 0
	SHA256  string // expected, hex; "": any
	// Bulk leaves syncing to Dir.Sync, which serves many files at once, and
	// keeps no checksum.
	Bulk bool
}

// Put stores all of r under name, replacing what was there. Readers see the old
// content or the new, never a mixture; when Put fails (ErrTooLarge,
// ErrChecksum, an error of r) the old content stays and nothing else is left.
func (d *Dir) Put(ctx context.Context, name string, r io.Reader, opts PutOptions) (Info, error) {
	info, err := d.put(ctx, name, r, opts)
	if err != nil {
		return Info{}, fmt.Errorf("put blob %s: %w", name, err)
	}
	return info, nil
}

func (d *Dir) put(ctx context.Context, name string, r io.Reader, opts PutOptions) (Info, error) {
	if err := CheckName(name); err != nil {
		return Info{}, err
	}
	if opts.MaxSize <= 0 {
		return Info{}, errors.New("no size limit given")
	}
	tmp := tmpDir + "/" + rand.Text()
	f, err := d.root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return Info{}, err
	}
	defer d.root.Remove(tmp) // gone already once it has its name
	defer f.Close()
	sum, err := receive(ctx, f, r, opts)
	if err != nil {
		return Info{}, err
	}
	if err := d.publish(tmp, name, opts.Bulk); err != nil {
		return Info{}, err
	}
	fi, err := f.Stat()
	if err != nil {
		return Info{}, err
	}
	info := Info{Path: name, Size: fi.Size(), SHA256: sum, ModTime: fi.ModTime()}
	if opts.Bulk {
		return info, nil
	}
	return info, d.saveSum(info)
}

// receive copies r to f within the limits and returns its checksum once the
// data is on disk.
func receive(ctx context.Context, f *os.File, r io.Reader, opts PutOptions) (string, error) {
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, hash), io.LimitReader(ctxReader{ctx, r}, opts.MaxSize))
	if err != nil {
		return "", err
	}
	if n == opts.MaxSize {
		if err := wantEOF(ctx, r, opts.MaxSize); err != nil {
			return "", err
		}
	}
	sum := hex.EncodeToString(hash.Sum(nil))
	if opts.SHA256 != "" && !strings.EqualFold(opts.SHA256, sum) {
		return "", fmt.Errorf("%w: SHA-256 of the %d bytes received is %s, want %s", ErrChecksum, n, sum, opts.SHA256)
	}
	if opts.Bulk {
		return sum, nil
	}
	return sum, f.Sync()
}

// wantEOF returns ErrTooLarge if r has anything left.
func wantEOF(ctx context.Context, r io.Reader, limit int64) error {
	n, err := io.CopyN(io.Discard, ctxReader{ctx, r}, 1)
	switch {
	case n > 0:
		return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	case errors.Is(err, io.EOF):
		return nil
	default:
		return err
	}
}

// publish gives a finished file its name, durably unless it is one of many.
func (d *Dir) publish(tmp, name string, bulk bool) error {
	d.names.Lock()
	defer d.names.Unlock()
	dir := path.Dir(name)
	if err := d.root.MkdirAll(dir, dirMode); err != nil {
		return err
	}
	if err := d.root.Rename(tmp, name); err != nil {
		return err
	}
	if bulk {
		return nil
	}
	return d.syncUp(dir)
}

// syncUp syncs a folder and those above it, since any of them may be new.
func (d *Dir) syncUp(dir string) error {
	for {
		f, err := d.root.Open(dir)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
		if dir == "." {
			return nil
		}
		dir = path.Dir(dir)
	}
}

// Append adds r to the end of a log, making it if needed, and returns the
// log's size. A log never grows beyond limit bytes: what fits is kept and the
// error is ErrTooLarge. What came before an error of r is kept too. Appends to
// one name do not mix; they are not synced to disk.
func (d *Dir) Append(ctx context.Context, name string, r io.Reader, limit int64) (int64, error) {
	size, err := d.append(ctx, name, r, limit)
	if err != nil {
		return size, fmt.Errorf("append to blob %s: %w", name, err)
	}
	return size, nil
}

func (d *Dir) append(ctx context.Context, name string, r io.Reader, limit int64) (int64, error) {
	if err := CheckName(name); err != nil {
		return 0, err
	}
	defer d.logs.lock(name)()
	f, err := d.openLog(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !fi.Mode().IsRegular() {
		return 0, ErrNotFile
	}
	n, err := io.Copy(f, io.LimitReader(ctxReader{ctx, r}, max(limit-fi.Size(), 0)))
	size := fi.Size() + n
	if err == nil && size >= limit {
		err = wantEOF(ctx, r, limit)
	}
	return size, errors.Join(err, f.Close())
}

func (d *Dir) openLog(name string) (*os.File, error) {
	d.names.Lock()
	defer d.names.Unlock()
	if err := d.root.MkdirAll(path.Dir(name), dirMode); err != nil {
		return nil, err
	}
	return d.root.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, fileMode)
}

// keyLock is a mutex for each name in use. The zero value is ready.
type keyLock struct {
	mu   sync.Mutex
	held map[string]*heldLock
}

type heldLock struct {
	mu    sync.Mutex
	users int
}

// lock waits for the name and returns how to let it go.
func (k *keyLock) lock(name string) (unlock func()) {
	k.mu.Lock()
	if k.held == nil {
		k.held = map[string]*heldLock{}
	}
	h := k.held[name]
	if h == nil {
		h = &heldLock{}
		k.held[name] = h
	}
	h.users++
	k.mu.Unlock()
	h.mu.Lock()
	return func() {
		h.mu.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		if h.users--; h.users == 0 {
			delete(k.held, name)
		}
	}
}
