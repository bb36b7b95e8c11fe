package udf_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/udf"
	"drpd/pkg/udf/udftest"
)

const sector = 2048

// contents is what Walk tells of an image: files with their text, directories
// with a slash, links with an arrow.
func contents(image []byte) (map[string]string, error) {
	im, err := udf.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	return out, im.Walk(func(e udf.Entry) error {
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

func sample() map[string]string {
	files := map[string]string{"README.txt": "read me", "empty": "", "sources/boot.wim": strings.Repeat("wim", 3000), "l": "->../README.txt",
		"deep/a/b/Größe 語.txt": "name", strings.Repeat("long", 25): "long"}
	for i := range 90 { // a directory of several blocks
		files[fmt.Sprintf("many/file number %03d", i)] = fmt.Sprint(i)
	}
	return files
}

func TestImage(t *testing.T) {
	t.Parallel()
	want := maps.Clone(sample())
	got, err := contents(udftest.Image(want))
	require.NoError(t, err)
	for _, d := range []string{"sources/", "deep/", "deep/a/", "deep/a/b/", "many/"} {
		want[d] = ""
	}
	assert.Equal(t, want, got)
}

func TestTimes(t *testing.T) {
	t.Parallel()
	image := udftest.Image(map[string]string{"f": "x"})
	im, err := udf.Open(bytes.NewReader(image), int64(len(image)))
	require.NoError(t, err)
	require.NoError(t, im.Walk(func(e udf.Entry) error {
		assert.Equal(t, "2026-01-02T03:04:05Z", e.ModTime.Format("2006-01-02T15:04:05Z07:00"))
		return nil
	}))
}

// TestImagesOfTools reads what others write; the tools may be missing.
func TestImagesOfTools(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("genisoimage")
	if err != nil {
		t.Skip("genisoimage is not installed")
	}
	src, out := t.TempDir(), filepath.Join(t.TempDir(), "x.iso")
	want := sample()
	delete(want, "l")
	for name, text := range want {
		p := filepath.Join(src, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o700))
		require.NoError(t, os.WriteFile(p, []byte(text), 0o600))
	}
	says, err := exec.CommandContext(t.Context(), tool, "-quiet", "-udf", "-input-charset", "utf-8", "-o", out, src).CombinedOutput()
	require.NoError(t, err, string(says))
	image, err := os.ReadFile(out)
	require.NoError(t, err)
	got, err := contents(image)
	require.NoError(t, err)
	maps.DeleteFunc(got, func(k, _ string) bool { return strings.HasSuffix(k, "/") })
	assert.Equal(t, want, got)
}

// TestEmptyVolumes: of every revision that mkudffs makes on plain partitions.
func TestEmptyVolumes(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("mkudffs")
	if err != nil {
		t.Skip("mkudffs (udftools) is not installed")
	}
	for _, rev := range []string{"1.02", "1.50", "2.00", "2.01"} {
		for _, ad := range []string{"inicb", "short", "long"} {
			out := filepath.Join(t.TempDir(), "x.udf")
			says, err := exec.CommandContext(t.Context(), tool, "--new-file", "--blocksize=2048", "--media-type=hd", "--udfrev="+rev, "--ad="+ad, out, "1024").CombinedOutput()
			require.NoError(t, err, string(says))
			image, err := os.ReadFile(out)
			require.NoError(t, err)
			got, err := contents(image)
			assert.NoError(t, err, "revision %s, %s", rev, ad)
			delete(got, "lost+found/")
			assert.Empty(t, got, "revision %s, %s", rev, ad)
		}
	}
}

// fix makes the tags right again, so that what lies behind them is looked at.
func fix(image []byte) []byte {
	for at := 256 * sector; at+16 <= len(image); at += sector {
		if id := binary.LittleEndian.Uint16(image[at:]); id != 0 && id < 300 {
			image[at+4] = udftest.Checksum(image[at:])
		}
	}
	return image
}

func TestBadImages(t *testing.T) {
	t.Parallel()
	good := udftest.Image(map[string]string{"a/b": strings.Repeat("text", 600)})
	const (
		logical = 258 * sector
		root    = (262 + 1) * sector // entry of the root; its name of "a" comes behind that of the parent
		nameOfA = root + 176 + 40
		dirA    = (262 + 2) * sector
		fileB   = (262 + 3) * sector
	)
	require.Equal(t, []byte{0x01, 0x01}, good[nameOfA:nameOfA+2])
	for name, edit := range map[string]func(b []byte) []byte{
		"nothing":               func([]byte) []byte { return nil },
		"zeros":                 func([]byte) []byte { return make([]byte, 400*sector) },
		"cut off":               func(b []byte) []byte { return b[:len(b)-sector] },
		"no anchor":             func(b []byte) []byte { clear(b[256*sector : 257*sector]); return b },
		"blocks of 512 bytes":   func(b []byte) []byte { binary.LittleEndian.PutUint32(b[logical+212:], 512); return b },
		"metadata partition":    func(b []byte) []byte { b[logical+440], b[logical+441] = 2, 64; return b },
		"no such partition":     func(b []byte) []byte { b[logical+444] = 7; return b },
		"map is cut off":        func(b []byte) []byte { b[logical+441] = 0; return b },
		"root is a file":        func(b []byte) []byte { b[root+27] = 5; return b },
		"entry is too large":    func(b []byte) []byte { b[root+169] = 0xff; return b },
		"more data than entry":  func(b []byte) []byte { b[root+57] = 1; return b },
		"contains itself":       func(b []byte) []byte { b[nameOfA+24] = 1; b[nameOfA+4] = udftest.Checksum(b[nameOfA:]); return b },
		"points outside":        func(b []byte) []byte { b[nameOfA+27] = 0x7f; return b },
		"name leads out":        func(b []byte) []byte { b[nameOfA+38+2] = '/'; return b },
		"name is cut off":       func(b []byte) []byte { b[nameOfA+19] = 250; return b },
		"file lies outside":     func(b []byte) []byte { b[fileB+176+7] = 0x7f; return b },
		"file without a place":  func(b []byte) []byte { binary.LittleEndian.PutUint32(b[fileB+176:], 0); return b },
		"file of many exabytes": func(b []byte) []byte { b[fileB+63] = 0x7f; return b },
		"addresses of kind 2":   func(b []byte) []byte { b[fileB+34] = 2; return b },
		"addresses go on":       func(b []byte) []byte { b[fileB+179] = 0xC0; return b },
		"huge directory":        func(b []byte) []byte { b[dirA+34], b[dirA+60] = 0, 1; return b },
	} {
		_, err := contents(fix(edit(bytes.Clone(good))))
		assert.True(t, errors.Is(err, udf.ErrFormat) || errors.Is(err, udf.ErrLimit), "%s: %v", name, err)
	}
}

// FuzzImage: no image makes the reader panic, run away or name what is no name.
func FuzzImage(f *testing.F) {
	// Only what is not zero at the beginning is worth changing.
	for _, files := range []map[string]string{{"a/b": "text", "l": "->a/../b"}, {"c": strings.Repeat("long", 600)}} {
		f.Add(udftest.Image(files)[256*sector:])
	}
	f.Fuzz(func(t *testing.T, tail []byte) {
		if len(tail) > 40*sector {
			return
		}
		image := fix(append(make([]byte, 256*sector), tail...))
		im, err := udf.Open(bytes.NewReader(image), int64(len(image)))
		if err != nil {
			return
		}
		var total int64
		_ = im.Walk(func(e udf.Entry) error {
			if base := path.Base(e.Path); base == ".." || base == "." || base == "" {
				t.Errorf("name %q", e.Path)
			}
			total += e.Size
			if total > 4*int64(len(image)) {
				t.Errorf("%d bytes of %d", total, len(image))
			}
			n, err := io.Copy(io.Discard, im.Open(e))
			if err != nil || !e.Dir && e.Link == "" && n != e.Size {
				t.Errorf("%s: %d of %d bytes: %v", e.Path, n, e.Size, err)
			}
			return nil
		})
	})
}
