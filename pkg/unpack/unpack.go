// Package unpack reads what files are packed into: tar, plain or compressed
// with gzip or zstd, zip, and images with ISO 9660 or UDF file systems.
//
// Archives are not trusted: a name that leads out of where it is unpacked
// refuses the whole, and number and bytes of files are bounded.
package unpack

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"drpd/pkg/blob"
	"drpd/pkg/iso9660"
	"drpd/pkg/udf"
)

// Errors to test for with errors.Is.
var (
	ErrFormat = errors.New("no archive that can be unpacked")
	ErrLimit  = errors.New("over a limit of archives")
)

// Limits of one archive.
type Limits struct {
	Entries int   // files and links, default DefaultEntries
	Bytes   int64 // of all files together, default DefaultBytes
}

// The defaults of Limits.
const (
	DefaultEntries = 100_000
	DefaultBytes   = 64 << 30
)

// Item is one file or symbolic link. Body is nil for a link, and ends with the
// call that got it.
type Item struct {
	Path string // slash-separated, checked: it stays where it is unpacked
	Link string // target of a symbolic link, as the archive has it
	Body io.Reader
}

// Each calls fn for each file and link of an archive, directories left out.
// What an archive is, its first bytes tell.
func Each(ctx context.Context, f *os.File, lim Limits, fn func(Item) error) error {
	if lim.Entries == 0 {
		lim.Entries = DefaultEntries
	}
	if lim.Bytes == 0 {
		lim.Bytes = DefaultBytes
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	w := &walk{ctx: ctx, lim: lim, left: lim.Bytes, fn: fn}
	head := make([]byte, 16*2048+6)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return w.read(head[:n], f, st.Size())
}

// walk is one look at an archive.
type walk struct {
	ctx   context.Context
	lim   Limits
	left  int64 // bytes
	count int
	fn    func(Item) error
}

// read looks for the magic numbers of what can be unpacked.
func (w *walk) read(head []byte, f *os.File, size int64) error {
	at := func(from int, magic string) bool {
		return len(head) >= from+len(magic) && bytes.Equal(head[from:from+len(magic)], []byte(magic))
	}
	switch {
	case at(0x8001, "CD001"):
		return ours(w.iso(f, size))
	case at(0x8001, "BEA01"), at(0x8001, "NSR0"):
		im, err := udf.Open(f, size)
		if err != nil {
			return ours(err)
		}
		return ours(w.udf(im))
	case at(0, "PK\x03\x04"), at(0, "PK\x05\x06"):
		return w.zip(f, size)
	case at(0, "\x1f\x8b"):
		z, err := gzip.NewReader(f)
		if err != nil {
			return fmt.Errorf("%w: %v", ErrFormat, err)
		}
		return w.tar(z)
	case at(0, "\x28\xb5\x2f\xfd"):
		z, err := zstd.NewReader(f, zstd.WithDecoderMaxWindow(128<<20), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return fmt.Errorf("%w: %v", ErrFormat, err)
		}
		defer z.Close()
		return w.tar(z)
	case at(257, "ustar"):
		return w.tar(f)
	}
	return fmt.Errorf("%w: it is neither tar (plain, gzip, zstd), zip, ISO 9660 nor UDF", ErrFormat)
}

func (w *walk) tar(r io.Reader) error {
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %v", ErrFormat, err)
		}
		switch h.Typeflag {
		case tar.TypeDir, tar.TypeXGlobalHeader:
			continue
		case tar.TypeReg:
			err = w.file(h.Name, h.Size, t)
		case tar.TypeSymlink:
			err = w.link(h.Name, h.Linkname)
		default:
			err = fmt.Errorf("%w: %q is of type %q: only files, directories and symbolic links are unpacked", ErrFormat, h.Name, h.Typeflag)
		}
		if err != nil {
			return err
		}
	}
}

func (w *walk) zip(f io.ReaderAt, size int64) error {
	z, err := zip.NewReader(f, size)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrFormat, err)
	}
	for _, e := range z.File {
		if strings.HasSuffix(e.Name, "/") {
			continue
		}
		if !e.Mode().IsRegular() {
			return fmt.Errorf("%w: %q is no plain file", ErrFormat, e.Name)
		}
		r, err := e.Open()
		if err != nil {
			return fmt.Errorf("%w: %s: %v", ErrFormat, e.Name, err)
		}
		if err := errors.Join(w.file(e.Name, int64(min(e.UncompressedSize64, 1<<62)), r), r.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) iso(f io.ReaderAt, size int64) error {
	im, err := iso9660.Open(f, size)
	if err != nil {
		return err
	}
	var noUDF error
	if im.UDF() && !im.Rock() { // what other file system there is has short names, or nothing
		u, err := udf.Open(f, size)
		if err == nil {
			return w.udf(u)
		}
		noUDF = err
	}
	err = im.Walk(func(e iso9660.Entry) error {
		return w.entry(e.Path, e.Link, e.Dir, e.Size, func() io.Reader { return im.Open(e) })
	})
	if err == nil && noUDF != nil && w.count < 2 {
		return fmt.Errorf("%w: its files are in a UDF file system: %w; unpack it elsewhere and upload a tar or zip", ErrFormat, noUDF)
	}
	return err
}

// ours makes what is wrong with an image an error of this package.
func ours(err error) error {
	switch {
	case errors.Is(err, ErrFormat), errors.Is(err, ErrLimit):
	case errors.Is(err, iso9660.ErrFormat), errors.Is(err, udf.ErrFormat):
		return fmt.Errorf("%w: %w", ErrFormat, err)
	case errors.Is(err, iso9660.ErrLimit), errors.Is(err, udf.ErrLimit):
		return fmt.Errorf("%w: %w", ErrLimit, err)
	}
	return err
}

func (w *walk) udf(im *udf.Image) error {
	return im.Walk(func(e udf.Entry) error {
		return w.entry(e.Path, e.Link, e.Dir, e.Size, func() io.Reader { return im.Open(e) })
	})
}

// entry is one of an image.
func (w *walk) entry(name, link string, dir bool, size int64, open func() io.Reader) error {
	switch {
	case dir:
		return w.ctx.Err()
	case link != "":
		return w.link(name, link)
	}
	return w.file(name, size, open())
}

// name checks a name and counts it.
func (w *walk) name(given string) (string, error) {
	if err := w.ctx.Err(); err != nil {
		return "", err
	}
	if w.count++; w.count > w.lim.Entries {
		return "", fmt.Errorf("%w: more than %d files", ErrLimit, w.lim.Entries)
	}
	name := strings.TrimPrefix(given, "./")
	if err := blob.CheckName(name); err != nil {
		return "", fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return path.Clean(name), nil
}

func (w *walk) file(given string, size int64, r io.Reader) error {
	name, err := w.name(given)
	if err != nil {
		return err
	}
	if size > w.left {
		return w.tooMuch()
	}
	in := &io.LimitedReader{R: packed{r}, N: w.left + 1} // sizes may lie
	before := in.N
	if err := w.fn(Item{Path: name, Body: in}); err != nil {
		return err
	}
	if w.left -= before - in.N; w.left < 0 {
		return w.tooMuch()
	}
	return nil
}

// packed says of what cannot be read to its end that the archive is broken.
type packed struct{ io.Reader }

func (p packed) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return n, err
}

func (w *walk) tooMuch() error {
	return fmt.Errorf("%w: its files have more than %d bytes in all", ErrLimit, w.lim.Bytes)
}

func (w *walk) link(given, target string) error {
	name, err := w.name(given)
	if err != nil {
		return err
	}
	return w.fn(Item{Path: name, Link: target})
}
