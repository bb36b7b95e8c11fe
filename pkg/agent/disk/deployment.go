//go:build linux

package disk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the decoder's memory; it is what `zstd --long` (27) needs.
const maxWindow = 128 * mib

// deployment is one Deploy under way.
type deployment struct {
	Deploy
	dev  device
	rep  Report
	head []byte   // first block, written last
	sums []uint64 // hash of each block as it should be on disk, 0 for zeros

	zeros            []byte
	zeroOff, zeroLen int64 // zero blocks not yet on disk
}

func (j *deployment) run(ctx context.Context) error {
	j.zeros = alignedBuffer(blockSize)
	if err := j.receive(ctx); err != nil {
		return err
	}
	if err := j.dev.Flush(); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	if err := j.readBack(ctx); err != nil {
		return err
	}
	if err := j.makeBootable(); err != nil {
		return err
	}
	j.rep.Verified = true
	return nil
}

// receive decodes the stream onto the disk, all but its first block, and checks
// length and checksum.
func (j *deployment) receive(ctx context.Context) error {
	hash := sha256.New()
	dec, err := zstd.NewReader(io.TeeReader(j.Image, hash), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return fmt.Errorf("read image: %w", err)
	}
	defer dec.Close()
	if err := j.writeAll(ctx, dec); err != nil {
		return err
	}
	j.rep.SHA256 = hex.EncodeToString(hash.Sum(nil))
	if !strings.EqualFold(j.rep.SHA256, j.Deploy.SHA256) {
		return fmt.Errorf("image checksum is %s, expected %s", j.rep.SHA256, j.Deploy.SHA256)
	}
	if j.rep.Bytes != j.RawSize {
		return fmt.Errorf("image has %d bytes, expected %d", j.rep.Bytes, j.RawSize)
	}
	return nil
}

func (j *deployment) writeAll(ctx context.Context, src io.Reader) error {
	p := newProgress(j.Log, "write "+j.rep.Disk.Name, j.RawSize)
	buf := alignedBuffer(blockSize)
	for eof := false; !eof; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := fill(src, buf)
		eof = errors.Is(err, io.EOF)
		if err != nil && !eof {
			return fmt.Errorf("image stream at offset %d: %w", j.rep.Bytes+int64(n), err)
		}
		if j.rep.Bytes+int64(n) > j.RawSize {
			return fmt.Errorf("image is longer than its %d bytes", j.RawSize)
		}
		if n == 0 {
			break
		}
		if err := j.writeBlock(j.rep.Bytes, j.pad(buf, n)); err != nil {
			return err
		}
		j.rep.Bytes += int64(n)
		p.add(int64(n))
	}
	p.finish()
	return j.flushZeros()
}

// fill reads until buf is full or the source ends. Unlike io.ReadFull it keeps
// a decoder's "unexpected EOF" apart from a short last block.
func fill(src io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = src.Read(buf[n:])
		n += m
	}
	return n, err
}

// pad extends a short last block with zeros to whole sectors.
func (j *deployment) pad(buf []byte, n int) []byte {
	b := buf[:j.sectors(n)]
	clear(b[n:])
	return b
}

// sectors rounds n bytes up to whole sectors.
func (j *deployment) sectors(n int) int {
	align := j.dev.Align()
	return (n + align - 1) / align * align
}

// writeBlock puts one block on disk, or aside if it is the first.
func (j *deployment) writeBlock(off int64, b []byte) error {
	isZero := bytes.Equal(b, j.zeros[:len(b)])
	if !isZero {
		j.rep.NonZero += int64(len(b))
	}
	if off == 0 {
		j.head = alignedBuffer(len(b))
		copy(j.head, b)
		j.sums = append(j.sums, 0) // the disk holds zeros there for now
		return nil
	}
	if isZero {
		j.sums = append(j.sums, 0)
		return j.addZeros(off, int64(len(b)))
	}
	j.sums = append(j.sums, blockSum(b))
	if err := j.flushZeros(); err != nil {
		return err
	}
	if _, err := j.dev.WriteAt(b, off); err != nil {
		return fmt.Errorf("write %d bytes at offset %d: %w", len(b), off, err)
	}
	return nil
}

// addZeros gathers neighboring zero blocks. They are written too: what was on
// the disk before must not shine through.
func (j *deployment) addZeros(off, n int64) error {
	if j.zeroLen == 0 {
		j.zeroOff = off
	}
	if j.zeroLen += n; j.zeroLen >= zeroRange {
		return j.flushZeros()
	}
	return nil
}

func (j *deployment) flushZeros() error {
	if j.zeroLen == 0 {
		return nil
	}
	if err := j.dev.Zero(j.zeroOff, j.zeroLen); err != nil {
		return fmt.Errorf("zero %d bytes at offset %d: %w", j.zeroLen, j.zeroOff, err)
	}
	j.zeroLen = 0
	return nil
}

// blockSum never returns 0, which stands for a block of zeros.
func blockSum(b []byte) uint64 { return max(xxhash.Sum64(b), 1) }
