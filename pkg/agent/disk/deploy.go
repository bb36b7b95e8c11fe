//go:build linux

package disk

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"
)

// Deploy asks for a disk image to be written.
type Deploy struct {
	Want      Want
	Image     io.Reader // zstd stream
	SHA256    string    // of the compressed stream, hex
	RawSize   int64     // bytes of the image when decompressed
	Protected []string  // serials and WWNs never to be written
	Log       io.Writer // progress lines; may be nil
}

// Report says what was done to one disk.
type Report struct {
	Disk     Disk
	Bytes    int64 // bytes written or checked, zeros included
	NonZero  int64 // bytes of blocks that held data
	Seconds  float64
	SHA256   string  // of the compressed stream that was read
	Verified bool    // all of it was read back and found right
	Method   string  // of a wipe: overwrite, sanitize, crypto-erase or discard
	Record   string  // the drive's own record that it erased itself
	Samples  []int64 // offsets, in bytes, of blocks that were read back and found blank
	Error    string  // why it was not done, "" if it was
}

// Deploy writes the image to the disk that d names. The disk stays unbootable
// (first and last MiB zero) until the whole stream has arrived with the right
// checksum and length and all of it was read back from the disk; after a
// failure it is left so. An error for which IsRefusal holds means that the disk
// was not touched.
func (h Host) Deploy(ctx context.Context, d Deploy) (Report, error) {
	dev, disk, err := h.prepare(d)
	if err != nil {
		return Report{Disk: disk}, fmt.Errorf("deploy to %s: %w", d.Want, err)
	}
	defer dev.Close()
	start := time.Now()
	j := &deployment{Deploy: d, dev: dev, rep: Report{Disk: disk}}
	if err = zeroEdges(dev); err == nil {
		err = j.run(ctx)
	}
	if err != nil {
		err = errors.Join(err, zeroEdges(dev))
		return j.rep, fmt.Errorf("deploy to %s (%s): %w", disk.Path, d.Want, err)
	}
	j.rep.Seconds = time.Since(start).Seconds()
	return j.rep, nil
}

// prepare makes every check that needs no image data.
func (h Host) prepare(d Deploy) (device, Disk, error) {
	if d.RawSize <= 0 {
		return nil, Disk{}, refuse("raw size of the image is unknown")
	}
	if raw, err := hex.DecodeString(d.SHA256); err != nil || len(raw) != 32 {
		return nil, Disk{}, refuse("%q is no SHA-256 of the image", d.SHA256)
	}
	if d.Image == nil {
		return nil, Disk{}, refuse("no image stream")
	}
	disks, err := h.List()
	if err != nil {
		return nil, Disk{}, refuse("%s", err)
	}
	disk, err := target(disks, d.Want, d.Protected)
	if err != nil {
		return nil, Disk{}, err
	}
	if disk.Size < d.RawSize {
		return nil, disk, refuse("disk %s has %d bytes, the image needs %d", disk.Name, disk.Size, d.RawSize)
	}
	dev, err := h.openSized(disk)
	return dev, disk, err
}

// openSized opens the disk and makes sure that it is the one sysfs told of: a
// node with another size belongs to another disk.
func (h Host) openSized(d Disk) (device, error) {
	dev, err := h.openDevice(d)
	if err != nil {
		return nil, refuse("%s", err)
	}
	if dev.Size() != d.Size {
		dev.Close()
		return nil, refuse("%s has %d bytes, sysfs says %d", d.Path, dev.Size(), d.Size)
	}
	return dev, nil
}
