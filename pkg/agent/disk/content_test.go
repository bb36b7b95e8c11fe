//go:build linux

package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
)

const contentSize = 8 << 20

// at is a disk with texts at offsets.
func at(pairs ...any) []byte {
	b := make([]byte, contentSize)
	for i := 0; i < len(pairs); i += 2 {
		copy(b[pairs[i].(int):], pairs[i+1].(string))
	}
	return b
}

// mbrDisk is a disk with one partition at 1 MiB that holds something.
func mbrDisk(off int, text string) []byte {
	b := at(510, "\x55\xaa", 1<<20+off, text)
	b[446+4] = 0x83
	binary.LittleEndian.PutUint32(b[446+8:], 2048)
	return b
}

// gptDisk is a disk with one partition at 1 MiB that holds something.
func gptDisk(sector, off int, text string) []byte {
	b := at(sector, "EFI PART", 1<<20+off, text)
	binary.LittleEndian.PutUint64(b[sector+72:], 2)
	binary.LittleEndian.PutUint32(b[sector+80:], 4)
	binary.LittleEndian.PutUint32(b[sector+84:], 128)
	copy(b[2*sector:], "some type's uuid")
	binary.LittleEndian.PutUint64(b[2*sector+32:], uint64(1<<20/sector))
	return b
}

func TestContent(t *testing.T) {
	t.Parallel()
	zfs := at()
	binary.LittleEndian.PutUint64(zfs[128<<10+3*1024:], 0x00bab10c)
	big := at()
	binary.BigEndian.PutUint64(big[130<<10:], 0x00bab10c)
	for name, c := range map[string]struct {
		disk []byte
		want []string
	}{
		"blank":             {at(), nil},
		"ext":               {at(0x438, "\x53\xef"), []string{"ext file system at 0"}},
		"XFS":               {at(0, "XFSB"), []string{"XFS file system at 0"}},
		"btrfs":             {at(0x10040, "_BHRfS_M"), []string{"btrfs file system at 0"}},
		"LUKS":              {at(0, "LUKS\xba\xbe"), []string{"LUKS container at 0"}},
		"LUKS, head lost":   {at(0x4000, "SKUL\xba\xbe"), []string{"LUKS container (second header) at 0"}},
		"LVM":               {at(512, "LABELONE"), []string{"LVM physical volume at 0"}},
		"swap":              {at(4086, "SWAPSPACE2"), []string{"swap space at 0"}},
		"ZFS":               {zfs, []string{"ZFS pool member at 0"}},
		"ZFS of a big one":  {big, []string{"ZFS pool member at 0"}},
		"md 1.2":            {at(4096, "\xfc\x4e\x2b\xa9"), []string{"RAID member (md 1.2) at 0"}},
		"md 1.0":            {at(contentSize-8192, "\xfc\x4e\x2b\xa9"), []string{"RAID member (md 1.0) at 8380416"}},
		"md 0.90":           {at(contentSize-65536, "\xfc\x4e\x2b\xa9"), []string{"RAID member (md 0.90) at 8323072"}},
		"Intel RAID":        {at(contentSize-1024, "Intel Raid ISM Cfg Sig. 1.3"), []string{"RAID member (Intel) at 8387584"}},
		"DDF":               {at(contentSize-512, "\xde\x11\xde\x11"), []string{"RAID member (DDF) at 8388096"}},
		"NTFS":              {at(3, "NTFS    "), []string{"NTFS file system at 0"}},
		"BitLocker":         {at(3, "-FVE-FS-"), []string{"BitLocker volume at 0"}},
		"Ceph":              {at(0, "bluestore block device\n"), []string{"Ceph BlueStore at 0"}},
		"VMFS":              {at(0x100000, "\x0d\xd0\x01\xc0"), []string{"VMFS volume at 0"}},
		"GPT, backup alone": {at(contentSize-512, "EFI PART"), []string{"partition table (GPT backup) at 8388096"}},
		"in an MBR":         {mbrDisk(0, "XFSB"), []string{"partition table (MBR)", "XFS file system at 1048576"}},
		"in a GPT":          {gptDisk(512, 0x438, "\x53\xef"), []string{"partition table (GPT)", "ext file system at 1048576"}},
		"in a GPT of 4096":  {gptDisk(4096, 0x10040, "_BHRfS_M"), []string{"partition table (GPT)", "btrfs file system at 1048576"}},
		"a database, raw":   {at(0, "ours alone"), []string{"data of no known kind at 0"}},
		"data in the midst": {at(4<<20, "x"), []string{"data of no known kind at 4194304"}},
		"data at the end":   {at(contentSize-1, "x"), []string{"data of no known kind at 8384512"}},
		"smaller than all":  {[]byte("x"), []string{"data of no known kind at 0"}},
		"nothing":           {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, Content(bytes.NewReader(c.disk), int64(len(c.disk))))
		})
	}
}

type dead struct{}

func (dead) ReadAt([]byte, int64) (int, error) { return 0, errors.New("medium error") }

func TestUnreadableIsNotBlank(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"unreadable: medium error"}, Content(dead{}, 1<<20))
	assert.Equal(t, []string{"unreadable: open /nowhere: no such file or directory"}, ContentOf(Disk{Path: "/nowhere", Size: 1}))
}

// FuzzContent: whatever a disk says, the scan ends, and tells what is not blank.
func FuzzContent(f *testing.F) {
	f.Add(gptDisk(512, 0, "XFSB")[:8192], int64(8192))
	f.Add(mbrDisk(0, "")[:1024], int64(1<<40))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		found := Content(bytes.NewReader(b), max(size, 0))
		if len(found) > maxFound {
			t.Fatalf("%d findings", len(found))
		}
		if len(b) >= scanBlock && size >= scanBlock && len(found) == 0 && firstNonZero(b[:scanBlock], make([]byte, scanBlock)) >= 0 {
			t.Fatal("data at the start is not told")
		}
	})
}
