//go:build linux

package disk

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const testDiskSize = 8 * mib

// testImage has data in MiB 0 and 3, zeros in 1 and 2, and a short last block.
func testImage() []byte {
	raw := make([]byte, 4*mib+700)
	for i := range raw {
		if i < mib || i >= 3*mib {
			raw[i] = byte(i*7>>3) | 1
		}
	}
	return raw
}

func pack(t *testing.T, raw []byte) (stream []byte, sum string) {
	t.Helper()
	enc, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	stream = enc.EncodeAll(raw, nil)
	h := sha256.Sum256(stream)
	return stream, hex.EncodeToString(h[:])
}

func TestDeploy(t *testing.T) {
	t.Parallel()
	h := newHost(t, fileDevice{}, testDisk{name: "vda", serial: "A", size: testDiskSize}, testDisk{name: "vdb", serial: "B", size: testDiskSize})
	other := content(t, h, "vdb")
	raw := testImage()
	stream, sum := pack(t, raw)
	var log bytes.Buffer
	rep, err := h.Deploy(t.Context(), Deploy{Want: Want{Serial: "A"}, Image: iotest.HalfReader(bytes.NewReader(stream)),
		SHA256: sum, RawSize: int64(len(raw)), Protected: []string{"B"}, Log: &log})
	require.NoError(t, err)
	assert.Equal(t, "vda", rep.Disk.Name)
	assert.Equal(t, int64(4*mib+700), rep.Bytes)
	assert.Equal(t, int64(2*mib+1024), rep.NonZero)
	assert.Equal(t, sum, rep.SHA256)
	assert.True(t, rep.Verified)
	got := content(t, h, "vda")
	assert.True(t, bytes.Equal(raw, got[:len(raw)]), "image")
	assert.True(t, bytes.Equal(make([]byte, mib), got[7*mib:]), "stale backup table")
	assert.True(t, bytes.Equal(other, content(t, h, "vdb")), "other disk")
	assert.Contains(t, log.String(), "read back vda: 4195004 of 4195004 bytes")
}

// TestDeployImageAsLargeAsDisk covers a last block that is the end of the disk.
func TestDeployImageAsLargeAsDisk(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte("drpd"), testDiskSize/4)
	stream, sum := pack(t, raw)
	h := newHost(t, fileDevice{}, testDisk{name: "vda", serial: "A", size: testDiskSize})
	_, err := h.Deploy(t.Context(), Deploy{Want: Want{Serial: "A"}, Image: bytes.NewReader(stream), SHA256: sum, RawSize: testDiskSize})
	require.NoError(t, err)
	assert.True(t, bytes.Equal(raw, content(t, h, "vda")))
}

func TestDeployRefuses(t *testing.T) {
	t.Parallel()
	stream, sum := pack(t, testImage())
	size := int64(len(testImage()))
	for name, tc := range map[string]struct {
		change func(*Deploy)
		err    string
	}{
		"absent":       {func(d *Deploy) { d.Want.Serial = "X" }, "no disk with serial X; present: vda"},
		"unnamed":      {func(d *Deploy) { d.Want = Want{} }, "no disk named"},
		"ambiguous":    {func(d *Deploy) { d.Want.Serial = "TWIN" }, "2 disks with serial TWIN"},
		"protected":    {func(d *Deploy) { d.Protected = []string{"Z", "a"} }, `disk vda is protected by "a"`},
		"read-only":    {func(d *Deploy) { d.Want.Serial = "RO" }, "disk vdr is read-only"},
		"too small":    {func(d *Deploy) { d.RawSize = testDiskSize + 1 }, "disk vda has 8388608 bytes, the image needs 8388609"},
		"no size":      {func(d *Deploy) { d.RawSize = 0 }, "raw size of the image is unknown"},
		"no checksum":  {func(d *Deploy) { d.SHA256 = "" }, "is no SHA-256"},
		"bad checksum": {func(d *Deploy) { d.SHA256 = "12zz" }, "is no SHA-256"},
		"no image":     {func(d *Deploy) { d.Image = nil }, "no image stream"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, fileDevice{}, testDisk{name: "vda", serial: "A", size: testDiskSize},
				testDisk{name: "vdb", serial: "TWIN", size: mib}, testDisk{name: "vdc", serial: "TWIN", size: mib},
				testDisk{name: "vdr", serial: "RO", size: testDiskSize, readOnly: true})
			d := Deploy{Want: Want{Serial: "A"}, Image: bytes.NewReader(stream), SHA256: sum, RawSize: size}
			tc.change(&d)
			_, err := h.Deploy(t.Context(), d)
			require.ErrorContains(t, err, tc.err)
			assert.True(t, IsRefusal(err))
			for _, name := range []string{"vda", "vdb", "vdc", "vdr"} {
				b := content(t, h, name)
				assert.True(t, bytes.Equal(bytes.Repeat([]byte{0xaa}, len(b)), b), name)
			}
		})
	}
}

func TestDeployRefusesOtherSize(t *testing.T) {
	t.Parallel()
	stream, sum := pack(t, testImage())
	h := newHost(t, fileDevice{}, testDisk{name: "vda", serial: "A", size: testDiskSize})
	require.NoError(t, os.WriteFile(filepath.Join(h.Dev, "vda"), bytes.Repeat([]byte{0xaa}, 9*mib), 0o600))
	_, err := h.Deploy(t.Context(), Deploy{Want: Want{Serial: "A"}, Image: bytes.NewReader(stream), SHA256: sum, RawSize: mib})
	require.ErrorContains(t, err, "has 9437184 bytes, sysfs says 8388608")
	assert.True(t, bytes.Equal(bytes.Repeat([]byte{0xaa}, 9*mib), content(t, h, "vda")))
}

func TestDeployFailureLeavesDiskUnbootable(t *testing.T) {
	t.Parallel()
	stream, sum := pack(t, testImage())
	cut := stream[:len(stream)-9]
	cutSum := sha256.Sum256(cut)
	wrong := sha256.Sum256([]byte("other"))
	for name, tc := range map[string]struct {
		fault  fileDevice
		change func(*Deploy)
		err    string
	}{
		"wrong checksum": {change: func(d *Deploy) { d.SHA256 = hex.EncodeToString(wrong[:]) }, err: "image checksum is " + sum},
		"truncated": {change: func(d *Deploy) { d.Image, d.SHA256 = bytes.NewReader(cut), hex.EncodeToString(cutSum[:]) },
			err: "image stream at offset"},
		"empty":      {change: func(d *Deploy) { d.Image = bytes.NewReader(nil) }, err: "image checksum is"},
		"broken":     {change: func(d *Deploy) { d.Image = iotest.ErrReader(errors.New("connection lost")) }, err: "connection lost"},
		"no zstd":    {change: func(d *Deploy) { d.Image = bytes.NewReader([]byte("MZ not zstd")) }, err: "image stream at offset 0"},
		"too long":   {change: func(d *Deploy) { d.RawSize-- }, err: "image is longer than its 4195003 bytes"},
		"too short":  {change: func(d *Deploy) { d.RawSize++ }, err: "image has 4195004 bytes, expected 4195005"},
		"bad write":  {fault: fileDevice{corrupt: 3*mib + 5}, err: "read back: block of 1048576 bytes at offset 3145728 is not what was written"},
		"bad boot":   {fault: fileDevice{corrupt: 300}, err: "boot sector and partition table: read back"},
		"not zeroed": {fault: fileDevice{noZero: true}, err: "read back: byte at offset 1048576 is 0xaa, wrote zero"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, tc.fault, testDisk{name: "vda", serial: "A", size: testDiskSize})
			d := Deploy{Want: Want{Serial: "A"}, Image: bytes.NewReader(stream), SHA256: sum, RawSize: int64(len(testImage()))}
			if tc.change != nil {
				tc.change(&d)
			}
			rep, err := h.Deploy(t.Context(), d)
			require.ErrorContains(t, err, tc.err)
			assert.False(t, IsRefusal(err))
			assert.False(t, rep.Verified)
			got := content(t, h, "vda")
			assert.True(t, bytes.Equal(make([]byte, mib), got[:mib]), "first MiB")
			assert.True(t, bytes.Equal(make([]byte, mib), got[7*mib:]), "last MiB")
		})
	}
}
