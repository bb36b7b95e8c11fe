package unpack_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/iso9660/isotest"
	"drpd/pkg/udf/udftest"
	"drpd/pkg/unpack"
)

func tarOf(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		text := []byte("text of " + h.Name)
		if h.Typeflag != tar.TypeReg {
			text = nil
		}
		h.Size, h.Mode = int64(len(text)), 0o600
		require.NoError(t, w.WriteHeader(&h))
		_, err := w.Write(text)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func gz(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func zipOf(t testing.TB, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, n := range names {
		f, err := w.Create(n)
		require.NoError(t, err)
		if !strings.HasSuffix(n, "/") {
			_, err = f.Write([]byte("text of " + n))
			require.NoError(t, err)
		}
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func each(t testing.TB, data []byte, lim unpack.Limits) (map[string]string, error) {
	t.Helper()
	at := filepath.Join(t.TempDir(), "archive")
	require.NoError(t, os.WriteFile(at, data, 0o600))
	f, err := os.Open(at)
	require.NoError(t, err)
	defer f.Close()
	out := map[string]string{}
	return out, unpack.Each(t.Context(), f, lim, func(i unpack.Item) error {
		if i.Body == nil {
			out[i.Path] = "->" + i.Link
			return nil
		}
		text, err := io.ReadAll(i.Body)
		out[i.Path] = string(text)
		return err
	})
}

func TestEach(t *testing.T) {
	t.Parallel()
	plain := tarOf(t, tar.Header{Name: "./a/b", Typeflag: tar.TypeReg}, tar.Header{Name: "d/", Typeflag: tar.TypeDir}, tar.Header{Name: "l", Linkname: "a/b", Typeflag: tar.TypeSymlink})
	want := map[string]string{"a/b": "text of ./a/b", "l": "->a/b"}
	for name, c := range map[string]struct {
		data []byte
		want map[string]string
	}{
		"tar":    {plain, want},
		"tar.gz": {gz(t, plain), want},
		"zip":    {zipOf(t, "x/y", "x/"), map[string]string{"x/y": "text of x/y"}},
		"iso":    {isotest.Image(map[string]string{"x/y": "z", "l": "->x"}), map[string]string{"x/y": "z", "l": "->x"}},
	} {
		got, err := each(t, c.data, unpack.Limits{})
		require.NoError(t, err, name)
		assert.Equal(t, c.want, got, name)
	}
}

func TestRefusedArchives(t *testing.T) {
	t.Parallel()
	two := tarOf(t, tar.Header{Name: "a", Typeflag: tar.TypeReg}, tar.Header{Name: "b", Typeflag: tar.TypeReg})
	for name, c := range map[string]struct {
		data []byte
		lim  unpack.Limits
		is   error
		says string
	}{
		"no archive":    {[]byte("hello"), unpack.Limits{}, unpack.ErrFormat, "neither tar"},
		"tar leads out": {tarOf(t, tar.Header{Name: "../x", Typeflag: tar.TypeReg}), unpack.Limits{}, unpack.ErrFormat, `segment ".."`},
		"tar absolute":  {tarOf(t, tar.Header{Name: "/etc/x", Typeflag: tar.TypeReg}), unpack.Limits{}, unpack.ErrFormat, "absolute"},
		"zip leads out": {zipOf(t, "a/../../x"), unpack.Limits{}, unpack.ErrFormat, `segment ".."`},
		"device":        {tarOf(t, tar.Header{Name: "sda", Typeflag: tar.TypeBlock}), unpack.Limits{}, unpack.ErrFormat, "only files"},
		"cut off":       {gz(t, two)[:60], unpack.Limits{}, unpack.ErrFormat, "unexpected EOF"},
		"too many":      {two, unpack.Limits{Entries: 1}, unpack.ErrLimit, "more than 1 files"},
		"too large":     {two, unpack.Limits{Bytes: 15}, unpack.ErrLimit, "more than 15 bytes"},
	} {
		_, err := each(t, c.data, c.lim)
		assert.ErrorIs(t, err, c.is, name)
		assert.ErrorContains(t, err, c.says, name)
	}
}

// FuzzEach: whatever the archive, no name leads out and no limit is passed.
func FuzzEach(f *testing.F) {
	f.Add(tarOf(f, tar.Header{Name: "a", Typeflag: tar.TypeReg}))
	f.Add(gz(f, tarOf(f, tar.Header{Name: "a", Typeflag: tar.TypeReg})))
	f.Add(zipOf(f, "a/b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, _ := each(t, data, unpack.Limits{Entries: 10, Bytes: 10000})
		for name := range got {
			if !filepath.IsLocal(name) {
				t.Errorf("name %q", name)
			}
		}
	})
}

// TestUDF: an image of UDF alone, and one whose ISO 9660 part holds but a note,
// as those of Windows.
func TestUDF(t *testing.T) {
	t.Parallel()
	image := udftest.Image(map[string]string{"sources/install.wim": "wim", "l": "->sources"})
	want := map[string]string{"sources/install.wim": "wim", "l": "->sources"}
	got, err := each(t, image, unpack.Limits{})
	require.NoError(t, err)
	assert.Equal(t, want, got)

	const sector = 2048
	note := bytes.ReplaceAll(isotest.Image(map[string]string{"README.TXT": "see UDF"}), []byte("SP\x07\x01\xBE\xEF"), make([]byte, 6)) // no Rock Ridge
	both := bytes.Clone(image)
	copy(both[18*sector:21*sector], image[16*sector:19*sector]) // what says that it is UDF comes second
	copy(both[16*sector:18*sector], note[16*sector:])
	copy(both[26*sector:27*sector], note[26*sector:])              // the note
	copy(both[30*sector:38*sector], note[18*sector:])              // its directory
	copy(both[16*sector+156+2:], []byte{30, 0, 0, 0, 0, 0, 0, 30}) // and where it is
	got, err = each(t, both, unpack.Limits{})
	require.NoError(t, err)
	assert.Equal(t, want, got)

	both[258*sector+440] = 2 // a partition that is not read
	_, err = each(t, both, unpack.Limits{})
	assert.ErrorIs(t, err, unpack.ErrFormat)
	assert.ErrorContains(t, err, "only plain ones are read")
	for name, broken := range map[string][]byte{"udf": image[:len(image)-sector], "iso": isotest.Image(map[string]string{"a": "b"})[:19*sector]} {
		_, err = each(t, broken, unpack.Limits{})
		assert.ErrorIs(t, err, unpack.ErrFormat, name)
	}
}
