//go:build linux

package disk

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestList(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	block := filepath.Join(dir, "block")
	ata := filepath.Join(dir, "devices/pci0000:00/ata1/host0/block/sda")
	writeAttrs(t, ata, map[string]string{
		"size": "2048\n", "removable": "0\n", "ro": "0\n", "queue/rotational": "1\n", "device/model": "QEMU HARDDISK   \n",
		"device/vpd_pg80": "\x00\x80\x00\x0a  TESTDSK1",
		"device/vpd_pg83": "\x00\x83\x00\x0c\x01\x03\x00\x08\x50\x00\xc5\x00\xa1\xb2\xc3\xd4",
		"sda1/partition":  "1\n", "sda2/partition": "2\n",
	})
	require.NoError(t, os.MkdirAll(block, 0o755))
	require.NoError(t, os.Symlink(ata, filepath.Join(block, "sda")))
	writeAttrs(t, filepath.Join(block, "nvme0n1"), map[string]string{
		"size": "4096\n", "device/serial": "S64 \n", "wwid": "eui.0025385b\n", "nvme0n1p1/partition": "1\n",
	})
	writeAttrs(t, filepath.Join(block, "vda"), map[string]string{"size": "8\n", "serial": "VIRT1", "ro": "1\n"})
	for _, name := range []string{"loop0", "ram0", "sr0", "dm-0", "md127", "zram0", "mmcblk0boot0", "mmcblk0boot1", "mmcblk0rpmb"} {
		writeAttrs(t, filepath.Join(block, name), map[string]string{"size": "8\n"})
	}
	writeAttrs(t, filepath.Join(block, "sdb"), map[string]string{"size": "0\n"})
	writeAttrs(t, filepath.Join(block, "nvme0c0n1"), map[string]string{"size": "8\n", "hidden": "1\n"})

	disks, err := Host{Sys: dir}.List()
	require.NoError(t, err)
	assert.Equal(t, []Disk{
		{Name: "nvme0n1", Path: "/dev/nvme0n1", Serial: "S64", WWN: "eui.0025385b", Size: 2 * mib, Transport: "nvme", Partitions: 1},
		{Name: "sda", Path: "/dev/sda", Serial: "TESTDSK1", WWN: "naa.5000c500a1b2c3d4", Model: "QEMU HARDDISK",
			Size: mib, Rotational: true, Transport: "ata", Partitions: 2},
		{Name: "vda", Path: "/dev/vda", Serial: "VIRT1", Size: 4096, ReadOnly: true, Transport: "virtio"},
	}, disks)
}

func TestFind(t *testing.T) {
	t.Parallel()
	disks := []Disk{
		{Name: "sda", Serial: "A", WWN: "naa.1", Size: 10}, {Name: "sdb", Serial: "A", WWN: "naa.2", Size: 10},
		{Name: "sdc", Serial: "C", Size: 10},
	}
	for name, tc := range map[string]struct {
		want Want
		disk string
		err  string
	}{
		"serial":    {want: Want{Serial: "C"}, disk: "sdc"},
		"wwn":       {want: Want{WWN: "naa.2"}, disk: "sdb"},
		"both":      {want: Want{Serial: "A", WWN: "naa.1"}, disk: "sda"},
		"disagree":  {want: Want{Serial: "C", WWN: "naa.1"}, err: "no disk with serial C and wwn naa.1; present: sda (serial \"A\""},
		"part of":   {want: Want{WWN: "naa."}, err: "no disk with wwn naa.; present"},
		"two paths": {want: Want{Serial: "A"}, err: "2 disks with serial A: sda"},
		"empty":     {want: Want{}, err: "no disk named"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := Find(disks, tc.want)
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
				assert.True(t, IsRefusal(err))
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tc.disk, d.Name)
		})
	}
}

func TestProtects(t *testing.T) {
	t.Parallel()
	d := Disk{Serial: "S1", WWN: "naa.5000C500"}
	for p, want := range map[string]bool{
		"S1": true, " s1": true, "0x5000c500": true, "wwn-0x5000c500": true, "naa.5000c500": true,
		"": false, "S": false, "5000": false,
	} {
		_, got := protects([]string{p}, d)
		assert.Equal(t, want, got, "protected by %q", p)
	}
}

func FuzzPages(f *testing.F) {
	f.Add([]byte("\x00\x83\x00\x0c\x01\x03\x00\x08\x50\x00\xc5\x00\xa1\xb2\xc3\xd4"))
	f.Add([]byte("\x00\x83\x00\x04\x01\x03\x00\xff"))
	f.Add([]byte("\x00\x80\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		parseSerialPage(b)
		parseIdentPage(b)
	})
}
