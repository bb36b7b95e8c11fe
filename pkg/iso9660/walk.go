package iso9660

import (
	"encoding/binary"
	"fmt"
	"path"
	"strings"
	"unicode/utf16"
)

// Walk calls fn for everything in the image, directories before what is in
// them, until fn fails. Two entries of one name in a directory are an error.
func (im *Image) Walk(fn func(Entry) error) error {
	w := &walk{Image: im, fn: fn, seen: map[uint32]bool{}}
	return w.dir("", im.root, 0)
}

type walk struct {
	*Image
	fn      func(Entry) error
	seen    map[uint32]bool // blocks of directories, against circles
	entries int
	bytes   int64
}

func (w *walk) dir(at string, rec record, depth int) error {
	if depth > MaxDepth {
		return fmt.Errorf("%w: %s lies deeper than %d directories", ErrLimit, at, MaxDepth)
	}
	if w.seen[rec.block] {
		return fmt.Errorf("%w: directory %s contains itself", ErrFormat, at)
	}
	w.seen[rec.block] = true
	data, err := w.read(extent{rec.at(), int64(rec.size)}, maxDir)
	if err != nil {
		return fmt.Errorf("directory /%s: %w", at, err)
	}
	names := map[string]bool{}
	for len(data) > 0 {
		var e found
		if e, data, err = w.next(data); err != nil {
			return fmt.Errorf("directory /%s: %w", at, err)
		}
		if e.name == "" {
			continue
		}
		if names[e.name] {
			return fmt.Errorf("%w: /%s has two entries %q", ErrFormat, at, e.name)
		}
		names[e.name] = true
		if err := w.entry(path.Join(at, e.name), e, depth); err != nil {
			return err
		}
	}
	return nil
}

// entry tells of one entry, and of all in it if it is a directory.
func (w *walk) entry(at string, e found, depth int) error {
	if w.entries++; w.entries > MaxEntries {
		return fmt.Errorf("%w: more than %d entries", ErrLimit, MaxEntries)
	}
	out := Entry{Path: at, Dir: e.dir, Link: e.rock.link, ModTime: e.rec.when}
	if !e.dir && e.rock.link == "" {
		for _, p := range e.parts {
			if err := w.inside(p); err != nil {
				return fmt.Errorf("file /%s: %w", at, err)
			}
			out.Size += p.size
		}
		out.parts = e.parts
		// Hard links share extents, so a whole image may be there a few times.
		if w.bytes += out.Size; w.bytes > 4*w.size {
			return fmt.Errorf("%w: its files have more than four times the %d bytes of the image", ErrLimit, w.size)
		}
	}
	if err := w.fn(out); err != nil {
		return err
	}
	if e.dir {
		return w.dir(at, e.rec, depth+1)
	}
	return nil
}

// found is one entry of a directory: name is "" if it is none of ours.
type found struct {
	name  string
	dir   bool
	rec   record
	parts []extent
	rock  rockRidge
}

// next takes one entry, of as many records as it has extents.
func (im *Image) next(data []byte) (found, []byte, error) {
	var e found
	for {
		rest := len(data)
		n := int(data[0])
		if n == 0 { // records do not cross sectors
			gap := (rest-1)%sector + 1
			return found{}, data[gap:], nil
		}
		if n > rest {
			return e, nil, fmt.Errorf("%w: a directory record is cut off", ErrFormat)
		}
		rec, err := parseRecord(data[:n])
		if err != nil {
			return e, nil, err
		}
		data = data[n:]
		if len(e.parts) == 0 {
			e.rec = rec
		}
		if len(e.parts) >= 1024 {
			return e, nil, fmt.Errorf("%w: a file has more than 1024 extents", ErrLimit)
		}
		e.parts = append(e.parts, extent{rec.at(), int64(rec.size)})
		if rec.flags&flagMore == 0 || rec.flags&flagDir != 0 || len(data) == 0 || data[0] == 0 {
			break
		}
	}
	return e, data, im.describe(&e)
}

// describe finds name and nature of an entry.
func (im *Image) describe(e *found) error {
	e.dir = e.rec.flags&flagDir != 0
	if n := e.rec.name; len(n) == 1 && n[0] <= 1 { // the directory itself and its parent
		return nil
	}
	if im.rock {
		var err error
		if e.rock, err = im.rockOf(e.rec); err != nil {
			return err
		}
		if e.rock.relocated { // it is shown where it was moved from
			return nil
		}
		if e.rock.child != 0 {
			if err := im.follow(e); err != nil {
				return err
			}
		}
		e.name = e.rock.name
	}
	if e.name == "" {
		e.name = im.plainName(e.rec.name)
	}
	if e.name == "" || e.name == "." || e.name == ".." || strings.ContainsAny(e.name, "/\x00") {
		return fmt.Errorf("%w: %q is no name of a file", ErrFormat, e.name)
	}
	return nil
}

// follow finds the directory that was moved elsewhere, for it lay too deep.
func (im *Image) follow(e *found) error {
	at := int64(e.rock.child) * sector
	head, err := im.read(extent{at, 34}, 34)
	if err != nil {
		return err
	}
	head[32] = 1 // of the record only its size is needed
	self, err := parseRecord(append([]byte{34}, head[1:]...))
	if err != nil {
		return err
	}
	e.dir, e.rec.block, e.rec.size = true, e.rock.child, self.size
	return nil
}

// plainName is a name without Rock Ridge: Joliet's, or the image's own in lower
// case; both without a version.
func (im *Image) plainName(b []byte) string {
	name := string(b)
	if im.joliet {
		var u []uint16
		for i := 0; i+1 < len(b); i += 2 {
			u = append(u, binary.BigEndian.Uint16(b[i:]))
		}
		name = string(utf16.Decode(u))
	} else {
		name = strings.ToLower(name)
	}
	if i := strings.LastIndexByte(name, ';'); i > 0 {
		name = name[:i]
	}
	if !im.joliet {
		name = strings.TrimSuffix(name, ".")
	}
	return name
}
