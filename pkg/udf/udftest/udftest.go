// Package udftest makes small UDF 1.02 images for tests.
package udftest

import (
	"encoding/binary"
	"path"
	"slices"
	"strings"
	"unicode/utf16"
)

const (
	sector = 2048
	start  = 262 // sector of the partition
	short  = 100 // data of so many bytes is in the file entry itself
)

// Image returns an image of files by path, of UDF alone. A content that begins
// with "->" is a symbolic link to what follows. Directories come from the
// paths. Short files are kept in their entries, others in two extents.
func Image(files map[string]string) []byte {
	w := &writer{files: files, dirs: map[string][]string{"": nil}}
	for p := range files {
		w.add(p)
	}
	w.put(fileSet()) // block 0; the root's entry is block 1
	w.node("")
	return w.image()
}

type writer struct {
	files map[string]string
	dirs  map[string][]string // names in each
	out   []byte              // the partition
}

func (w *writer) add(p string) {
	dir, name := path.Split(p)
	dir = strings.TrimSuffix(dir, "/")
	if _, ok := w.dirs[dir]; !ok {
		w.add(dir)
		w.dirs[dir] = nil
	}
	if !slices.Contains(w.dirs[dir], name) {
		w.dirs[dir] = append(w.dirs[dir], name)
		slices.Sort(w.dirs[dir])
	}
}

// put takes the next blocks for data.
func (w *writer) put(data []byte) uint32 {
	at := len(w.out) / sector
	w.out = append(w.out, data...)
	w.out = append(w.out, make([]byte, (sector-len(w.out)%sector)%sector)...)
	return uint32(at)
}

// node writes a file, link or directory with all in it, and returns the block
// of its entry.
func (w *writer) node(p string) uint32 {
	at := w.put(make([]byte, sector))
	kind, data := byte(5), []byte(w.files[p])
	if names, ok := w.dirs[p]; ok {
		kind, data = 4, name("", at, 8|2)
		for _, n := range names {
			data = append(data, name(n, w.node(path.Join(p, n)), 0)...)
		}
	} else if to, ok := strings.CutPrefix(w.files[p], "->"); ok {
		kind, data = 12, nil
		for word := range strings.SplitSeq(to, "/") {
			if word == ".." {
				data = append(data, 3, 0, 0, 0)
			} else {
				data = append(append(data, 5, byte(len(word)+1), 0, 0, 8), word...)
			}
		}
	}
	b := w.entry(kind, data) // may move out
	copy(w.out[at*sector:], b)
	return at
}

// entry is a file entry, and writes what does not fit into it.
func (w *writer) entry(kind byte, data []byte) []byte {
	b := make([]byte, 176)
	b[27] = kind
	binary.LittleEndian.PutUint64(b[56:], uint64(len(data)))
	copy(b[84:], []byte{0, 0x10, 0xEA, 7, 1, 2, 3, 4, 5})
	rest := data
	if len(data) > short {
		half := min(len(data), (len(data)/2+sector-1)/sector*sector)
		rest = nil
		for _, part := range [][]byte{data[:half], data[half:]} {
			rest = binary.LittleEndian.AppendUint32(rest, uint32(len(part)))
			rest = binary.LittleEndian.AppendUint32(rest, w.put(part))
		}
	} else {
		b[34] = 3
	}
	binary.LittleEndian.PutUint32(b[172:], uint32(len(rest)))
	return tag(261, append(b, rest...))
}

// name is a file identifier.
func name(text string, at uint32, flags byte) []byte {
	var id []byte
	if text != "" {
		id = []byte{16}
		for _, u := range utf16.Encode([]rune(text)) {
			id = binary.BigEndian.AppendUint16(id, u)
		}
	}
	b := make([]byte, 38)
	b[18], b[19] = flags, byte(len(id))
	binary.LittleEndian.PutUint32(b[20:], sector)
	binary.LittleEndian.PutUint32(b[24:], at)
	b = append(b, id...)
	return tag(257, append(b, make([]byte, (4-len(b)%4)%4)...))
}

func fileSet() []byte {
	b := make([]byte, 512)
	binary.LittleEndian.PutUint32(b[400:], sector)
	binary.LittleEndian.PutUint32(b[404:], 1)
	return tag(256, b)
}

// tag fills in the tag of a descriptor.
func tag(id uint16, b []byte) []byte {
	binary.LittleEndian.PutUint16(b, id)
	b[2] = 2
	b[4] = Checksum(b)
	return b
}

// Checksum is what the fifth byte of a descriptor must be.
func Checksum(b []byte) (sum byte) {
	for i, v := range b[:16] {
		if i != 4 {
			sum += v
		}
	}
	return sum
}

func (w *writer) image() []byte {
	b := make([]byte, start*sector)
	for i, id := range []string{"BEA01", "NSR02", "TEA01"} {
		copy(b[(16+i)*sector+1:], id)
	}
	anchor, part, logical, end := make([]byte, 512), make([]byte, 512), make([]byte, 512), make([]byte, 512)
	binary.LittleEndian.PutUint32(anchor[16:], 3*sector)
	binary.LittleEndian.PutUint32(anchor[20:], 257)
	binary.LittleEndian.PutUint32(part[188:], start)
	binary.LittleEndian.PutUint32(part[192:], uint32(len(w.out)/sector))
	binary.LittleEndian.PutUint32(logical[212:], sector)
	binary.LittleEndian.PutUint32(logical[248:], sector)
	binary.LittleEndian.PutUint32(logical[264:], 6)
	binary.LittleEndian.PutUint32(logical[268:], 1)
	copy(logical[440:], []byte{1, 6, 1, 0, 0, 0})
	copy(b[256*sector:], tag(2, anchor))
	copy(b[257*sector:], tag(5, part))
	copy(b[258*sector:], tag(6, logical))
	copy(b[259*sector:], tag(8, end))
	return append(b, w.out...)
}
