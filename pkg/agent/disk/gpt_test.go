//go:build linux

package disk

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// gptImage is the first MiB of an image of 4 MiB (8192 sectors) with one
// partition, laid out by hand from the specification.
func gptImage() []byte {
	le := binary.LittleEndian
	b := make([]byte, mib)
	b[446+4] = 0xee
	le.PutUint32(b[446+8:], 1)
	le.PutUint32(b[446+12:], 8191)
	entries := b[1024 : 1024+128*128]
	copy(entries, "TYPETYPETYPETYPEUNIQUNIQUNIQUNIQ")
	le.PutUint64(entries[32:], 2048)
	le.PutUint64(entries[40:], 8000)
	h := b[512:604]
	copy(h, "EFI PART\x00\x00\x01\x00\x5c\x00\x00\x00")
	le.PutUint64(h[24:], 1)
	le.PutUint64(h[32:], 8191)
	le.PutUint64(h[40:], 34)
	le.PutUint64(h[48:], 8158)
	copy(h[56:], "DISKDISKDISKDISK")
	le.PutUint64(h[72:], 2)
	le.PutUint32(h[80:], 128)
	le.PutUint32(h[84:], 128)
	le.PutUint32(h[88:], crc32.ChecksumIEEE(entries))
	le.PutUint32(h[16:], crc32.ChecksumIEEE(h))
	return b
}

func TestMoveBackupGPT(t *testing.T) {
	t.Parallel()
	le := binary.LittleEndian
	head := gptImage()
	entries := bytes.Clone(head[1024 : 1024+128*128])
	backup := moveBackupGPT(head, 512, 16*mib, 4*mib) // 32768 sectors
	require.Len(t, backup, 33*512)
	assert.Equal(t, entries, backup[:128*128])
	p, b := head[512:604], backup[32*512:32*512+92]
	for name, tc := range map[string]struct {
		h                        []byte
		my, alt, usable, entries uint64
	}{
		"primary": {p, 1, 32767, 32734, 2},
		"backup":  {b, 32767, 1, 32734, 32735},
	} {
		assert.Equal(t, tc.my, le.Uint64(tc.h[24:]), name)
		assert.Equal(t, tc.alt, le.Uint64(tc.h[32:]), name)
		assert.Equal(t, uint64(34), le.Uint64(tc.h[40:]), name)
		assert.Equal(t, tc.usable, le.Uint64(tc.h[48:]), name)
		assert.Equal(t, tc.entries, le.Uint64(tc.h[72:]), name)
		assert.Equal(t, headerCRC(tc.h), le.Uint32(tc.h[16:]), name)
	}
	assert.Equal(t, uint32(32767), le.Uint32(head[446+12:]), "protective entry")
}

func TestMoveBackupGPTLeavesAlone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func([]byte)
		disk   int64
		sector int
	}{
		"no table":       {func(b []byte) { clear(b[512:1024]) }, 16 * mib, 512},
		"bad header crc": {func(b []byte) { b[512+60]++ }, 16 * mib, 512},
		"bad entry crc":  {func(b []byte) { b[1024]++ }, 16 * mib, 512},
		"same size":      {func([]byte) {}, 4 * mib, 512},
		"other sector":   {func([]byte) {}, 16 * mib, 4096},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			head := gptImage()
			tc.change(head)
			want := bytes.Clone(head)
			assert.Nil(t, moveBackupGPT(head, tc.sector, tc.disk, 4*mib))
			assert.True(t, bytes.Equal(want, head))
		})
	}
}

func TestDeployMovesBackupGPT(t *testing.T) {
	t.Parallel()
	raw := append(gptImage(), make([]byte, 3*mib)...)
	stream, sum := pack(t, raw)
	h := newHost(t, fileDevice{}, testDisk{name: "vda", serial: "A", size: 16 * mib})
	_, err := h.Deploy(t.Context(), Deploy{Want: Want{Serial: "A"}, Image: bytes.NewReader(stream), SHA256: sum, RawSize: 4 * mib})
	require.NoError(t, err)
	got := content(t, h, "vda")
	assert.Equal(t, "EFI PART", string(got[16*mib-512:16*mib-504]))
	assert.Equal(t, uint64(32767), binary.LittleEndian.Uint64(got[512+32:]))
}

func FuzzGPT(f *testing.F) {
	f.Add(gptImage()[:20000])
	f.Fuzz(func(t *testing.T, head []byte) {
		moveBackupGPT(head, 512, 16*mib, 4*mib)
	})
}
