package datadir

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCopyIsPrivate: the copy of the database that lies beside a backup while
// that is written.
func TestCopyIsPrivate(t *testing.T) {
	t.Parallel()
	to := filepath.Join(t.TempDir(), "copy.db")
	_, err := (&backup{cfg: BackupConfig{Config: made(t)}}).snapshot(t.Context(), to)
	require.NoError(t, err)
	info, err := os.Stat(to)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o600), info.Mode())
}
