//go:build linux

package disk

import (
	"context"
	"fmt"
	"io"
)

// VerifyBlank reads every byte of the disks named, from the medium, and fails
// for each disk that holds anything but zeros, naming the offset of the first
// such byte. Report.Bytes counts what was read and found zero.
func (h Host) VerifyBlank(ctx context.Context, wants []Want, log io.Writer) ([]Report, error) {
	passes, err := h.passes(wants, nil, &lockedWriter{w: log})
	if err != nil {
		return nil, fmt.Errorf("verify blank: %w", err)
	}
	return runPasses(ctx, "verify blank", passes, func(ctx context.Context, p *pass) error {
		if err := p.verifyBlank(ctx); err != nil {
			return err
		}
		p.rep.Verified = true
		return nil
	})
}

// samples is how many places of a disk a report names, evenly spread.
const samples = 64

func (p *pass) verifyBlank(ctx context.Context) error {
	size := p.dev.Size()
	bar := newProgress(p.log, "verify blank "+p.rep.Disk.Name, size)
	buf, zeros := alignedBuffer(wipeBlock), make([]byte, wipeBlock)
	for off := int64(0); off < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(wipeBlock, size-off)]
		if _, err := p.dev.ReadAt(b, off); err != nil {
			return fmt.Errorf("read %d bytes at offset %d: %w", len(b), off, err)
		}
		if i := firstNonZero(b, zeros); i >= 0 {
			return fmt.Errorf("byte at offset %d is %#02x, not zero", off+int64(i), b[i])
		}
		if off*samples/size >= int64(len(p.rep.Samples)) {
			p.rep.Samples = append(p.rep.Samples, off)
		}
		off += int64(len(b))
		p.rep.Bytes = off
		bar.add(int64(len(b)))
	}
	bar.finish()
	return nil
}
