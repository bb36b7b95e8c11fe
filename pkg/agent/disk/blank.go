//go:build linux

package disk

import (
	"context"
	"fmt"
	"io"
)

// WholeRead is the size in bytes up to which a disk is read back as a whole.
// Of a larger one places all over it are read: reading a large disk takes a day,
// and shows no more of a drive that says it has written.
const WholeRead = 64 << 30

// places is how many are read of a disk that is larger, in MiB.
const places = 4096

// VerifyBlank reads the disks named back from the medium, and fails for each
// that holds anything but zeros, naming the offset of the first such byte: all of
// a disk up to WholeRead, else its first and last MiB and 4,094 more, evenly
// spread. Report.Bytes counts what was read and found zero.
func (h Host) VerifyBlank(ctx context.Context, wants []Want, log io.Writer) ([]Report, error) {
	passes, err := h.passes(wants, nil, &lockedWriter{w: log})
	if err != nil {
		return nil, fmt.Errorf("verify blank: %w", err)
	}
	return runPasses(ctx, "verify blank", passes, func(ctx context.Context, p *pass) error {
		err := p.verifyBlank(ctx, p.span())
		p.rep.Verified = err == nil
		return err
	})
}

// samples is how many places of a disk a report names, evenly spread.
const samples = 64

// span says what is read: so many bytes at every step.
type span struct{ block, step int64 }

// span is whole blocks for what is read as a whole.
func (p *pass) span() span {
	if size := p.dev.Size(); size > WholeRead {
		return span{mib, (size - mib) / (places - 1)}
	}
	return span{wipeBlock, wipeBlock}
}

func (p *pass) verifyBlank(ctx context.Context, sp span) error {
	size := p.dev.Size()
	bar := newProgress(p.log, "verify blank "+p.rep.Disk.Name, p.toRead(sp))
	buf, zeros := alignedBuffer(int(sp.block)), make([]byte, sp.block)
	for n := int64(0); ; n++ {
		off := n * sp.step
		if sp.block < sp.step { // places begin where sectors do; the last ends with the disk
			off -= off % directAlign
			if n == places-1 {
				off = size - sp.block - size%int64(p.dev.Align())
			}
		}
		if off >= size || sp.block < sp.step && n == places {
			break
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(sp.block, size-off)]
		if err := p.blankAt(b, zeros, off); err != nil {
			return err
		}
		if off*samples/size >= int64(len(p.rep.Samples)) {
			p.rep.Samples = append(p.rep.Samples, off)
		}
		p.rep.Bytes += int64(len(b))
		bar.add(int64(len(b)))
	}
	bar.finish()
	return nil
}

func (p *pass) toRead(sp span) int64 {
	if sp.block < sp.step {
		return places * sp.block
	}
	return p.dev.Size()
}

func (p *pass) blankAt(b, zeros []byte, off int64) error {
	if _, err := p.dev.ReadAt(b, off); err != nil {
		return fmt.Errorf("read %d bytes at offset %d: %w", len(b), off, err)
	}
	if i := firstNonZero(b, zeros); i >= 0 {
		return fmt.Errorf("byte at offset %d is %#02x, not zero", off+int64(i), b[i])
	}
	return nil
}
