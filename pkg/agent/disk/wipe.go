//go:build linux

package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Ways to wipe a disk.
const (
	WipeZero    = "zero"    // let disk or kernel write zeros; fast where the disk can
	WipeDiscard = "discard" // tell the disk that all is unused; proves nothing unless VerifyBlank passes
	WipeWrite   = "write"   // write zeros over everything
	WipeErase   = "erase"   // the drive erases itself where it can, by its own record; else as zero
)

// wipeBlock is the unit of plain writing and of reading back; larger brings no
// more speed on any disk.
const wipeBlock = 4 * mib

// Wipe asks for disks to be erased.
type Wipe struct {
	Wants     []Want
	Protected []string // serials and WWNs never to be written
	Mode      string   // one of the Wipe constants
	Log       io.Writer
}

// Wipe erases the disks named and no others, all at the same time. All are
// checked and opened before the first is touched. The reports are in the order
// of w.Wants; after an error they say how far each came.
func (h Host) Wipe(ctx context.Context, w Wipe) ([]Report, error) {
	log := &lockedWriter{w: w.Log}
	var erase func(context.Context, *pass) error
	switch w.Mode {
	case WipeZero:
		erase = func(ctx context.Context, p *pass) error { return p.ranges(ctx, "wipe", p.dev.Zero) }
	case WipeDiscard:
		erase = discard
	case WipeWrite:
		erase = overwrite
	case WipeErase:
		erase = h.eraseOrZero
	default:
		return nil, fmt.Errorf("wipe: %w", refuse("mode %q is not zero, discard, write or erase", w.Mode))
	}
	passes, err := h.passes(w.Wants, w.Protected, log)
	if err != nil {
		return nil, fmt.Errorf("wipe: %w", err)
	}
	method := "overwrite" // zeros, written by the kernel or by the disk at its word
	if w.Mode == WipeDiscard {
		method = WipeDiscard
	}
	return runPasses(ctx, "wipe", passes, func(ctx context.Context, p *pass) error {
		p.rep.Method = method
		if err := zeroEdges(p.dev); err != nil {
			return err
		}
		if err := erase(ctx, p); err != nil {
			return err
		}
		if err := p.dev.Flush(); err != nil {
			return fmt.Errorf("flush: %w", err)
		}
		// An old partition node would outlive its data; not fatal.
		if err := p.dev.Reread(); err != nil {
			fmt.Fprintf(log, "wipe %s: reread partitions: %v\n", p.rep.Disk.Name, err)
		}
		return nil
	})
}

// pass is one operation over the whole of one disk.
type pass struct {
	dev device
	rep Report
	log io.Writer
}

// passes checks and opens all disks, or none.
func (h Host) passes(wants []Want, protected []string, log io.Writer) ([]*pass, error) {
	disks, err := h.List()
	if err != nil {
		return nil, refuse("%s", err)
	}
	if len(wants) == 0 {
		return nil, refuse("no disk named")
	}
	var found []Disk
	seen := map[string]Want{}
	for _, w := range wants {
		d, err := target(disks, w, protected)
		if err != nil {
			return nil, err
		}
		if other, dup := seen[d.Name]; dup {
			return nil, refuse("%s and %s are the same disk %s", other, w, d.Name)
		}
		seen[d.Name] = w
		found = append(found, d)
	}
	return h.openAll(found, log)
}

func (h Host) openAll(disks []Disk, log io.Writer) ([]*pass, error) {
	var passes []*pass
	for _, d := range disks {
		dev, err := h.openSized(d)
		if err != nil {
			for _, p := range passes {
				p.dev.Close()
			}
			return nil, err
		}
		passes = append(passes, &pass{dev: dev, rep: Report{Disk: d}, log: log})
	}
	return passes, nil
}

// runPasses does work on all disks at once; the failure of one does not stop
// the others.
func runPasses(ctx context.Context, what string, passes []*pass, work func(context.Context, *pass) error) ([]Report, error) {
	errs := make([]error, len(passes))
	reports := make([]Report, len(passes))
	var wg sync.WaitGroup
	for i, p := range passes {
		wg.Go(func() {
			defer p.dev.Close()
			start := time.Now()
			if err := work(ctx, p); err != nil {
				errs[i] = fmt.Errorf("%s %s (serial %s): %w", what, p.rep.Disk.Path, p.rep.Disk.Serial, err)
				p.rep.Error = err.Error()
			}
			p.rep.Seconds = time.Since(start).Seconds()
			reports[i] = p.rep
		})
	}
	wg.Wait()
	return reports, errors.Join(errs...)
}

// ranges calls do for consecutive ranges of the disk.
func (p *pass) ranges(ctx context.Context, what string, do func(off, n int64) error) error {
	size := p.dev.Size()
	bar := newProgress(p.log, what+" "+p.rep.Disk.Name, size)
	for off := int64(0); off < size; off += zeroRange {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(zeroRange, size-off)
		if err := do(off, n); err != nil {
			return fmt.Errorf("%s %d bytes at offset %d: %w", what, n, off, err)
		}
		p.rep.Bytes += n
		bar.add(n)
	}
	bar.finish()
	return nil
}

// discard drops everything; the edges are then zeroed once more because a disk
// may bring back old data for discarded sectors.
func discard(ctx context.Context, p *pass) error {
	if err := p.ranges(ctx, "discard", p.dev.Discard); err != nil {
		return err
	}
	return zeroEdges(p.dev)
}

func overwrite(ctx context.Context, p *pass) error {
	zeros := alignedBuffer(wipeBlock)
	return p.ranges(ctx, "overwrite", func(off, n int64) error {
		return writeZeros(p.dev, zeros, off, n)
	})
}
