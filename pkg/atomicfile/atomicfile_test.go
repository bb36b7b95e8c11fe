package atomicfile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/atomicfile"
)

func TestWriteAndCreate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	require.NoError(t, atomicfile.Create(path, []byte("one"), 0o600))
	require.ErrorIs(t, atomicfile.Create(path, []byte("two"), 0o600), fs.ErrExist)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "one", string(data))

	require.NoError(t, atomicfile.Write(path, []byte("three"), 0o640))
	data, err = os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "three", string(data))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o640), info.Mode())

	assert.ErrorIs(t, atomicfile.Write(filepath.Join(dir, "none", "key"), nil, 0o600), fs.ErrNotExist)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "taken"), 0o700))
	assert.ErrorContains(t, atomicfile.Write(filepath.Join(dir, "taken"), nil, 0o600), "write "+filepath.Join(dir, "taken"))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 2, "no temporary file is left")
}
