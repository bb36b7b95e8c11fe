//go:build linux

package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Limits of a scan: what a disk says of itself is not trusted.
const (
	maxPartitions = 160
	maxFound      = 32   // texts of one disk
	scanBlock     = 4096 // bytes of one sample
	scanSamples   = 64
)

// magic is what a kind of content has at an offset from its start, in bytes.
type magic struct {
	at   int64
	text string
	what string
}

// magics are superblocks by what the kernel, util-linux and the projects
// themselves look for. Those with several places have several rows.
var magics = []magic{
	{0x438, "\x53\xef", "ext file system"}, {0, "XFSB", "XFS file system"}, {0x10040, "_BHRfS_M", "btrfs file system"},
	{0, "LUKS\xba\xbe", "LUKS container"}, {0x4000, "SKUL\xba\xbe", "LUKS container (second header)"},
	{0, "LABELONE", "LVM physical volume"}, {512, "LABELONE", "LVM physical volume"}, {1024, "LABELONE", "LVM physical volume"}, {1536, "LABELONE", "LVM physical volume"},
	{4086, "SWAPSPACE2", "swap space"}, {4086, "SWAP-SPACE", "swap space"}, {16374, "SWAPSPACE2", "swap space"}, {65526, "SWAPSPACE2", "swap space"}, {4086, "S1SUSPEND", "suspended system"},
	{0, "\xfc\x4e\x2b\xa9", "RAID member (md 1.1)"}, {4096, "\xfc\x4e\x2b\xa9", "RAID member (md 1.2)"},
	{3, "NTFS    ", "NTFS file system"}, {3, "-FVE-FS-", "BitLocker volume"}, {3, "EXFAT   ", "exFAT file system"}, {3, "ReFS\x00", "ReFS file system"},
	{54, "FAT12", "FAT file system"}, {54, "FAT16", "FAT file system"}, {82, "FAT32", "FAT file system"},
	{0x8001, "CD001", "ISO 9660 file system"}, {0x8801, "NSR0", "UDF file system"}, {0x9001, "NSR0", "UDF file system"},
	{1024, "\x10\x20\xf5\xf2", "F2FS file system"}, {0x8000, "JFS1", "JFS file system"}, {65536 + 52, "ReIsEr", "ReiserFS file system"}, {8192 + 52, "ReIsEr", "ReiserFS file system"},
	{1024 + 6, "\x34\x34", "NILFS2 file system"}, {1024, "\xe2\xe1\xf5\xe0", "EROFS file system"}, {0, "hsqs", "squashfs file system"},
	{4096 + 24, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81", "bcache or bcachefs"},
	{4096 + 24, "\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef", "bcachefs file system"},
	{0, "bluestore block device", "Ceph BlueStore"}, {32, "ORCLDISK", "Oracle ASM disk"}, {0x100000, "\x0d\xd0\x01\xc0", "VMFS volume"},
	{65536, "\x01\x16\x19\x70", "GFS2 file system"}, {8192, "OCFSV2", "OCFS2 file system"}, {4096, "OCFSV2", "OCFS2 file system"},
	{32, "NXSB", "APFS container"}, {1024, "H+\x00\x04", "HFS+ file system"}, {1024, "HX\x00\x05", "HFSX file system"},
	{65536 + 1372, "\x19\x01\x54\x19", "UFS2 file system"}, {0, "STRATIS", "Stratis pool"}, {512 + 4, "!Stra0tis\x86\xff\x02^\x41rh", "Stratis pool"}, {0, "VDODM", "VDO volume"},
}

// tails are what stands at the end of a disk: at is the offset for its size.
var tails = []struct {
	at   func(size int64) int64
	text string
	what string
}{
	{func(n int64) int64 { return n&^0xffff - 0x10000 }, "\xfc\x4e\x2b\xa9", "RAID member (md 0.90)"},
	{func(n int64) int64 { return (n/512 - 16) &^ 7 * 512 }, "\xfc\x4e\x2b\xa9", "RAID member (md 1.0)"},
	{func(n int64) int64 { return n - 1024 }, "Intel Raid ISM Cfg Sig. ", "RAID member (Intel)"},
	{func(n int64) int64 { return n - 512 }, "\xde\x11\xde\x11", "RAID member (DDF)"},
	{func(n int64) int64 { return n - 512 }, "\x11\xde\x11\xde", "RAID member (DDF)"},
	{func(n int64) int64 { return n - 512 }, "EFI PART", "partition table (GPT backup)"},
	{func(n int64) int64 { return n - 4096 }, "EFI PART", "partition table (GPT backup)"},
}

// Content says what is on a disk of that size, in bytes: partition tables, file
// systems, members of RAIDs, volume groups and pools, on the disk and in its
// partitions, each as "kind at offset"; else that there is data of no known
// kind. Nothing found means blank as far as samples over all of it tell.
func Content(r io.ReaderAt, size int64) []string {
	s := scan{r: r, size: size}
	starts := s.partitions()
	for _, at := range starts {
		s.superblocks(at)
	}
	for _, t := range tails {
		s.look(t.at(size), t.text, t.what)
	}
	if len(s.found) == 0 {
		s.sample()
	}
	if len(s.found) == 0 && s.err != nil {
		s.add("unreadable: "+short(s.err.Error()), -1)
	}
	return s.found
}

func short(s string) string { return s[:min(len(s), 120)] }

type scan struct {
	r     io.ReaderAt
	size  int64
	found []string
	err   error // of the first read that failed
}

func (s *scan) add(what string, at int64) {
	if at >= 0 {
		what = fmt.Sprintf("%s at %d", what, at)
	}
	if len(s.found) < maxFound && !slices.Contains(s.found, what) {
		s.found = append(s.found, what)
	}
}

// read gives the n bytes at an offset, fewer at the end of the disk.
func (s *scan) read(at int64, n int) []byte {
	if at < 0 || at >= s.size {
		return nil
	}
	n = int(min(int64(n), s.size-at))
	// O_DIRECT is not used here; whole blocks are kinder to slow disks all the same.
	b := make([]byte, n)
	got, err := s.r.ReadAt(b, at)
	if err != nil && !errors.Is(err, io.EOF) && s.err == nil {
		s.err = err
	}
	return b[:got]
}

func (s *scan) look(at int64, text, what string) {
	if string(s.read(at, len(text))) == text {
		s.add(what, at)
	}
}

// superblocks looks at one start: the disk's or a partition's.
func (s *scan) superblocks(at int64) {
	head := s.read(at, 2<<20)
	for _, m := range magics {
		if end := m.at + int64(len(m.text)); end <= int64(len(head)) && string(head[m.at:end]) == m.text {
			s.add(m.what, at)
		}
	}
	// ZFS keeps uberblocks in the second half of each label, of either byte order.
	for off := 128 << 10; off+8 <= min(len(head), 256<<10); off += 1024 {
		if le, be := binary.LittleEndian.Uint64(head[off:]), binary.BigEndian.Uint64(head[off:]); le == 0x00bab10c || be == 0x00bab10c {
			s.add("ZFS pool member", at)
			return
		}
	}
}

// partitions finds partition tables; the starts are 0 and those of partitions.
func (s *scan) partitions() []int64 {
	starts := []int64{0}
	add := func(at int64) {
		if at > 0 && at < s.size && len(starts) < maxPartitions && !slices.Contains(starts, at) {
			starts = append(starts, at)
		}
	}
	if b := s.read(0, 512); len(b) == 512 && b[510] == 0x55 && b[511] == 0xaa {
		for i := range 4 {
			e := b[446+16*i:]
			if first := binary.LittleEndian.Uint32(e[8:]); e[4] != 0 && first != 0 && (e[0] == 0 || e[0] == 0x80) {
				s.add("partition table (MBR)", -1)
				add(int64(first) * 512)
			}
		}
	}
	for _, sector := range []int64{512, 4096} {
		b := s.read(sector, 92)
		if len(b) < 92 || !bytes.Equal(b[:8], []byte("EFI PART")) {
			continue
		}
		s.add("partition table (GPT)", -1)
		for _, first := range s.entries(b, sector) {
			add(first)
		}
	}
	return starts
}

// entries are the starts of the partitions of a GPT.
func (s *scan) entries(header []byte, sector int64) (starts []int64) {
	at, n, size := binary.LittleEndian.Uint64(header[72:]), binary.LittleEndian.Uint32(header[80:]), binary.LittleEndian.Uint32(header[84:])
	if size < 128 || size > 4096 || at > uint64(s.size/sector) {
		return nil
	}
	for i := range min(n, maxPartitions) {
		e := s.read(int64(at)*sector+int64(i)*int64(size), 48)
		if len(e) < 48 || bytes.Equal(e[:16], make([]byte, 16)) {
			continue
		}
		if first := binary.LittleEndian.Uint64(e[32:]); first < uint64(s.size/sector) {
			starts = append(starts, int64(first)*sector)
		}
	}
	return starts
}

// sample looks for any data at places all over the disk.
func (s *scan) sample() {
	zeros := make([]byte, scanBlock)
	for i := range int64(scanSamples) {
		at := s.size / scanSamples * i &^ (scanBlock - 1)
		if b := s.read(at, scanBlock); firstNonZero(b, zeros) >= 0 {
			s.add("data of no known kind", at)
			return
		}
	}
	if b := s.read(max(s.size-scanBlock, 0), scanBlock); firstNonZero(b, zeros) >= 0 {
		s.add("data of no known kind", max(s.size-scanBlock, 0))
	}
}

// ContentOf is Content of a disk of this machine; one that cannot be opened is
// not blank.
func ContentOf(d Disk) []string {
	f, err := os.Open(d.Path)
	if err != nil {
		return []string{"unreadable: " + short(err.Error())}
	}
	defer f.Close()
	return Content(f, d.Size)
}
