// Package iso9660 reads ISO 9660 images (ECMA-119) with Rock Ridge (IEEE P1282)
// or Joliet names: what installation media come as.
//
// An image is not trusted: every extent must lie inside it, and depth, number
// of entries and the bytes of all files together are bounded.
package iso9660

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	sector      = 2048 // bytes of a logical sector
	firstVolume = 16   // sector of the first volume descriptor
	maxVolumes  = 64   // descriptors looked at
)

// Limits of one image.
const (
	MaxEntries = 500_000  // files, directories and links
	MaxDepth   = 64       // directories in each other
	maxDir     = 32 << 20 // bytes of the records of one directory
)

// Errors to test for with errors.Is.
var (
	ErrFormat = errors.New("not an ISO 9660 image")
	ErrLimit  = errors.New("over a limit of ISO 9660 images")
)

// Entry is a directory, a file or a symbolic link of an image.
type Entry struct {
	Path    string // from the root, slash-separated, as its names say
	Dir     bool
	Link    string // target of a symbolic link, "" if it is none
	Size    int64  // bytes, of a file
	ModTime time.Time

	parts []extent
}

// extent is a part of a file, or a directory.
type extent struct {
	at, size int64 // bytes
}

// Image is an open image.
type Image struct {
	r      io.ReaderAt
	size   int64
	root   record
	joliet bool
	skip   int  // bytes of each system use area before Rock Ridge's
	rock   bool // names are Rock Ridge's
	udf    bool
}

// Open reads the volume descriptors of an image of size bytes. Rock Ridge names
// are taken if there are any, else Joliet's, else the plain ones in lower case.
func Open(r io.ReaderAt, size int64) (*Image, error) {
	im := &Image{r: r, size: size}
	var plain, joliet *record
	for i := range int64(maxVolumes) {
		var b [sector]byte
		if _, err := r.ReadAt(b[:], (firstVolume+i)*sector); err != nil && (i == 0 || !errors.Is(err, io.EOF)) {
			return nil, fmt.Errorf("%w: read volume descriptor: %v", ErrFormat, err)
		} else if err != nil {
			break
		}
		id := string(b[1:6])
		if id == "NSR02" || id == "NSR03" {
			im.udf = true
		}
		if id != "CD001" {
			if i == 0 {
				return nil, fmt.Errorf("%w: no volume descriptor in sector %d", ErrFormat, firstVolume)
			}
			if im.udf || !strings.Contains("BEA01 TEA01 BOOT2", id) {
				break
			}
			continue
		}
		rec, err := parseRecord(b[156:190])
		switch {
		case b[0] == 1 && plain == nil && err == nil:
			plain = &rec
		case b[0] == 2 && joliet == nil && err == nil && isJoliet(b[88:120]):
			joliet = &rec
		}
	}
	if plain == nil {
		return nil, fmt.Errorf("%w: no primary volume descriptor", ErrFormat)
	}
	return im, im.choose(*plain, joliet)
}

func isJoliet(escape []byte) bool {
	return bytes.HasPrefix(escape, []byte("%/@")) || bytes.HasPrefix(escape, []byte("%/C")) || bytes.HasPrefix(escape, []byte("%/E"))
}

// choose takes the tree with the best names.
func (im *Image) choose(plain record, joliet *record) error {
	im.root = plain
	data, err := im.read(extent{plain.at(), int64(plain.size)}, maxDir)
	if err != nil {
		return err
	}
	if len(data) < 34 || int(data[0]) > len(data) {
		return fmt.Errorf("%w: the root directory is empty", ErrFormat)
	}
	self, err := parseRecord(data[:data[0]])
	if err != nil {
		return err
	}
	// SUSP 5.3: SP begins the system use area of the root's own record.
	if u := self.use; len(u) >= 7 && string(u[:2]) == "SP" && u[4] == 0xBE && u[5] == 0xEF {
		im.rock, im.skip = true, int(u[6])
		return nil
	}
	if joliet != nil {
		im.root, im.joliet = *joliet, true
	}
	return nil
}

// UDF says whether the image holds another file system of that kind, which
// package udf reads: images of Windows have nearly everything only there.
func (im *Image) UDF() bool { return im.udf }

// Rock says whether names are Rock Ridge's, and so as they were in full.
func (im *Image) Rock() bool { return im.rock }

// read returns an extent whole.
func (im *Image) read(e extent, limit int64) ([]byte, error) {
	if e.size > limit {
		return nil, fmt.Errorf("%w: %d bytes of directory, %d at most", ErrLimit, e.size, limit)
	}
	if err := im.inside(e); err != nil {
		return nil, err
	}
	b := make([]byte, e.size)
	if n, err := im.r.ReadAt(b, e.at); int64(n) < e.size {
		return nil, fmt.Errorf("read %d bytes at %d of the image: %w", e.size, e.at, err)
	}
	return b, nil
}

func (im *Image) inside(e extent) error {
	if e.at < 0 || e.size < 0 || e.at > im.size || e.size > im.size-e.at {
		return fmt.Errorf("%w: %d bytes at %d lie outside the image of %d bytes: is it complete?", ErrFormat, e.size, e.at, im.size)
	}
	return nil
}

// Open reads a file of the image.
func (im *Image) Open(e Entry) io.Reader {
	var list []io.Reader
	for _, p := range e.parts {
		list = append(list, io.NewSectionReader(im.r, p.at, p.size))
	}
	return io.MultiReader(list...)
}

// record is a directory record (ECMA-119 9.1).
type record struct {
	block, size uint32
	flags       byte
	name        []byte
	use         []byte // system use area
	when        time.Time
}

const (
	flagDir  = 0x02
	flagMore = 0x80 // another extent of the same file follows
)

func (r record) at() int64 { return int64(r.block) * sector }

func parseRecord(b []byte) (record, error) {
	if len(b) < 34 || int(b[0]) > len(b) || 33+int(b[32]) > len(b) {
		return record{}, fmt.Errorf("%w: a directory record is cut off", ErrFormat)
	}
	n := int(b[32])
	r := record{block: binary.LittleEndian.Uint32(b[2:]), size: binary.LittleEndian.Uint32(b[10:]), flags: b[25], name: b[33 : 33+n]}
	if skipXA := int(b[1]); skipXA > 0 { // an extended attribute record comes first
		r.block += uint32(skipXA)
	}
	r.when = time.Date(1900+int(b[18]), time.Month(b[19]), int(b[20]), int(b[21]), int(b[22]), int(b[23]), 0,
		time.FixedZone("", int(int8(b[24]))*15*60)).UTC()
	if n%2 == 0 {
		n++ // padded
	}
	if 33+n < len(b) {
		r.use = b[33+n:]
	}
	return r, nil
}
