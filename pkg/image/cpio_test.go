package image

import (
	"bytes"
	"errors"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// parsedEntry is what the format's description says about one entry.
type parsedEntry struct {
	Name                          string
	Ino, Mode, Links, Time, Owner uint64
	Major, Minor                  uint64
	Body                          string
}

// parseCpio reads an archive by the format's description, not by our writer.
func parseCpio(t *testing.T, b []byte) []parsedEntry {
	t.Helper()
	var entries []parsedEntry
	for {
		require.GreaterOrEqual(t, len(b), 110, "archive ends without trailer")
		require.Equal(t, "070701", string(b[:6]))
		field := func(n int) uint64 {
			v, err := strconv.ParseUint(string(b[6+8*n:14+8*n]), 16, 32)
			require.NoError(t, err)
			return v
		}
		size, nameSize := field(6), field(11)
		name := string(b[110 : 110+nameSize-1])
		require.Zero(t, b[110+nameSize-1], "name ends with NUL")
		body := (110 + nameSize + 3) / 4 * 4
		entries = append(entries, parsedEntry{
			Name: name, Ino: field(0), Mode: field(1), Owner: field(2) + field(3), Links: field(4), Time: field(5),
			Major: field(9), Minor: field(10), Body: string(b[body : body+size]),
		})
		b = b[body+(size+3)/4*4:]
		if name == "TRAILER!!!" {
			require.Empty(t, b)
			return entries
		}
	}
}

func TestCpioWriter(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := newCpioWriter(&out)
	require.NoError(t, c.Dir("/proc"))
	require.NoError(t, c.Dir("proc"), "a directory may be asked for twice")
	require.NoError(t, c.Add(cpioEntry{Name: "dev/console", Mode: modeChar | 0o600, Major: 5, Minor: 1}))
	require.NoError(t, c.File("/a/b/init", 0o755, []byte("hello")))
	require.NoError(t, c.File("a/empty", 0o644, nil))
	require.NoError(t, c.Close())

	want := []parsedEntry{
		{Name: "proc", Ino: 1, Mode: 0o040755, Links: 2},
		{Name: "dev", Ino: 2, Mode: 0o040755, Links: 2},
		{Name: "dev/console", Ino: 3, Mode: 0o020600, Links: 1, Major: 5, Minor: 1},
		{Name: "a", Ino: 4, Mode: 0o040755, Links: 2},
		{Name: "a/b", Ino: 5, Mode: 0o040755, Links: 2},
		{Name: "a/b/init", Ino: 6, Mode: 0o100755, Links: 1, Body: "hello"},
		{Name: "a/empty", Ino: 7, Mode: 0o100644, Links: 1},
		{Name: "TRAILER!!!", Links: 1},
	}
	assert.Equal(t, want, parseCpio(t, out.Bytes()))
}

func TestCpioWriterRefusesSecondFile(t *testing.T) {
	t.Parallel()
	c := newCpioWriter(&bytes.Buffer{})
	require.NoError(t, c.File("init", 0o755, nil))
	require.EqualError(t, c.File("/init", 0o755, nil), "add init to archive: name is there already")
}

func TestCpioWriterReportsFullTarget(t *testing.T) {
	t.Parallel()
	err := newCpioWriter(fullWriter{}).File("init", 0o755, []byte("x"))
	require.ErrorIs(t, err, errFull)
}

var errFull = errors.New("disk full")

type fullWriter struct{}

func (fullWriter) Write([]byte) (int, error) { return 0, errFull }
