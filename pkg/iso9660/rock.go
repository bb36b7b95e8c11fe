package iso9660

import (
	"encoding/binary"
	"fmt"
	"strings"
)

const (
	maxContinuations = 32 // of one system use area
	maxContinuation  = 64 << 10
	maxLink          = 4096 // bytes of a link's target
)

// rockRidge is what Rock Ridge says of an entry.
type rockRidge struct {
	name      string
	link      string
	child     uint32 // block of the directory that this stands for
	relocated bool   // a directory that was moved here

	glue bool // the last part of link goes on in the next one
}

// rockOf reads the system use entries of a record, and where they continue.
func (im *Image) rockOf(rec record) (rockRidge, error) {
	var out rockRidge
	area := rec.use
	if len(area) >= im.skip {
		area = area[im.skip:]
	}
	for range maxContinuations {
		more, err := out.take(area)
		if err != nil || more.size == 0 {
			return out, err
		}
		if area, err = im.read(more, maxContinuation); err != nil {
			return out, fmt.Errorf("continued system use area: %w", err)
		}
	}
	return out, fmt.Errorf("%w: a system use area continues more than %d times", ErrLimit, maxContinuations)
}

// take reads the entries of one area: two letters, length, version, data.
func (r *rockRidge) take(area []byte) (more extent, err error) {
	for len(area) >= 4 {
		n := int(area[2])
		if n < 4 || n > len(area) {
			return more, nil // padding
		}
		sig, data := string(area[:2]), area[4:n]
		area = area[n:]
		switch {
		case sig == "NM" && len(data) >= 1 && data[0]&6 == 0:
			r.name += string(data[1:])
		case sig == "SL" && len(data) >= 1:
			err = r.addLink(data[1:])
		case sig == "CL" && len(data) >= 4:
			r.child = binary.LittleEndian.Uint32(data)
		case sig == "RE":
			r.relocated = true
		case sig == "CE" && len(data) >= 24:
			more = extent{int64(binary.LittleEndian.Uint32(data))*sector + int64(binary.LittleEndian.Uint32(data[8:])),
				int64(binary.LittleEndian.Uint32(data[16:]))}
		case sig == "ST":
			return more, nil
		}
		if err != nil || len(r.name) > maxLink {
			return extent{}, fmt.Errorf("%w: a name or link has more than %d bytes", ErrLimit, maxLink)
		}
	}
	return more, nil
}

// addLink adds the components of one SL entry: flags, length, text.
func (r *rockRidge) addLink(data []byte) error {
	const continues, current, parent, root = 1, 2, 4, 8
	for len(data) >= 2 && int(data[1])+2 <= len(data) {
		flags, text := data[0], string(data[2:2+int(data[1])])
		data = data[2+int(data[1]):]
		switch {
		case flags&current != 0:
			text = "."
		case flags&parent != 0:
			text = ".."
		case flags&root != 0:
			text = "/"
		}
		if r.link != "" && !r.glue && !strings.HasSuffix(r.link, "/") {
			r.link += "/"
		}
		r.link += text
		r.glue = flags&continues != 0
		if len(r.link) > maxLink {
			return ErrLimit
		}
	}
	return nil
}
