package sqlite

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAStartWaitsForTheLockOfADyingProcess: the lock is let go while the second
// Open is already asking for it.
func TestAStartWaitsForTheLockOfADyingProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	first, err := Open(context.Background(), Config{Path: path})
	require.NoError(t, err)
	time.AfterFunc(lockPatience/10, func() { _ = first.Close() })
	second, err := Open(context.Background(), Config{Path: path})
	require.NoError(t, err)
	require.NoError(t, second.Close())
}
