package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// block is a device on a kernel block device, opened with O_DIRECT, so that
// reads come from the disk, and O_EXCL, so that a mounted disk is refused.
type block struct {
	f     *os.File
	path  string
	size  int64
	align int
	zeros []byte // made on first need
}

func openBlock(path string) (*block, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_DIRECT|unix.O_EXCL|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EBUSY) {
		return nil, fmt.Errorf("open %s: in use (mounted, or part of a RAID or volume group): %w", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open disk: %w", err)
	}
	b := &block{f: f, path: path}
	if b.size, err = f.Seek(0, io.SeekEnd); err == nil {
		b.align, err = unix.IoctlGetInt(int(f.Fd()), unix.BLKSSZGET)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("read geometry of %s: %w", path, err)
	}
	return b, nil
}

func (b *block) ReadAt(p []byte, off int64) (int, error)  { return b.f.ReadAt(p, off) }
func (b *block) WriteAt(p []byte, off int64) (int, error) { return b.f.WriteAt(p, off) }
func (b *block) Close() error                             { return b.f.Close() }
func (b *block) Size() int64                              { return b.size }
func (b *block) Align() int                               { return b.align }

// Zero uses the disk's or the kernel's own zeroing and falls back to writing
// where neither exists.
func (b *block) Zero(off, n int64) error {
	err := b.rangeIoctl(unix.BLKZEROOUT, off, n)
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOTTY) {
		return err
	}
	if b.zeros == nil {
		b.zeros = alignedBuffer(blockSize)
	}
	return writeZeros(b.f, b.zeros, off, n)
}

func (b *block) Discard(off, n int64) error { return b.rangeIoctl(unix.BLKDISCARD, off, n) }

func (b *block) rangeIoctl(req uintptr, off, n int64) error {
	arg := [2]uint64{uint64(off), uint64(n)}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, b.f.Fd(), req, uintptr(unsafe.Pointer(&arg)))
	if errno != 0 {
		return &os.PathError{Op: fmt.Sprintf("ioctl %#x", req), Path: b.path, Err: errno}
	}
	return nil
}

// Flush syncs and then drops what the kernel's buffer cache holds of the disk.
func (b *block) Flush() error {
	if err := b.f.Sync(); err != nil {
		return err
	}
	return b.plainIoctl(unix.BLKFLSBUF)
}

func (b *block) Reread() error { return b.plainIoctl(unix.BLKRRPART) }

func (b *block) plainIoctl(req uintptr) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, b.f.Fd(), req, 0); errno != 0 {
		return &os.PathError{Op: fmt.Sprintf("ioctl %#x", req), Path: b.path, Err: errno}
	}
	return nil
}
