package image

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDiskLayout(t *testing.T) {
	t.Parallel()
	d := newDiskLayout(600, "0123456789abcdef.tar")
	assert.Equal(t, []string{
		"--clear",
		"--new=1:2048:4095", "--typecode=1:ef02", "--change-name=1:bios",
		"--new=2:4096:69631", "--typecode=2:ef00", "--change-name=2:esp",
		"--new=3:69632:1226751", "--typecode=3:8304", "--change-name=3:root",
		"disk.raw",
	}, d.partitionArgs("disk.raw"))
	assert.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, d.rootUUID)
	assert.Regexp(t, `^[0-9a-f]{8}$`, d.espID)
	assert.Equal(t, d, newDiskLayout(600, "0123456789abcdef.tar"), "same tree, same identifiers")
	assert.NotEqual(t, d.rootUUID, newDiskLayout(600, "other.tar").rootUUID)
	assert.Contains(t, d.bootConfig(), "root=UUID="+d.rootUUID)
	assert.Contains(t, d.fstab(), "UUID="+d.rootUUID+" / ext4")
}

func TestWriteDiskRefusesTooSmall(t *testing.T) {
	t.Parallel()
	err := writeDisk(t.Context(), newDiskLayout(98, "x"), "tree", filepath.Join(t.TempDir(), "raw"))
	require.EqualError(t, err, "disk of 98 MiB has no room for a root file system")
}

func TestLinkBIOS(t *testing.T) {
	t.Parallel()
	boot, core := make([]byte, 512), make([]byte, 1024)
	require.NoError(t, linkBIOS(boot, core))
	assert.Equal(t, []byte{0x00, 0x08, 0, 0, 0, 0, 0, 0}, boot[0x5c:0x64], "core.img starts at sector 2048")
	assert.Equal(t, []byte{0x90, 0x90}, boot[0x66:0x68])
	assert.Equal(t, []byte{0x01, 0x08, 0, 0, 0, 0, 0, 0}, core[0x1f4:0x1fc], "and continues at 2049")

	require.ErrorContains(t, linkBIOS(boot[:100], core), "boot.img has 100 bytes")
	require.ErrorContains(t, linkBIOS(boot, make([]byte, 1<<20+1)), "the partition 1048576")
}

func TestTreeKey(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "a.sources")
	key := func(cfg OSConfig, body string) string {
		require.NoError(t, os.WriteFile(file, []byte(body), 0o644))
		k, err := treeKey(bootstrapArgs(cfg), []string{file})
		require.NoError(t, err)
		return k
	}
	base := key(OSConfig{Kernel: "k", Drpcli: "one"}, "x")
	assert.Len(t, base, 16)
	assert.Equal(t, base, key(OSConfig{Kernel: "k", Drpcli: "two", RootPassword: "p"}, "x"), "what is added later does not reinstall")
	assert.NotEqual(t, base, key(OSConfig{Kernel: "l"}, "x"))
	assert.NotEqual(t, base, key(OSConfig{Kernel: "k", Packages: []string{"jq"}}, "x"))
	assert.NotEqual(t, base, key(OSConfig{Kernel: "k"}, "y"))
}

func TestKernelPackageText(t *testing.T) {
	t.Parallel()
	fields := controlFields([]byte("Package: linux-image-amd64\nDepends: linux-image-6.1.0-9-amd64 (= 6.1.9-2)\nDescription: a\n b: c\nVersion: 6.1.9-2\n\nPackage: second\n"))
	assert.Equal(t, "6.1.9-2", fields["Version"])
	assert.Equal(t, "linux-image-amd64", fields["Package"], "only the first paragraph counts")
	assert.Equal(t, "linux-image-6.1.0-9-amd64", kernelDependency(fields["Depends"]))
	assert.Empty(t, kernelDependency("kmod, linux-base (>= 4.3~), initramfs-tools (>= 0.120+deb8u2) | linux-initramfs-tool"))
}

func TestRequireToolsNamesPackages(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := requireTools("mcopy", "mmd", "sgdisk")
	require.ErrorIs(t, err, errMissing)
	require.EqualError(t, err, "image tools not installed: install them with: apt-get install mtools gdisk")
}
