//go:build linux

package disk

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// fileDevice is a regular file standing in for a disk, with faults to inject.
type fileDevice struct {
	*os.File
	size    int64
	corrupt int64 // flip the byte written at this offset; none when 0
	noZero  bool  // claim to zero and do nothing
}

func (f *fileDevice) Size() int64                { return f.size }
func (f *fileDevice) Align() int                 { return 512 }
func (f *fileDevice) Flush() error               { return nil }
func (f *fileDevice) Reread() error              { return nil }
func (f *fileDevice) Discard(off, n int64) error { return f.erase(off, n) }
func (f *fileDevice) erase(off, n int64) error   { return writeZeros(f.File, make([]byte, mib), off, n) }
func (f *fileDevice) Zero(off, n int64) error {
	if f.noZero && off > 0 && off+n < f.size {
		return nil
	}
	return f.erase(off, n)
}

func (f *fileDevice) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(p, off)
	if err == nil && f.corrupt >= off && f.corrupt < off+int64(len(p)) && f.corrupt > 0 {
		_, err = f.File.WriteAt([]byte{p[f.corrupt-off] ^ 0x10}, f.corrupt)
	}
	return n, err
}

// testDisk is one fixture disk.
type testDisk struct {
	name, serial string
	size         int64
	readOnly     bool
}

// newHost makes a machine with the disks given, each full of 0xAA.
func newHost(t *testing.T, fault fileDevice, disks ...testDisk) Host {
	t.Helper()
	dir := t.TempDir()
	h := Host{Sys: filepath.Join(dir, "sys"), Dev: filepath.Join(dir, "dev")}
	require.NoError(t, os.MkdirAll(h.Dev, 0o755))
	for _, d := range disks {
		ro := "0"
		if d.readOnly {
			ro = "1"
		}
		writeAttrs(t, filepath.Join(h.Sys, "block", d.name), map[string]string{
			"size": strconv.FormatInt(d.size/512, 10), "serial": d.serial, "ro": ro,
		})
		b := make([]byte, d.size)
		for i := range b {
			b[i] = 0xaa
		}
		require.NoError(t, os.WriteFile(filepath.Join(h.Dev, d.name), b, 0o600))
	}
	h.open = func(d Disk) (device, error) {
		f, err := os.OpenFile(d.Path, os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		st, err := f.Stat()
		if err != nil {
			return nil, err
		}
		dev := fault
		dev.File, dev.size = f, st.Size()
		return &dev, nil
	}
	return h
}

func writeAttrs(t *testing.T, dir string, attrs map[string]string) {
	t.Helper()
	for name, value := range attrs {
		p := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
		require.NoError(t, os.WriteFile(p, []byte(value), 0o600))
	}
}

func content(t *testing.T, h Host, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(h.Dev, name))
	require.NoError(t, err)
	return b
}
