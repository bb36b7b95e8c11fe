//go:build linux

package disk

import (
	"bytes"
	"context"
	"fmt"
)

// readBack compares every block on the disk with what was received.
func (j *deployment) readBack(ctx context.Context) error {
	p := newProgress(j.Log, "read back "+j.rep.Disk.Name, j.RawSize)
	buf := alignedBuffer(blockSize)
	for i, sum := range j.sums {
		if err := ctx.Err(); err != nil {
			return err
		}
		off := int64(i) * blockSize
		n := int(min(blockSize, j.RawSize-off))
		b := buf[:j.sectors(n)]
		if _, err := j.dev.ReadAt(b, off); err != nil {
			return fmt.Errorf("read back %d bytes at offset %d: %w", len(b), off, err)
		}
		if err := j.compare(b, sum, off); err != nil {
			return err
		}
		p.add(int64(n))
	}
	p.finish()
	return nil
}

func (j *deployment) compare(b []byte, sum uint64, off int64) error {
	if sum == 0 {
		if i := firstNonZero(b, j.zeros); i >= 0 {
			return fmt.Errorf("read back: byte at offset %d is %#02x, wrote zero", off+int64(i), b[i])
		}
		return nil
	}
	if blockSum(b) != sum {
		return fmt.Errorf("read back: block of %d bytes at offset %d is not what was written", len(b), off)
	}
	return nil
}

// makeBootable writes what was held back: the backup partition table at the end
// of the disk and then the first block.
func (j *deployment) makeBootable() error {
	if len(j.head) == 0 {
		return nil
	}
	head, backup := j.head, []byte(nil)
	size := j.dev.Size()
	if j.RawSize < size {
		backup = moveBackupGPT(head, j.dev.Align(), size, j.RawSize)
	}
	if backup != nil {
		if err := j.writeChecked(backup, size-int64(len(backup))); err != nil {
			return fmt.Errorf("backup partition table: %w", err)
		}
	}
	if err := j.writeChecked(head, 0); err != nil {
		return fmt.Errorf("boot sector and partition table: %w", err)
	}
	return nil
}

// writeChecked writes b, flushes and reads it back.
func (j *deployment) writeChecked(b []byte, off int64) error {
	if _, err := j.dev.WriteAt(b, off); err != nil {
		return fmt.Errorf("write %d bytes at offset %d: %w", len(b), off, err)
	}
	if err := j.dev.Flush(); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	got := alignedBuffer(len(b))
	if _, err := j.dev.ReadAt(got, off); err != nil {
		return fmt.Errorf("read back %d bytes at offset %d: %w", len(b), off, err)
	}
	if !bytes.Equal(got, b) {
		return fmt.Errorf("read back: %d bytes at offset %d are not what was written", len(b), off)
	}
	return nil
}
