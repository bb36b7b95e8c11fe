//go:build linux

package disk

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestWhereDisksAre: of each disk the agent says what decides whether it is the
// machine's own, from the place in the device tree as Linux shows it.
func TestWhereDisksAre(t *testing.T) {
	t.Parallel()
	const pci = "devices/pci0000:00/0000:00:1c.0/"
	for name, c := range map[string]struct {
		at    string // below sysfs; its last part is the kernel's name
		attrs map[string]string
		want  Disk // but for what every case has
	}{
		"SATA":                  {pci + "ata1/host0/target0:0:0/0:0:0:0/block/sda", nil, Disk{Transport: "ata"}},
		"SAS, direct":           {pci + "host1/port-1:0/end_device-1:0/target1:0:0/1:0:0:0/block/sda", nil, Disk{Transport: "sas"}},
		"SAS expander":          {pci + "host1/port-1:0/expander-1:0/port-1:0:3/end_device-1:0:3/target1:0:3/1:0:3:0/block/sda", nil, Disk{Transport: "sas", Expander: true}},
		"two expanders":         {pci + "host1/port-1:0/expander-1:0/port-1:0:9/expander-1:1/port-1:1:2/end_device-1:1:2/target1:0:5/1:0:5:0/block/sdb", nil, Disk{Transport: "sas", Expander: true}},
		"Fibre Channel":         {pci + "host2/rport-2:0-1/target2:0:0/2:0:0:7/block/sdc", nil, Disk{Transport: "fc"}},
		"iSCSI":                 {"devices/platform/host3/session1/target3:0:0/3:0:0:1/block/sdd", nil, Disk{Transport: "iscsi"}},
		"iSCSI by an adapter":   {pci + "host4/session2/target4:0:0/4:0:0:0/block/sdd", nil, Disk{Transport: "iscsi"}},
		"NVMe":                  {pci + "nvme/nvme0/nvme0n1", nil, Disk{Transport: "nvme"}},
		"NVMe over fabrics":     {"devices/virtual/nvme-fabrics/ctl/nvme1/nvme1n1", nil, Disk{Transport: "iscsi"}},
		"virtio":                {pci + "virtio0/block/vda", nil, Disk{Transport: "virtio"}},
		"RAID controller":       {pci + "host0/target0:2:0/0:2:0:0/block/sda", nil, Disk{Transport: "scsi"}},
		"USB stick":             {pci + "usb1/1-4/1-4:1.0/host5/target5:0:0/5:0:0:0/block/sde", map[string]string{"removable": "1", "device/vendor": "SanDisk", "device/model": "Ultra Fit"}, Disk{Transport: "usb", Removable: true, Model: "Ultra Fit"}},
		"USB disk":              {pci + "usb1/1-4/1-4:1.0/host5/target5:0:0/5:0:0:0/block/sde", map[string]string{"device/vendor": "WD", "device/model": "My Passport"}, Disk{Transport: "usb", Model: "My Passport"}},
		"iDRAC medium":          {pci + "usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdf", map[string]string{"removable": "1", "device/vendor": "iDRAC", "device/model": "Virtual Floppy"}, Disk{Transport: "usb", Removable: true, Virtual: true, Model: "Virtual Floppy"}},
		"iLO medium":            {pci + "usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdf", map[string]string{"device/vendor": "HP iLO", "device/model": "LUN 00 Media 0"}, Disk{Transport: "usb", Virtual: true, Model: "LUN 00 Media 0"}},
		"AMI medium":            {pci + "usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdf", map[string]string{"device/vendor": "AMI", "device/model": "Virtual HDisk0"}, Disk{Transport: "usb", Virtual: true, Model: "Virtual HDisk0"}},
		"a disk named so":       {pci + "ata1/host0/target0:0:0/0:0:0:0/block/sda", map[string]string{"device/vendor": "AMI", "device/model": "Virtual HDisk0"}, Disk{Transport: "ata", Model: "Virtual HDisk0"}},
		"read-only":             {pci + "ata2/host1/target1:0:0/1:0:0:0/block/sdb", map[string]string{"ro": "1"}, Disk{Transport: "ata", ReadOnly: true}},
		"SD card":               {pci + "mmc_host/mmc0/mmc0:0001/block/mmcblk0", nil, Disk{Transport: "mmc"}},
		"a folder named expand": {pci + "ata1/host0/target0:0:0/0:0:0:0/block/sda", map[string]string{"expander": "1"}, Disk{Transport: "ata"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			at := filepath.Join(dir, c.at)
			kernel := filepath.Base(at)
			attrs := map[string]string{"size": "2048", "device/serial": "S1"}
			for k, v := range c.attrs {
				attrs[k] = v
			}
			writeAttrs(t, at, attrs)
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "block"), 0o755))
			require.NoError(t, os.Symlink(at, filepath.Join(dir, "block", kernel)))
			got, err := Host{Sys: dir}.List()
			require.NoError(t, err)
			require.Len(t, got, 1)
			c.want.Name, c.want.Path, c.want.Serial, c.want.Size = kernel, "/dev/"+kernel, "S1", mib
			assert.Equal(t, c.want, got[0])
		})
	}
}

// TestPathsOfOneDisk: a disk that is seen by two paths is two disks of one name,
// and nothing is done to either.
func TestPathsOfOneDisk(t *testing.T) {
	t.Parallel()
	h := newHost(t, fileDevice{}, testDisk{name: "vda", serial: "SAN1", size: mib}, testDisk{name: "vdb", serial: "SAN1", size: mib})
	for _, mode := range []string{WipeZero, WipeErase} {
		_, err := h.Wipe(t.Context(), Wipe{Wants: []Want{{Serial: "SAN1"}}, Mode: mode})
		require.ErrorContains(t, err, "2 disks with serial SAN1")
		assert.True(t, IsRefusal(err))
		assert.Equal(t, byte(0xaa), content(t, h, "vda")[0])
		assert.Equal(t, byte(0xaa), content(t, h, "vdb")[0])
	}
}
