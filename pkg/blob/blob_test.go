package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

const helloSum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // of "hello"

func newDir(t *testing.T) (*Dir, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "blobs")
	return openDir(t, path), path
}

func openDir(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := OpenDir(path)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, d.Close()) })
	return d
}

func put(t *testing.T, d *Dir, name, text string) Info {
	t.Helper()
	info, err := d.Put(t.Context(), name, strings.NewReader(text), PutOptions{MaxSize: 1000})
	require.NoError(t, err)
	return info
}

func read(t *testing.T, d *Dir, name string) string {
	t.Helper()
	f, err := d.Open(name)
	require.NoError(t, err)
	defer f.Close()
	data, err := io.ReadAll(f)
	require.NoError(t, err)
	return string(data)
}

// leftovers returns the files in our private folder's tmp.
func leftovers(t *testing.T, path string) []os.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(path, tmpDir))
	require.NoError(t, err)
	return entries
}

func TestPutOpenStat(t *testing.T) {
	t.Parallel()
	d, path := newDir(t)
	info := put(t, d, "isos/some/image.iso", "hello")
	assert.Equal(t, "isos/some/image.iso", info.Path)
	assert.Equal(t, int64(5), info.Size)
	assert.Equal(t, helloSum, info.SHA256)
	assert.Equal(t, "hello", read(t, d, "isos/some/image.iso"))

	again, err := openDir(t, path).Stat("isos/some/image.iso")
	require.NoError(t, err)
	assert.Equal(t, helloSum, again.SHA256, "known after a restart")
	assert.True(t, info.ModTime.Equal(again.ModTime))

	put(t, d, "isos/some/image.iso", "other")
	assert.Equal(t, "other", read(t, d, "isos/some/image.iso"))
	fi, err := os.Stat(filepath.Join(path, "isos/some/image.iso"))
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o600), fi.Mode())
	assert.Empty(t, leftovers(t, path))
	_, err = d.Stat("isos/none")
	assert.ErrorIs(t, err, fs.ErrNotExist)
	_, err = d.Open("isos")
	assert.ErrorIs(t, err, ErrNotFile)
}

func TestPutFailuresLeaveNothing(t *testing.T) {
	t.Parallel()
	d, path := newDir(t)
	put(t, d, "kept", "old")
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	broken := errors.New("line broke")
	hello := func() io.Reader { return strings.NewReader("hello") }
	heThenBroken := func() io.Reader {
		return io.MultiReader(strings.NewReader("he"), iotest.ErrReader(broken))
	}
	for _, c := range []struct {
		name string
		ctx  context.Context
		r    func() io.Reader
		opts PutOptions
		want error
		text string
	}{
		{"checksum", t.Context(), hello, PutOptions{MaxSize: 9, SHA256: strings.Repeat("0", 64)}, ErrChecksum, "of the 5 bytes received is " + helloSum},
		{"one byte too many", t.Context(), hello, PutOptions{MaxSize: 4}, ErrTooLarge, "more than 4 bytes"},
		{"reader breaks", t.Context(), heThenBroken, PutOptions{MaxSize: 9}, broken, "line broke"},
		{"reader breaks at the limit", t.Context(), heThenBroken, PutOptions{MaxSize: 2}, broken, "line broke"},
		{"canceled", canceled, hello, PutOptions{MaxSize: 9}, context.Canceled, "context canceled"},
	} {
		for _, name := range []string{"kept", "fresh/file"} {
			_, err := d.Put(c.ctx, name, c.r(), c.opts)
			require.ErrorIs(t, err, c.want, c.name)
			assert.ErrorContains(t, err, "put blob "+name+": ", c.name)
			assert.ErrorContains(t, err, c.text, c.name)
		}
		assert.Equal(t, "old", read(t, d, "kept"), c.name)
	}
	_, err := d.Put(t.Context(), "x", strings.NewReader("x"), PutOptions{})
	assert.ErrorContains(t, err, "no size limit given")
	_, err = d.Put(t.Context(), "kept/below", strings.NewReader("x"), PutOptions{MaxSize: 9})
	assert.ErrorContains(t, err, "put blob kept/below: ")
	info, err := d.Put(t.Context(), "exact", strings.NewReader("hello"), PutOptions{MaxSize: 5, SHA256: strings.ToUpper(helloSum)})
	require.NoError(t, err)
	assert.Equal(t, int64(5), info.Size)
	assert.Empty(t, leftovers(t, path))
	assert.NoDirExists(t, filepath.Join(path, "fresh"))
}

func TestOpenDirRemovesLeftovers(t *testing.T) {
	t.Parallel()
	_, path := newDir(t)
	require.NoError(t, os.WriteFile(filepath.Join(path, tmpDir, "half"), []byte("x"), 0o600))
	openDir(t, path)
	assert.Empty(t, leftovers(t, path))
	_, err := OpenDir(filepath.Join(path, "file", "below"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(path, "plain"), nil, 0o600))
	_, err = OpenDir(filepath.Join(path, "plain"))
	assert.ErrorContains(t, err, "open blobs")
}

func TestAppend(t *testing.T) {
	t.Parallel()
	d, _ := newDir(t)
	for _, c := range []struct {
		text string
		size int64
		want error
	}{
		{"one ", 4, nil}, {"two ", 8, nil}, {"", 8, nil},
		{"three", 10, ErrTooLarge}, {"", 10, nil}, {"x", 10, ErrTooLarge},
	} {
		size, err := d.Append(t.Context(), "jobs/1", strings.NewReader(c.text), 10)
		assert.ErrorIs(t, err, c.want, c.text)
		assert.Equal(t, c.size, size, c.text)
	}
	assert.Equal(t, "one two th", read(t, d, "jobs/1"))
	_, err := d.Append(t.Context(), "jobs", strings.NewReader("x"), 10)
	assert.ErrorContains(t, err, "append to blob jobs: ")
	_, err = d.Append(t.Context(), "../x", strings.NewReader("x"), 10)
	assert.ErrorIs(t, err, ErrBadName)
}

func TestAppendsDoNotMix(t *testing.T) {
	t.Parallel()
	d, _ := newDir(t)
	var g errgroup.Group
	for i := range 8 {
		g.Go(func() error {
			line := strings.Repeat(fmt.Sprint(i), 99) + "\n"
			_, err := d.Append(context.Background(), "log", iotest.OneByteReader(strings.NewReader(line)), 1<<20)
			return err
		})
	}
	require.NoError(t, g.Wait())
	lines := strings.Split(strings.TrimSpace(read(t, d, "log")), "\n")
	require.Len(t, lines, 8)
	for _, l := range lines {
		assert.Equal(t, strings.Repeat(l[:1], 99), l)
	}
	assert.Empty(t, d.logs.held)
}

func TestSum(t *testing.T) {
	t.Parallel()
	d, path := newDir(t)
	require.NoError(t, os.WriteFile(filepath.Join(path, "dropped"), []byte("hello"), 0o644))
	stat, err := d.Stat("dropped")
	require.NoError(t, err)
	assert.Empty(t, stat.SHA256)
	info, err := d.Sum(t.Context(), "dropped")
	require.NoError(t, err)
	assert.Equal(t, helloSum, info.SHA256)
	stat, err = d.Stat("dropped")
	require.NoError(t, err)
	assert.Equal(t, info, stat, "saved")

	_, err = d.Append(t.Context(), "dropped", strings.NewReader("!"), 100)
	require.NoError(t, err)
	stat, err = d.Stat("dropped")
	require.NoError(t, err)
	assert.Empty(t, stat.SHA256, "stale")
	require.NoError(t, os.WriteFile(filepath.Join(path, sumPath("dropped")), []byte("{torn"), 0o600))
	info, err = d.Sum(t.Context(), "dropped")
	require.NoError(t, err)
	assert.Equal(t, "ce06092fb948d9ffac7d1a376e404b26b7575bcc11ee05a4615fef4fec3a308b", info.SHA256) // of "hello!"
	_, err = d.Sum(t.Context(), "none")
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

func TestRemoveAndList(t *testing.T) {
	t.Parallel()
	d, path := newDir(t)
	for _, n := range []string{"files/b", "files/a/x", "files/ab", "isos/1", "top"} {
		put(t, d, n, n)
	}
	require.NoError(t, os.Symlink("top", filepath.Join(path, "link")))
	names := func(prefix string) (got []string) {
		list, err := d.List(t.Context(), prefix)
		require.NoError(t, err)
		for _, i := range list {
			assert.Len(t, i.SHA256, 64)
			got = append(got, i.Path)
		}
		return got
	}
	assert.Equal(t, []string{"files/a/x", "files/ab", "files/b", "isos/1", "top"}, names(""))
	assert.Equal(t, []string{"files/a/x", "files/ab", "files/b"}, names("files/"))
	assert.Equal(t, []string{"files/a/x", "files/ab"}, names("files/a"))
	assert.Empty(t, names("none/"))
	assert.Empty(t, names(".bl"))
	for _, bad := range []string{"../", "/etc/", ".blob/"} {
		_, err := d.List(t.Context(), bad)
		assert.ErrorIs(t, err, ErrBadName, bad)
	}
	assert.ErrorIs(t, d.Remove("files"), ErrNotFile)
	assert.ErrorIs(t, d.Remove("none"), fs.ErrNotExist)
	require.NoError(t, d.Remove("files/a/x"))
	assert.NoDirExists(t, filepath.Join(path, "files", "a"))
	put(t, d, "files/a", "now a file")
	assert.Equal(t, []string{"files/a", "files/ab"}, names("files/a"))
}

func TestNothingLeadsOut(t *testing.T) {
	t.Parallel()
	d, path := newDir(t)
	outside := filepath.Join(filepath.Dir(path), "secret")
	require.NoError(t, os.WriteFile(outside, []byte("secret"), 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(path, "file")))
	require.NoError(t, os.Symlink("..", filepath.Join(path, "up")))
	for _, name := range []string{"file", "up/secret"} {
		_, err := d.Open(name)
		assert.ErrorContains(t, err, "path escapes from parent", name)
		_, err = d.Append(t.Context(), name, strings.NewReader("x"), 100)
		assert.ErrorContains(t, err, "path escapes from parent", name)
		assert.Error(t, d.Remove(name))
	}
	_, err := d.Put(t.Context(), "up/secret", strings.NewReader("x"), PutOptions{MaxSize: 9})
	assert.ErrorContains(t, err, "path escapes from parent")
	put(t, d, "file", "replaces the link, not what it points to")
	data, err := os.ReadFile(outside)
	require.NoError(t, err)
	assert.Equal(t, "secret", string(data))

	require.NoError(t, syscall.Mkfifo(filepath.Join(path, "pipe"), 0o600))
	_, err = d.Open("pipe")
	assert.ErrorIs(t, err, ErrNotFile, "does not wait for a writer")
}
