//go:build linux

package disk

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
)

// Fields of the GPT header, UEFI specification 2.10, table 5.5.
const (
	gptHeaderMin   = 92
	gptHeaderSize  = 12
	gptHeaderCRC   = 16
	gptMyLBA       = 24
	gptAltLBA      = 32
	gptFirstUsable = 40
	gptLastUsable  = 48
	gptEntriesLBA  = 72
	gptEntryCount  = 80
	gptEntrySize   = 84
	gptEntriesCRC  = 88

	// maxEntries bounds the partition array; 128 entries of 128 bytes are usual.
	maxEntries = 256 * 1024
)

// gpt is a primary header with its partition array, both inside the head of an
// image.
type gpt struct {
	header  []byte
	entries []byte
}

// parseGPT reads the table in the first block of an image with the given sector
// size. A table that is absent, damaged or out of the ordinary is not ok.
func parseGPT(head []byte, sector int) (g gpt, ok bool) {
	if len(head) < 2*sector {
		return gpt{}, false
	}
	h := head[sector : 2*sector]
	size := int(binary.LittleEndian.Uint32(h[gptHeaderSize:]))
	if !bytes.HasPrefix(h, []byte("EFI PART")) || size < gptHeaderMin || size > sector {
		return gpt{}, false
	}
	h = h[:size:size]
	if headerCRC(h) != binary.LittleEndian.Uint32(h[gptHeaderCRC:]) {
		return gpt{}, false
	}
	start := binary.LittleEndian.Uint64(h[gptEntriesLBA:])
	n := uint64(binary.LittleEndian.Uint32(h[gptEntryCount:])) * uint64(binary.LittleEndian.Uint32(h[gptEntrySize:]))
	end := start*uint64(sector) + n
	if n == 0 || n > maxEntries || start < 2 || start > maxEntries || end > uint64(len(head)) {
		return gpt{}, false
	}
	e := head[start*uint64(sector) : end : end]
	if crc32.ChecksumIEEE(e) != binary.LittleEndian.Uint32(h[gptEntriesCRC:]) {
		return gpt{}, false
	}
	return gpt{header: h, entries: e}, true
}

// headerCRC computes the checksum of a header, whose own field counts as zero.
func headerCRC(h []byte) uint32 {
	c := bytes.Clone(h)
	clear(c[gptHeaderCRC : gptHeaderCRC+4])
	return crc32.ChecksumIEEE(c)
}

// moveBackupGPT fits the partition table of an image of rawSize bytes to a
// larger disk: head, the first block of the image, is changed in place to use
// the whole disk, and the backup table for the very end of the disk is
// returned. Without a GPT, or with one that does not fit, head is left alone
// and nothing is returned.
func moveBackupGPT(head []byte, sector int, diskSize, rawSize int64) []byte {
	g, ok := parseGPT(head, sector)
	if !ok || rawSize >= diskSize {
		return nil
	}
	last := uint64(diskSize/int64(sector)) - 1
	entrySectors := uint64((len(g.entries) + sector - 1) / sector)
	lastUsable := last - entrySectors - 1
	if lastUsable < binary.LittleEndian.Uint64(g.header[gptLastUsable:]) {
		return nil
	}
	setGPT(g.header, last, lastUsable)
	growProtectiveMBR(head[:sector], last)
	backup := alignedBuffer(int(entrySectors+1) * sector)
	copy(backup, g.entries)
	b := backup[int(entrySectors)*sector:]
	copy(b, g.header)
	b = b[:len(g.header)]
	binary.LittleEndian.PutUint64(b[gptMyLBA:], last)
	binary.LittleEndian.PutUint64(b[gptEntriesLBA:], last-entrySectors)
	setGPT(b, 1, lastUsable)
	return backup
}

func setGPT(h []byte, alt, lastUsable uint64) {
	binary.LittleEndian.PutUint64(h[gptAltLBA:], alt)
	binary.LittleEndian.PutUint64(h[gptLastUsable:], lastUsable)
	binary.LittleEndian.PutUint32(h[gptHeaderCRC:], headerCRC(h))
}

// growProtectiveMBR sets the size of the entry of type 0xEE that shields the
// disk from tools that know no GPT.
func growProtectiveMBR(mbr []byte, lastLBA uint64) {
	const first, size, protective = 446, 16, 0xee
	for off := first; off < first+4*size; off += size {
		if mbr[off+4] == protective {
			binary.LittleEndian.PutUint32(mbr[off+12:], uint32(min(lastLBA, math.MaxUint32)))
		}
	}
}
