package udf

import (
	"encoding/binary"
	"fmt"
	"time"
)

// What an address holds, and where the addresses of a file are.
const (
	holds    = 30 // shift of the kind in an address's size
	recorded = 0
	goesOn   = 3 // more addresses are there

	shortAddresses = 0
	longAddresses  = 1
	embedded       = 3 // the data is where the addresses would be
)

// The types of files that are told of (ECMA-167 4/14.6.6).
const (
	typeDir  = 4
	typeFile = 5
	typeLink = 12
)

// node is a file entry: where a file is and what it is.
type node struct {
	kind  byte
	size  int64
	when  time.Time
	parts []extent
}

// read returns an extent whole.
func (im *Image) read(e extent) ([]byte, error) {
	if err := im.inside(e); err != nil {
		return nil, err
	}
	b := make([]byte, e.size)
	if e.hole {
		return b, nil
	}
	if n, err := im.r.ReadAt(b, e.at); int64(n) < e.size {
		return nil, fmt.Errorf("read %d bytes at %d of the image: %w", e.size, e.at, err)
	}
	return b, nil
}

func (im *Image) inside(e extent) error {
	if e.size < 0 || e.size > im.size || !e.hole && (e.at < 0 || e.at > im.size-e.size) {
		return fmt.Errorf("%w: %d bytes at %d lie outside the image of %d bytes: is it complete?", ErrFormat, e.size, e.at, im.size)
	}
	return nil
}

// locate turns an address into a place in the image.
func (im *Image) locate(a address) (extent, error) {
	if int(a.ref) >= len(im.maps) {
		return extent{}, fmt.Errorf("%w: there is no partition %d", ErrFormat, a.ref)
	}
	part, ok := im.parts[im.maps[a.ref]]
	if !ok {
		return extent{}, fmt.Errorf("%w: partition %d is not described", ErrFormat, im.maps[a.ref])
	}
	size := int64(a.size & (1<<holds - 1))
	e := extent{at: part.at + int64(a.block)*sector, size: size}
	if a.size>>holds != recorded {
		return extent{size: size, hole: true}, nil
	}
	if int64(a.block)*sector > part.size-size {
		return e, fmt.Errorf("%w: %d bytes in block %d lie outside the partition", ErrFormat, size, a.block)
	}
	return e, im.inside(e)
}

// block reads the one block that an address names.
func (im *Image) block(a address) ([]byte, error) {
	a.size = sector
	e, err := im.locate(a)
	if err != nil {
		return nil, err
	}
	return im.read(e)
}

// node reads a file entry, plain or extended (ECMA-167 4/14.9 and 4/14.17).
func (im *Image) node(a address) (node, error) {
	b, err := im.block(a)
	if err != nil {
		return node{}, err
	}
	when, head := 84, 176
	switch tagOf(b) {
	case tagFile:
	case tagExtFile:
		when, head = 92, 216
	default:
		return node{}, fmt.Errorf("%w: no file entry in block %d", ErrFormat, a.block)
	}
	n := node{kind: b[27], size: int64(binary.LittleEndian.Uint64(b[56:])), when: timeOf(b[when:])}
	skip, length := binary.LittleEndian.Uint32(b[head-8:]), binary.LittleEndian.Uint32(b[head-4:])
	if n.size < 0 || skip > sector || length > sector || head+int(skip)+int(length) > sector {
		return n, fmt.Errorf("%w: the file entry in block %d is larger than its block", ErrFormat, a.block)
	}
	start := head + int(skip)
	list := b[start : start+int(length)]
	how := binary.LittleEndian.Uint16(b[34:]) & 7
	if how == embedded {
		e, err := im.locate(address{block: a.block, ref: a.ref, size: sector})
		if n.size > int64(len(list)) {
			return n, fmt.Errorf("%w: a file of %d bytes is not whole in its entry", ErrFormat, n.size)
		}
		n.parts = []extent{{at: e.at + int64(start), size: n.size}}
		return n, err
	}
	return n, im.extents(&n, list, how, a.ref)
}

// extents reads the addresses of a file's data, in its entry and where they go
// on, until the size of the file is reached.
func (im *Image) extents(n *node, list []byte, how uint16, ref uint16) error {
	step := map[uint16]int{shortAddresses: 8, longAddresses: 16}[how]
	if step == 0 {
		return fmt.Errorf("%w: addresses of kind %d", ErrFormat, how)
	}
	left := n.size
	for range maxExtents {
		if left == 0 || len(list) < step {
			break
		}
		a := address{binary.LittleEndian.Uint32(list), binary.LittleEndian.Uint32(list[4:]), ref}
		if how == longAddresses {
			a = longAddress(list)
		}
		list = list[step:]
		size := int64(a.size & (1<<holds - 1))
		if size == 0 { // ends the list
			break
		}
		if a.size>>holds == goesOn {
			var err error
			if list, err = im.more(a); err != nil {
				return err
			}
			continue
		}
		a.size = a.size&^(1<<holds-1) | uint32(min(size, left))
		e, err := im.locate(a)
		if err != nil {
			return err
		}
		n.parts = append(n.parts, e)
		left -= e.size
	}
	if left > 0 {
		return fmt.Errorf("%w: a file of %d bytes has no place for %d of them, or more than %d extents", ErrFormat, n.size, left, maxExtents)
	}
	return nil
}

// more reads a block of further addresses (ECMA-167 4/14.5).
func (im *Image) more(a address) ([]byte, error) {
	if im.hops++; im.hops > maxHops {
		return nil, fmt.Errorf("%w: the addresses of its files go on more than %d times", ErrLimit, maxHops)
	}
	b, err := im.block(a)
	if err != nil {
		return nil, err
	}
	n := int64(binary.LittleEndian.Uint32(b[20:]))
	if tagOf(b) != tagExtents || n > sector-24 {
		return nil, fmt.Errorf("%w: no addresses in block %d", ErrFormat, a.block)
	}
	return b[24 : 24+n], nil
}

// whole reads the data of a directory or link.
func (im *Image) whole(n node, limit int64) ([]byte, error) {
	if n.size > limit {
		return nil, fmt.Errorf("%w: %d bytes of directory or link, %d at most", ErrLimit, n.size, limit)
	}
	var out []byte
	for _, p := range n.parts {
		b, err := im.read(p)
		if err != nil {
			return nil, err
		}
		out = append(out, b...)
	}
	return out, nil
}

// timeOf is a timestamp (ECMA-167 1/7.3).
func timeOf(b []byte) time.Time {
	zone := int(int16(binary.LittleEndian.Uint16(b)<<4)) >> 4 // minutes, 12 bits
	if zone < -1440 || zone > 1440 {
		zone = 0
	}
	return time.Date(int(int16(binary.LittleEndian.Uint16(b[2:]))), time.Month(b[4]), int(b[5]), int(b[6]), int(b[7]), int(b[8]), 0,
		time.FixedZone("", zone*60)).UTC()
}
