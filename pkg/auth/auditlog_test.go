package auth

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func auditLog(t *testing.T, dir string, failed func(error)) *AuditLog {
	t.Helper()
	l, err := OpenAuditLog(dir, failed)
	require.NoError(t, err)
	return l
}

func TestAuditLogIsAChain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 3 { // over restarts
		l := auditLog(t, dir, nil)
		for k := range 5 {
			l.Add(Record{Time: time.Unix(int64(i), 0), Action: "POST", Actor: "a", Path: fmt.Sprint(i, k)})
		}
		require.NoError(t, l.Close())
	}
	n, breaks, err := CheckAudit(dir)
	require.NoError(t, err)
	assert.Equal(t, 15, n)
	assert.Empty(t, breaks)

	path := filepath.Join(dir, "audit.log")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := strings.SplitAfter(string(data), "\n")
	for what, changed := range map[string]string{
		"one taken out": strings.Join(append(lines[:4:4], lines[5:]...), ""),
		"one changed":   strings.Replace(string(data), `"Path":"1 2"`, `"Path":"1 9"`, 1),
		"two swapped":   strings.Join(append(append(lines[:4:4], lines[5], lines[4]), lines[6:]...), ""),
	} {
		require.NoError(t, os.WriteFile(path, []byte(changed), 0o600))
		_, breaks, err := CheckAudit(dir)
		require.NoError(t, err)
		assert.NotEmpty(t, breaks, what)
	}

	// A crash in the middle of a line: the rest goes on after it.
	require.NoError(t, os.WriteFile(path, data[:len(data)-10], 0o600))
	l := auditLog(t, dir, nil)
	l.Add(Record{Action: "after"})
	require.NoError(t, l.Close())
	n, breaks, err = CheckAudit(dir)
	require.NoError(t, err)
	assert.Equal(t, 15, n)
	assert.Equal(t, []string{"audit.log line 15"}, breaks)
}

func TestAuditLogRotates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := auditLog(t, dir, nil)
	for i := range AuditFiles + 3 {
		l.size = AuditFileMax + 1
		l.Add(Record{Action: fmt.Sprint(i)})
		l.Flush()
	}
	require.NoError(t, l.Close())
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, list, AuditFiles)
	n, breaks, err := CheckAudit(dir)
	require.NoError(t, err)
	assert.Equal(t, AuditFiles, n, "one in each")
	assert.Empty(t, breaks, "the chain goes through all files")
}

// A disk that takes nothing is told once; the records wait, and nobody with them.
func TestAuditLogThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var told []error
	l := auditLog(t, dir, func(err error) { told = append(told, err) })
	good := l.file
	bad, err := os.Open(l.path()) // for reading only
	require.NoError(t, err)
	l.file = bad
	for range auditWaiting + 7 {
		l.Add(Record{Action: "x"})
	}
	l.Flush()
	l.Flush()
	require.Len(t, told, 1)
	assert.ErrorContains(t, told[0], "records of audit are not written")
	assert.NoError(t, errors.Join(bad.Close()))
	l.file = good
	require.NoError(t, l.Close())
	n, breaks, err := CheckAudit(dir)
	require.NoError(t, err)
	assert.Equal(t, auditWaiting+1, n)
	assert.Empty(t, breaks)
	data, err := os.ReadFile(l.path())
	require.NoError(t, err)
	assert.Contains(t, string(data), "7 records could not be written")
}
