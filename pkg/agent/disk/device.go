//go:build linux

package disk

import (
	"bytes"
	"fmt"
	"io"
	"unsafe"
)

const (
	mib = 1 << 20
	// blockSize is the unit in which an image is written, hashed and read back.
	blockSize = mib
	// zeroRange bounds one zero or discard request, so that a long one can be
	// canceled and shows progress.
	zeroRange = 64 * mib
	// directAlign satisfies O_DIRECT on disks of 512 and of 4096 byte sectors.
	directAlign = 4096
)

// device is a disk opened for this process alone. Offsets and lengths are
// multiples of Align; buffers come from alignedBuffer.
type device interface {
	io.ReaderAt // from the medium, never from the page cache
	io.WriterAt
	io.Closer
	geometry
	eraser
	settler
}

type geometry interface {
	Size() int64 // bytes
	Align() int  // logical sector size in bytes
}

type eraser interface {
	// Zero makes the range read as zeros.
	Zero(off, n int64) error
	// Discard tells the disk that the range is unused; what it then reads as is
	// up to the disk.
	Discard(off, n int64) error
}

type settler interface {
	// Flush brings everything written onto the medium.
	Flush() error
	// Reread makes the kernel read the partition table again.
	Reread() error
}

func (h Host) openDevice(d Disk) (device, error) {
	if h.open != nil {
		return h.open(d)
	}
	return openBlock(d.Path)
}

// alignedBuffer returns n bytes that O_DIRECT accepts.
func alignedBuffer(n int) []byte {
	b := make([]byte, n+directAlign)
	skip := directAlign - int(uintptr(unsafe.Pointer(&b[0]))%directAlign)
	return b[skip : skip+n : skip+n]
}

// edges are the ranges that make a disk bootable or found again: boot sector
// and partition table in front, the backup partition table and RAID metadata at
// the end (firmware restores a missing table from the backup).
func edges(size int64) [2][2]int64 {
	head := min(size, blockSize)
	tail := min(size-head, blockSize)
	return [2][2]int64{{0, head}, {size - tail, tail}}
}

// zeroEdges makes the disk unbootable and waits until it is.
func zeroEdges(dev device) error {
	for _, e := range edges(dev.Size()) {
		if e[1] == 0 {
			continue
		}
		if err := dev.Zero(e[0], e[1]); err != nil {
			return fmt.Errorf("clear %d bytes at offset %d: %w", e[1], e[0], err)
		}
	}
	if err := dev.Flush(); err != nil {
		return fmt.Errorf("flush cleared partition tables: %w", err)
	}
	return nil
}

// writeZeros writes zeros for devices that cannot zero by themselves.
func writeZeros(w io.WriterAt, zeros []byte, off, n int64) error {
	for n > 0 {
		m := min(n, int64(len(zeros)))
		if _, err := w.WriteAt(zeros[:m], off); err != nil {
			return err
		}
		off, n = off+m, n-m
	}
	return nil
}

// firstNonZero returns the index of the first byte of b that is not zero, or
// -1. zeros is at least as long as b.
func firstNonZero(b, zeros []byte) int {
	if bytes.Equal(b, zeros[:len(b)]) {
		return -1
	}
	for i, c := range b {
		if c != 0 {
			return i
		}
	}
	return -1
}
