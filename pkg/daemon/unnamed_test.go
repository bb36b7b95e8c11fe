package daemon

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
)

// A log that no job names stays for a day of looking, over restarts and jumps of
// the clock; what is named again is forgotten.
func TestUnnamedFilesWait(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func() *Daemon {
		d, err := Open(t.Context(), Config{DataDir: dir})
		require.NoError(t, err)
		return d
	}
	d := open()
	logs := []string{rest.JobLog("11111111-1111-1111-1111-111111111111"), rest.JobLog("22222222-2222-2222-2222-222222222222")}
	for _, l := range logs {
		_, err := d.blobs.Append(t.Context(), l, strings.NewReader("x"), 10)
		require.NoError(t, err)
	}
	there := func() (n int) {
		for _, l := range logs {
			if _, err := d.blobs.Stat(l); err == nil {
				n++
			}
		}
		return n
	}
	require.NoError(t, d.dropUnnamed(t.Context(), 100*time.Hour), "found for the first time: whatever was measured before")
	require.NoError(t, d.dropUnnamed(t.Context(), 23*time.Hour))
	assert.Equal(t, 2, there())
	require.NoError(t, d.Close())
	d = open()
	require.NoError(t, d.dropUnnamed(t.Context(), 0), "a start alone measures nothing")
	assert.Equal(t, 2, there())
	require.NoError(t, d.DB.Update(t.Context(), func(tx *resource.Tx) error {
		m := &api.Machine{Name: "n"}
		require.NoError(t, api.Machines.Create(tx, m))
		return api.Jobs.Create(tx, &api.Job{Uuid: "22222222-2222-2222-2222-222222222222", Machine: m.Uuid, State: "created"})
	}))
	require.NoError(t, d.dropUnnamed(t.Context(), time.Hour))
	assert.Equal(t, 1, there(), "the one that is still unnamed goes")
	_, err := d.blobs.Stat(logs[1])
	assert.NoError(t, err)
	require.NoError(t, d.Close())
}
