//go:build linux

package disk

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func threeDisks(t *testing.T, fault fileDevice) Host {
	return newHost(t, fault, testDisk{name: "vda", serial: "A", size: 6*mib + 512},
		testDisk{name: "vdb", serial: "B", size: 5 * mib}, testDisk{name: "vdc", serial: "C", size: mib},
		testDisk{name: "vdr", serial: "RO", size: mib, readOnly: true})
}

func TestWipeAndVerify(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{WipeZero, WipeDiscard, WipeWrite} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			h := threeDisks(t, fileDevice{})
			wants := []Want{{Serial: "B"}, {Serial: "A"}}
			var log bytes.Buffer
			_, err := h.VerifyBlank(t.Context(), wants, &log)
			require.ErrorContains(t, err, "vdb (serial B): byte at offset 0 is 0xaa, not zero")
			assert.ErrorContains(t, err, "vda (serial A): byte at offset 0 is 0xaa")
			reps, err := h.Wipe(t.Context(), Wipe{Wants: wants, Mode: mode, Protected: []string{"C"}, Log: &log})
			require.NoError(t, err)
			require.Len(t, reps, 2)
			assert.Equal(t, "vdb", reps[0].Disk.Name)
			assert.Equal(t, int64(5*mib), reps[0].Bytes)
			reps, err = h.VerifyBlank(t.Context(), wants, &log)
			require.NoError(t, err)
			assert.True(t, reps[0].Verified && reps[1].Verified)
			assert.Equal(t, int64(6*mib+512), reps[1].Bytes)
			assert.True(t, bytes.Equal(make([]byte, 6*mib+512), content(t, h, "vda")))
			assert.True(t, bytes.Equal(bytes.Repeat([]byte{0xaa}, mib), content(t, h, "vdc")), "disk not named")
		})
	}
}

func TestWipeRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		wipe Wipe
		err  string
	}{
		"protected is last": {Wipe{Wants: []Want{{Serial: "A"}, {Serial: "C"}}, Mode: WipeZero, Protected: []string{"C"}}, `disk vdc is protected by "C"`},
		"absent is last":    {Wipe{Wants: []Want{{Serial: "A"}, {Serial: "X"}}, Mode: WipeZero}, "no disk with serial X"},
		"read-only is last": {Wipe{Wants: []Want{{Serial: "A"}, {Serial: "RO"}}, Mode: WipeZero}, "disk vdr is read-only"},
		"twice":             {Wipe{Wants: []Want{{Serial: "A"}, {Serial: "A"}}, Mode: WipeZero}, "are the same disk vda"},
		"none":              {Wipe{Mode: WipeZero}, "no disk named"},
		"mode":              {Wipe{Wants: []Want{{Serial: "A"}}, Mode: "shred"}, `mode "shred" is not zero, discard, write or erase`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := threeDisks(t, fileDevice{})
			_, err := h.Wipe(t.Context(), tc.wipe)
			require.ErrorContains(t, err, tc.err)
			assert.True(t, IsRefusal(err))
			for _, name := range []string{"vda", "vdb", "vdc", "vdr"} {
				b := content(t, h, name)
				assert.True(t, bytes.Equal(bytes.Repeat([]byte{0xaa}, len(b)), b), name)
			}
		})
	}
}

// TestWipeOpensAllFirst has a second disk that cannot be opened.
func TestWipeOpensAllFirst(t *testing.T) {
	t.Parallel()
	h := threeDisks(t, fileDevice{})
	require.NoError(t, os.Remove(filepath.Join(h.Dev, "vdc")))
	_, err := h.Wipe(t.Context(), Wipe{Wants: []Want{{Serial: "A"}, {Serial: "C"}}, Mode: WipeZero})
	require.ErrorContains(t, err, "vdc: no such file")
	assert.True(t, bytes.Equal(bytes.Repeat([]byte{0xaa}, 6*mib+512), content(t, h, "vda")))
}

func TestWipeCanceled(t *testing.T) {
	t.Parallel()
	h := threeDisks(t, fileDevice{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := h.Wipe(ctx, Wipe{Wants: []Want{{Serial: "A"}}, Mode: WipeZero})
	require.ErrorIs(t, err, context.Canceled)
	assert.False(t, IsRefusal(err))
}

// TestVerifyBlankFindsOneByte puts single bytes at the places a loop gets wrong.
func TestVerifyBlankFindsOneByte(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		off int64
		err string
	}{
		"first": {0, "byte at offset 0 is 0x01"}, "block end": {4*mib - 1, "byte at offset 4194303 is 0x01"},
		"block start": {4 * mib, "byte at offset 4194304 is 0x01"}, "last": {6*mib + 511, "byte at offset 6291967 is 0x01"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := threeDisks(t, fileDevice{})
			b := make([]byte, 6*mib+512)
			b[tc.off] = 1
			require.NoError(t, os.WriteFile(filepath.Join(h.Dev, "vda"), b, 0o600))
			_, err := h.VerifyBlank(t.Context(), []Want{{Serial: "A"}}, nil)
			require.ErrorContains(t, err, tc.err)
		})
	}
}

// TestLargeDisksAreSampled: places all over the disk are read, its first and
// last MiB among them, and so many at most; the report shows all parts.
func TestLargeDisksAreSampled(t *testing.T) {
	t.Parallel()
	const size = 20_000_588_955_648 // 20 TB
	read := map[int64]bool{}
	dev := &vast{size: size, at: func(off int64, b []byte) { read[off] = true }}
	p := &pass{dev: dev, log: io.Discard}
	require.NoError(t, p.verifyBlank(t.Context(), p.span()))
	assert.Len(t, read, places)
	assert.True(t, read[0] && read[size-mib], "the edges")
	assert.Equal(t, int64(places*mib), p.rep.Bytes)
	parts := map[int64]bool{}
	for _, off := range p.rep.Samples {
		assert.True(t, read[off])
		parts[off*32/size] = true
	}
	assert.Len(t, parts, 32, "each part has a sample")
	assert.LessOrEqual(t, len(p.rep.Samples), 64)
	for _, dirty := range []int64{0, size - 1} {
		dev.at = func(off int64, b []byte) {
			if dirty >= off && dirty < off+int64(len(b)) {
				b[dirty-off] = 1
			}
		}
		p := &pass{dev: dev, log: io.Discard}
		assert.ErrorContains(t, p.verifyBlank(t.Context(), p.span()), "is 0x01, not zero")
	}
}

// vast is a large disk of zeros.
type vast struct {
	fileDevice
	size int64
	at   func(off int64, b []byte)
}

func (v *vast) Size() int64 { return v.size }
func (v *vast) ReadAt(b []byte, off int64) (int, error) {
	clear(b)
	v.at(off, b)
	return len(b), nil
}
