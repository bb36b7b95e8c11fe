package image

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestModuleOrder(t *testing.T) {
	t.Parallel()
	index, err := readModuleIndex("testdata/modules")
	require.NoError(t, err)

	tests := []struct {
		name string
		want []string
		out  []string
		err  string
	}{
		{"no dependency", []string{"crc16"}, []string{"kernel/lib/crc16.ko"}, ""},
		{"dependencies first, each once", []string{"virtio_net", "virtio_blk"}, []string{
			"kernel/drivers/virtio/virtio_ring.ko", "kernel/net/core/failover.ko", "kernel/drivers/net/net_failover.ko",
			"kernel/drivers/net/virtio_net.ko", "kernel/drivers/block/virtio_blk.ko",
		}, ""},
		{"dash or underscore", []string{"sd-mod"}, []string{"kernel/lib/t10-pi.ko.xz", "kernel/drivers/scsi/sd_mod.ko"}, ""},
		{"soft dependency by alias, all that match", []string{"ext4"}, []string{
			"kernel/crypto/crc32c_generic.ko", "kernel/arch/x86/crypto/crc32c-intel.ko", "kernel/lib/crc16.ko", "kernel/fs/ext4/ext4.ko",
		}, ""},
		{"soft dependency after is left out, a missing one too", []string{"nvme"}, []string{"kernel/drivers/nvme/nvme.ko"}, ""},
		{"soft dependencies in a circle", []string{"loop_a"}, []string{"kernel/loop_b.ko", "kernel/loop_a.ko"}, ""},
		{"built in", []string{"nls_ascii", "crc16"}, []string{"kernel/lib/crc16.ko"}, ""},
		{"unknown", []string{"e1000x"}, nil, "order kernel modules: e1000x is neither a module of this kernel nor built in"},
		{"unknown dependency", []string{"broken"}, nil, "order kernel modules: gone is neither a module of this kernel nor built in (needed by broken)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out, err := index.Order(tt.want)
			if tt.err != "" {
				require.EqualError(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.out, out)
		})
	}
}

func TestModuleIndexNeedsDepmod(t *testing.T) {
	t.Parallel()
	_, err := readModuleIndex(t.TempDir())
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "create it with depmod")
}

func TestModuleSets(t *testing.T) {
	t.Parallel()
	generic, ok := FindModuleSet("generic")
	require.True(t, ok)
	assert.Equal(t, "linux-image-amd64", generic.Package)
	for _, name := range []string{
		"virtio_net", "virtio_blk", "nvme", "ahci", "ata_piix", "sd_mod", "e1000", "e1000e", "igb", "ext4", "vfat",
	} {
		assert.Contains(t, generic.Modules, name)
	}
	cloud, ok := FindModuleSet("cloud")
	require.True(t, ok)
	assert.NotContains(t, cloud.Modules, "ahci", "the cloud kernel has none")
	_, ok = FindModuleSet("tiny")
	assert.False(t, ok)
}
