// Package isotest makes small ISO 9660 images with Rock Ridge names, for tests.
package isotest

import (
	"bytes"
	"encoding/binary"
	"path"
	"slices"
	"strings"
)

const sector = 2048

// Image returns an image of files by path. A content that begins with "->" is a
// symbolic link to what follows. Directories come from the paths.
func Image(files map[string]string) []byte {
	w := &writer{next: 18, dirs: map[string][]string{"": nil}, files: files, at: map[string]uint32{}, out: map[uint32][]byte{}}
	for p := range files {
		w.add(p)
	}
	for _, d := range w.names() {
		slices.Sort(w.dirs[d])
		w.at[d] = w.take(8 * sector) // room enough for a test's directory
	}
	for p, text := range files {
		if !strings.HasPrefix(text, "->") {
			w.at[p] = w.take(len(text))
			w.out[w.at[p]] = []byte(text)
		}
	}
	for _, d := range w.names() {
		w.out[w.at[d]] = w.dir(d)
	}
	return w.image()
}

type writer struct {
	next  uint32
	dirs  map[string][]string // names in each
	files map[string]string
	at    map[string]uint32
	out   map[uint32][]byte
}

func (w *writer) names() []string {
	var out []string
	for d := range w.dirs {
		out = append(out, d)
	}
	slices.Sort(out)
	return out
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
	}
}

func (w *writer) take(size int) uint32 {
	at := w.next
	w.next += uint32((size + sector - 1) / sector)
	return at
}

func (w *writer) dir(d string) []byte {
	sp := []byte{'S', 'P', 7, 1, 0xBE, 0xEF, 0}
	b := append(record("\x00", w.at[d], 8*sector, 2, sp), record("\x01", w.at[d], 8*sector, 2, nil)...)
	for i, name := range w.dirs[d] {
		p := strings.TrimPrefix(d+"/"+name, "/")
		use := append([]byte{'N', 'M', byte(5 + len(name)), 1, 0}, name...)
		size, flags := 8*sector, byte(2)
		if text, ok := w.files[p]; ok {
			size, flags = len(text), 0
			if to, link := strings.CutPrefix(text, "->"); link {
				size, use = 0, append(use, slink(to)...)
			}
		}
		short := "F" + string(rune('A'+i%26)) + string(rune('A'+i/26)) + ";1"
		rec := record(short, w.at[p], size, flags, use)
		if len(b)%sector+len(rec) > sector { // records do not cross sectors
			b = append(b, make([]byte, sector-len(b)%sector)...)
		}
		b = append(b, rec...)
	}
	return append(b, make([]byte, 8*sector-len(b))...)
}

func slink(to string) []byte {
	var parts []byte
	for p := range strings.SplitSeq(to, "/") {
		switch p {
		case "..":
			parts = append(parts, 4, 0)
		case "":
			parts = append(parts, 8, 0)
		default:
			parts = append(append(parts, 0, byte(len(p))), p...)
		}
	}
	return append([]byte{'S', 'L', byte(5 + len(parts)), 1, 0}, parts...)
}

func record(name string, at uint32, size int, flags byte, use []byte) []byte {
	b := make([]byte, 33)
	binary.LittleEndian.PutUint32(b[2:], at)
	binary.BigEndian.PutUint32(b[6:], at)
	binary.LittleEndian.PutUint32(b[10:], uint32(size))
	binary.BigEndian.PutUint32(b[14:], uint32(size))
	copy(b[18:], []byte{120, 1, 2, 3, 4, 5, 0})
	b[25], b[32] = flags, byte(len(name))
	b = append(b, name...)
	if len(name)%2 == 0 {
		b = append(b, 0)
	}
	b = append(b, use...)
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	b[0] = byte(len(b))
	return b
}

func (w *writer) image() []byte {
	pvd, end := make([]byte, sector), make([]byte, sector)
	pvd[0], pvd[6], end[0], end[6] = 1, 1, 255, 1
	copy(pvd[1:], "CD001")
	copy(end[1:], "CD001")
	copy(pvd[156:], record("\x00", w.at[""], 8*sector, 2, nil))
	b := bytes.Join([][]byte{make([]byte, 16*sector), pvd, end}, nil)
	b = append(b, make([]byte, int(w.next)*sector-len(b))...)
	for at, data := range w.out {
		copy(b[int(at)*sector:], data)
	}
	return b
}
