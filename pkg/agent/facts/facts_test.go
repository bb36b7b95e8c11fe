//go:build linux

package facts

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/agent/disk"
)

func put(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		p := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
		require.NoError(t, os.WriteFile(p, []byte(text), 0o600))
	}
}

func link(t *testing.T, target, name string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.MkdirAll(target, 0o755))
	require.NoError(t, os.Symlink(target, name))
}

func TestCollect(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	put(t, root, map[string]string{
		"proc/meminfo":                       "MemTotal:        4028432 kB\nMemFree: 1 kB\n",
		"proc/cmdline":                       "quiet BOOTIF=01-52-54-00-aa-00-01\n",
		"proc/sys/kernel/osrelease":          "6.1.0-56-amd64\n",
		"sys/firmware/efi/fw_platform_size":  "64\n",
		"sys/class/dmi/id/sys_vendor":        "Dell Inc.\n",
		"sys/class/dmi/id/product_name":      "PowerEdge R640\n",
		"sys/class/dmi/id/product_serial":    "ABC1234\n",
		"sys/class/dmi/id/product_uuid":      "4C4C4544-0042-3510-8056-B4C04F333132\n",
		"sys/class/dmi/id/chassis_serial":    "CH1\n",
		"sys/class/dmi/id/chassis_asset_tag": "  A-7 \n",
		"sys/class/dmi/id/bios_version":      "2.1.8\n",
		"sys/block/vda/size":                 "2048\n",
		"sys/block/vda/serial":               "V1",
		"sys/class/net/lo/address":           "00:00:00:00:00:00\n",
		"sys/class/net/br0/address":          "52:54:00:00:00:09\n",
		"sys/class/net/eth0/address":         "52:54:00:aa:00:01\n",
		"sys/class/net/eth0/carrier":         "1\n",
		"sys/class/net/eth0/speed":           "25000\n",
		"sys/class/net/eth1/address":         "52:54:00:aa:00:02\n",
		"sys/class/net/eth1/speed":           "-1\n",
		"proc/cpuinfo":                       "processor\t: 0\nmodel name\t: X\n",
	})
	pci := filepath.Join(root, "sys/devices/pci0000:00")
	link(t, filepath.Join(pci, "0000:02:00.0"), filepath.Join(root, "sys/class/net/eth0/device"))
	link(t, filepath.Join(root, "sys/bus/pci/drivers/mlx5_core"), filepath.Join(pci, "0000:02:00.0/driver"))
	link(t, filepath.Join(pci, "0000:03:00.0/virtio1"), filepath.Join(root, "sys/class/net/eth1/device"))

	dev := filepath.Join(root, "dev")
	put(t, dev, map[string]string{"vda": "\x00XFS is no magic here"})
	require.NoError(t, os.Truncate(filepath.Join(dev, "vda"), 1<<20))
	inv, err := Source{Root: root, Dev: dev}.Collect()
	require.NoError(t, err)
	assert.Equal(t, Inventory{
		Arch: runtime.GOARCH, Kernel: "6.1.0-56-amd64", FirmwareMode: "uefi", BootMAC: "52:54:00:aa:00:01",
		System: System{Vendor: "Dell Inc.", Product: "PowerEdge R640", Serial: "ABC1234",
			UUID: "4c4c4544-0042-3510-8056-b4c04f333132", ChassisSerial: "CH1", AssetTag: "A-7", BIOSVersion: "2.1.8"},
		CPU:         CPU{Model: "X", Sockets: 1, Cores: 1, Threads: 1},
		MemoryBytes: 4125114368,
		Disks:       []disk.Disk{{Name: "vda", Path: filepath.Join(dev, "vda"), Serial: "V1", Size: 1 << 20, Transport: "virtio", Content: []string{"data of no known kind at 0"}}},
		NICs: []NIC{
			{Name: "eth0", MAC: "52:54:00:aa:00:01", Driver: "mlx5_core", Bus: "0000:02:00.0", Speed: 25000, Link: true},
			{Name: "eth1", MAC: "52:54:00:aa:00:02", Bus: "0000:03:00.0"},
		},
	}, inv)
}

func TestCollectWithoutProc(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "sys/block"), 0o755))
	_, err := Source{Root: root}.Collect()
	require.ErrorContains(t, err, "proc/meminfo")
}

func TestParseCPU(t *testing.T) {
	t.Parallel()
	two := ""
	for _, ids := range []string{"0 0", "0 1", "0 0", "0 1", "1 0", "1 1", "1 0", "1 1"} {
		two += "processor\t: 1\nmodel name\t: Xeon: Gold\nphysical id\t: " + ids[:1] + "\ncore id\t\t: " + ids[2:] + "\n\n"
	}
	for name, tc := range map[string]struct {
		text string
		want CPU
	}{
		"two sockets": {two, CPU{Model: "Xeon: Gold", Sockets: 2, Cores: 4, Threads: 8}},
		"arm64":       {"processor\t: 0\nCPU part\t: 0xd08\n\nprocessor\t: 1\n\n", CPU{Sockets: 1, Cores: 2, Threads: 2}},
		"empty":       {"", CPU{}},
	} {
		assert.Equal(t, tc.want, parseCPU(tc.text), name)
	}
}
