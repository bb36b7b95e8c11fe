package udf

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
	im.hops = 0
	w := &walk{Image: im, fn: fn, seen: map[[2]uint32]bool{}}
	n, err := im.node(im.root)
	if err != nil {
		return fmt.Errorf("root directory: %w", err)
	}
	if n.kind != typeDir {
		return fmt.Errorf("%w: the root is no directory", ErrFormat)
	}
	return w.dir("", im.root, n, 0)
}

type walk struct {
	*Image
	fn      func(Entry) error
	seen    map[[2]uint32]bool // directories by block and partition, against circles
	entries int
	bytes   int64
}

func (w *walk) dir(at string, a address, n node, depth int) error {
	if depth > MaxDepth {
		return fmt.Errorf("%w: %s lies deeper than %d directories", ErrLimit, at, MaxDepth)
	}
	id := [2]uint32{a.block, uint32(a.ref)}
	if w.seen[id] {
		return fmt.Errorf("%w: directory %s contains itself", ErrFormat, at)
	}
	w.seen[id] = true
	data, err := w.whole(n, maxDir)
	if err != nil {
		return fmt.Errorf("directory /%s: %w", at, err)
	}
	names := map[string]bool{}
	for len(data) > 0 {
		var f found
		if f, data, err = next(data); err != nil {
			return fmt.Errorf("directory /%s: %w", at, err)
		}
		if f.name == "" {
			continue
		}
		if names[f.name] {
			return fmt.Errorf("%w: /%s has two entries %q", ErrFormat, at, f.name)
		}
		names[f.name] = true
		if err := w.entry(path.Join(at, f.name), f.at, depth); err != nil {
			return err
		}
	}
	return nil
}

// entry tells of one entry, and of all in it if it is a directory.
func (w *walk) entry(at string, a address, depth int) error {
	if w.entries++; w.entries > MaxEntries {
		return fmt.Errorf("%w: more than %d entries", ErrLimit, MaxEntries)
	}
	n, err := w.node(a)
	if err != nil {
		return fmt.Errorf("/%s: %w", at, err)
	}
	out := Entry{Path: at, Dir: n.kind == typeDir, ModTime: n.when}
	switch n.kind {
	case typeDir:
	case typeLink:
		if out.Link, err = w.link(n); err != nil {
			return fmt.Errorf("/%s: %w", at, err)
		}
	case typeFile, 0:
		out.Size, out.parts = n.size, n.parts
		// Hard links share extents, so a whole image may be there a few times.
		if w.bytes += n.size; w.bytes > 4*w.size {
			return fmt.Errorf("%w: its files have more than four times the %d bytes of the image", ErrLimit, w.size)
		}
	default: // a device or a stream: nothing that is unpacked
		return nil
	}
	if err := w.fn(out); err != nil {
		return err
	}
	if out.Dir {
		return w.dir(at, a, n, depth+1)
	}
	return nil
}

// found is one entry of a directory: name is "" if it is none of ours.
type found struct {
	name string
	at   address
}

// next takes one file identifier (ECMA-167 4/14.4).
func next(data []byte) (found, []byte, error) {
	const head, parent, deleted = 38, 8, 4
	if tagOf(data) != tagName || len(data) < head {
		return found{}, nil, fmt.Errorf("%w: an entry is cut off", ErrFormat)
	}
	length, use := int(data[19]), int(binary.LittleEndian.Uint16(data[36:]))
	size := (head + length + use + 3) &^ 3
	if size > len(data) {
		return found{}, nil, fmt.Errorf("%w: an entry is cut off", ErrFormat)
	}
	one, rest := data[:size], data[size:]
	if one[18]&(parent|deleted) != 0 {
		return found{}, rest, nil
	}
	f := found{name: text(one[head+use : head+use+length]), at: longAddress(one[20:])}
	if f.name == "" || f.name == "." || f.name == ".." || strings.ContainsAny(f.name, "/\x00") {
		return f, nil, fmt.Errorf("%w: %q is no name of a file", ErrFormat, f.name)
	}
	return f, rest, nil
}

// text is compressed unicode (OSTA UDF 2.1.1): of bytes or of big-endian pairs.
func text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	var u []uint16
	switch kind, b := b[0], b[1:]; kind {
	case 8:
		for _, c := range b {
			u = append(u, uint16(c))
		}
	case 16:
		for i := 0; i+1 < len(b); i += 2 {
			u = append(u, binary.BigEndian.Uint16(b[i:]))
		}
	}
	return string(utf16.Decode(u))
}

// link is the target of a symbolic link, of path components (ECMA-167 4/14.16).
func (w *walk) link(n node) (string, error) {
	const root, top, parent, current, name = 1, 2, 3, 4, 5
	data, err := w.whole(n, maxLink)
	if err != nil {
		return "", err
	}
	var words []string
	for len(data) >= 4 && 4+int(data[1]) <= len(data) {
		word := text(data[4 : 4+int(data[1])])
		switch data[0] {
		case root, top:
			words, word = nil, ""
		case parent:
			word = ".."
		case current:
			word = "."
		case name:
		default:
			return "", fmt.Errorf("%w: a link has a component of kind %d", ErrFormat, data[0])
		}
		words = append(words, word)
		data = data[4+int(data[1]):]
	}
	to := strings.Join(words, "/")
	if to == "" && len(words) == 1 {
		to = "/"
	}
	if to == "" {
		return "", fmt.Errorf("%w: a link leads nowhere", ErrFormat)
	}
	return to, nil
}
