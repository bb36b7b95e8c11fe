package blob

import (
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCheckName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"a":                                   "",
		"isos/x86_64/some image.iso":          "",
		"...":                                 "",
		"a..b/.hidden":                        "",
		"files/.blob":                         "",
		strings.Repeat("s", 255):              "",
		strings.Repeat("s/", 511) + "s":       "",
		"":                                    "empty",
		"/etc/passwd":                         "absolute: leave out the first /",
		"..":                                  `segment ".."`,
		"a/../b":                              `segment ".."`,
		"./a":                                 `segment "."`,
		"a//b":                                "empty segment: no // and no / at the end",
		"a/":                                  "empty segment: no // and no / at the end",
		`a\b`:                                 "holds a backslash: separate with /",
		"a\x00b":                              "holds NUL or another control character",
		"a\nb":                                "holds NUL or another control character",
		"a\xffb":                              "not UTF-8",
		".blob/sum/x":                         ".blob is reserved",
		"a/" + strings.Repeat("s", 256):       "segment of 256 bytes, limit 255",
		strings.Repeat("abcdefg/", 128) + "x": "1025 bytes, limit 1024",
	} {
		err := CheckName(name)
		if want == "" {
			assert.NoError(t, err, name)
			continue
		}
		assert.ErrorIs(t, err, ErrBadName, name)
		assert.ErrorContains(t, err, ": "+want, name)
	}
}

// FuzzCheckName: whatever is accepted stays where it was said to be.
func FuzzCheckName(f *testing.F) {
	for _, s := range []string{"a/b", "../x", "/abs", "a//b", ".blob", "a/./b", "a\\..\\b", "a\x00", "é/…"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if CheckName(name) != nil {
			return
		}
		full := path.Join("/root/of/blobs", name)
		if full != "/root/of/blobs/"+name {
			t.Errorf("%q accepted, but means %q", name, full)
		}
		if strings.HasPrefix(full, "/root/of/blobs/.blob/") || full == "/root/of/blobs/.blob" {
			t.Errorf("%q reaches private files", name)
		}
	})
}
