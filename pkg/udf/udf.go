// Package udf reads UDF images (ECMA-167, OSTA UDF 1.02 to 2.50) on plain
// partitions with sectors of 2,048 bytes: what installation media of Windows
// and of some vendors come as.
//
// An image is not trusted: every extent must lie inside it, and depth, number
// of entries and the bytes of all files together are bounded. Not read, and
// said so: virtual, sparable and metadata partitions, which are for media that
// are written to in place.
package udf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

const sector = 2048 // bytes of a sector and of a logical block

// Limits of one image.
const (
	MaxEntries  = 500_000  // files, directories and links
	MaxDepth    = 64       // directories in each other
	maxDir      = 32 << 20 // bytes of one directory
	maxLink     = 4096     // bytes of a link's target
	maxExtents  = 4096     // of one file
	maxHops     = 100_000  // blocks of addresses of all files together
	maxVolume   = 256      // descriptors of a volume looked at
	maxPartMaps = 16       // partitions of a volume
)

// Errors to test for with errors.Is.
var (
	ErrFormat = errors.New("not a UDF image that can be read")
	ErrLimit  = errors.New("over a limit of UDF images")
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

// extent is a part of a file. One without a place is a hole: zeros.
type extent struct {
	at, size int64 // bytes
	hole     bool
}

// Image is an open image.
type Image struct {
	r     io.ReaderAt
	size  int64
	parts map[uint16]extent // partitions by their number
	maps  []uint16          // partition number by reference
	root  address
	hops  int // blocks of further addresses read
}

// address is a place in a partition (long_ad, ECMA-167 4/14.14.2).
type address struct {
	size  uint32 // bytes; the upper two bits are its kind
	block uint32
	ref   uint16 // index of the partition
}

// The tags of descriptors (ECMA-167 3/7.2.1 and 4/7.2.1).
const (
	tagAnchor     = 2
	tagPartition  = 5
	tagLogical    = 6
	tagTerminator = 8
	tagFileSet    = 256
	tagName       = 257
	tagExtents    = 258
	tagFile       = 261
	tagExtFile    = 266
)

// Open finds the root directory of an image of size bytes.
func Open(r io.ReaderAt, size int64) (*Image, error) {
	im := &Image{r: r, size: size, parts: map[uint16]extent{}}
	anchor, err := im.anchor()
	if err != nil {
		return nil, err
	}
	set, err := im.volume(place(anchor[16:]))
	if err != nil {
		copied, worse := im.volume(place(anchor[24:]))
		if worse != nil {
			return nil, err // the first says more
		}
		set = copied
	}
	data, err := im.block(set)
	if err != nil {
		return nil, fmt.Errorf("file set: %w", err)
	}
	if tagOf(data) != tagFileSet {
		return nil, fmt.Errorf("%w: no file set descriptor in block %d", ErrFormat, set.block)
	}
	im.root = longAddress(data[400:])
	return im, nil
}

// anchor is the descriptor that everything hangs on: in sector 256, else at
// the end.
func (im *Image) anchor() ([]byte, error) {
	last := im.size/sector - 1
	for _, n := range []int64{256, last, last - 256} {
		b, err := im.read(extent{at: n * sector, size: sector})
		if err == nil && tagOf(b) == tagAnchor {
			return b, nil
		}
	}
	return nil, fmt.Errorf("%w: no anchor in sector 256 or at the end", ErrFormat)
}

// place is an extent of the volume, outside of partitions.
func place(b []byte) extent {
	return extent{at: int64(binary.LittleEndian.Uint32(b[4:])) * sector, size: int64(binary.LittleEndian.Uint32(b))}
}

// volume reads the descriptors of a volume; it returns where the file set is.
func (im *Image) volume(in extent) (set address, err error) {
	var logical []byte
	for i := int64(0); i < min(in.size/sector, maxVolume); i++ {
		b, err := im.read(extent{at: in.at + i*sector, size: sector})
		if err != nil {
			return set, err
		}
		switch tagOf(b) {
		case tagPartition:
			im.parts[binary.LittleEndian.Uint16(b[22:])] = extent{at: int64(binary.LittleEndian.Uint32(b[188:])) * sector,
				size: int64(binary.LittleEndian.Uint32(b[192:])) * sector}
		case tagLogical:
			logical = b
		case tagTerminator:
			i = maxVolume
		}
	}
	if logical == nil {
		return set, fmt.Errorf("%w: no logical volume descriptor", ErrFormat)
	}
	if n := binary.LittleEndian.Uint32(logical[212:]); n != sector {
		return set, fmt.Errorf("%w: its blocks have %d bytes, only %d are read", ErrFormat, n, sector)
	}
	return longAddress(logical[248:]), im.partitions(logical)
}

// partitions reads which partitions the volume is made of.
func (im *Image) partitions(logical []byte) error {
	n, maps := binary.LittleEndian.Uint32(logical[268:]), logical[440:]
	im.maps = nil
	for range min(n, maxPartMaps) {
		if len(maps) < 6 || int(maps[1]) < 6 || int(maps[1]) > len(maps) {
			return fmt.Errorf("%w: a partition map is cut off", ErrFormat)
		}
		one := maps[:maps[1]]
		maps = maps[maps[1]:]
		if one[0] != 1 {
			what := "unknown"
			if len(one) >= 28 {
				what = fmt.Sprintf("%.23q", one[5:28])
			}
			return fmt.Errorf("%w: a partition is of type %s, only plain ones are read", ErrFormat, what)
		}
		im.maps = append(im.maps, binary.LittleEndian.Uint16(one[4:]))
	}
	return nil
}

// Open reads a file of the image.
func (im *Image) Open(e Entry) io.Reader {
	var list []io.Reader
	for _, p := range e.parts {
		if p.hole {
			list = append(list, io.LimitReader(zeros{}, p.size))
		} else {
			list = append(list, io.NewSectionReader(im.r, p.at, p.size))
		}
	}
	return io.MultiReader(list...)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// tagOf is the kind of a descriptor, 0 if its tag does not check.
func tagOf(b []byte) uint16 {
	if len(b) < 16 {
		return 0
	}
	var sum byte
	for i, v := range b[:16] {
		if i != 4 {
			sum += v
		}
	}
	if sum != b[4] {
		return 0
	}
	return binary.LittleEndian.Uint16(b)
}

func longAddress(b []byte) address {
	return address{binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint16(b[8:])}
}
