package iso9660_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/iso9660"
	"drpd/pkg/iso9660/isotest"
)

// contents is what Walk tells of an image: files with their text, directories
// with a slash, links with an arrow.
func contents(image []byte) (map[string]string, error) {
	im, err := iso9660.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	return out, im.Walk(func(e iso9660.Entry) error {
		switch {
		case e.Dir:
			out[e.Path+"/"] = ""
		case e.Link != "":
			out[e.Path] = "->" + e.Link
		default:
			text, err := io.ReadAll(im.Open(e))
			if err != nil || int64(len(text)) != e.Size {
				return fmt.Errorf("%s has %d bytes, says %d: %v", e.Path, len(text), e.Size, err)
			}
			out[e.Path] = string(text)
		}
		return nil
	})
}

func TestRockRidge(t *testing.T) {
	t.Parallel()
	got, err := contents(isotest.Image(map[string]string{"Casper/Vmlinuz-6.1.x": "kernel", "empty": "",
		"dists/bookworm/Release": "r", "dists/stable": "->bookworm", "a/b/up": "->../../empty", "abs": "->/etc/passwd"}))
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"Casper/": "", "Casper/Vmlinuz-6.1.x": "kernel", "empty": "", "dists/": "", "dists/bookworm/": "",
		"dists/bookworm/Release": "r", "dists/stable": "->bookworm", "a/": "", "a/b/": "", "a/b/up": "->../../empty", "abs": "->/etc/passwd"}, got)
}

func TestManyFilesInADirectory(t *testing.T) {
	t.Parallel()
	want := map[string]string{}
	for i := range 120 { // several sectors of records
		want[fmt.Sprintf("%03d-%s", i, strings.Repeat("n", 60))] = fmt.Sprint(i)
	}
	got, err := contents(isotest.Image(want))
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

func TestBadImages(t *testing.T) {
	t.Parallel()
	good := isotest.Image(map[string]string{"a/b": "text"})
	edit := func(fn func(b []byte) []byte) []byte { return fn(bytes.Clone(good)) }
	at := bytes.Index(good, []byte("NM\x06\x01\x00a")) // in the record of directory a
	require.Positive(t, at)
	rec := at - 38 // 33 bytes and the name FAA;1
	for name, image := range map[string][]byte{
		"nothing":            nil,
		"zeros":              make([]byte, 40*2048),
		"cut off":            good[:len(good)-2048],
		"directory outside":  edit(func(b []byte) []byte { b[rec+4] = 0xff; return b }),
		"contains itself":    edit(func(b []byte) []byte { copy(b[rec+2:], b[16*2048+156+2:16*2048+156+10]); return b }),
		"name leads out":     edit(func(b []byte) []byte { b[at+5] = '/'; return b }),
		"huge directory":     edit(func(b []byte) []byte { b[rec+13] = 0x7f; return b }),
		"record is cut off":  edit(func(b []byte) []byte { b[rec] = 20; return b }),
		"no such descriptor": edit(func(b []byte) []byte { b[16*2048] = 9; return b }),
	} {
		_, err := contents(image)
		assert.True(t, errors.Is(err, iso9660.ErrFormat) || errors.Is(err, iso9660.ErrLimit), "%s: %v", name, err)
	}
}

// FuzzImage: no image makes the reader panic, run away or name what is no name.
func FuzzImage(f *testing.F) {
	// Only what is not zero at the beginning is worth changing.
	for _, files := range []map[string]string{{"a/b": "text"}, {"l": "->a/../b", "c": ""}} {
		f.Add(isotest.Image(files)[16*2048:])
	}
	f.Fuzz(func(t *testing.T, tail []byte) {
		image := append(make([]byte, 16*2048), tail...)
		im, err := iso9660.Open(bytes.NewReader(image), int64(len(image)))
		if err != nil {
			return
		}
		var total int64
		_ = im.Walk(func(e iso9660.Entry) error {
			if base := path.Base(e.Path); base == ".." || base == "." || base == "" {
				t.Errorf("name %q", e.Path)
			}
			total += e.Size
			if total > 4*int64(len(image)) {
				t.Errorf("%d bytes of %d", total, len(image))
			}
			return nil
		})
	})
}
