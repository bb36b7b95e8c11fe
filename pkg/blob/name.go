package blob

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of a name in bytes: what Linux file systems allow for one segment,
// and what keeps the whole path below PATH_MAX wherever the folder is.
const (
	MaxSegment = 255
	MaxName    = 1024
)

// private holds our own files inside the folder; no blob can be named so.
const private = ".blob"

// ErrBadName matches every refusal of a name.
var ErrBadName = errors.New("bad name")

// CheckName returns nil if name is a relative, slash-separated path that means
// the same file everywhere and stays inside the folder.
func CheckName(name string) error {
	if cause := nameFault(name); cause != "" {
		if len(name) > 64 {
			name = name[:64] + "..."
		}
		return fmt.Errorf("%w %q: %s", ErrBadName, name, cause)
	}
	return nil
}

func nameFault(name string) string {
	switch {
	case name == "":
		return "empty"
	case len(name) > MaxName:
		return fmt.Sprintf("%d bytes, limit %d", len(name), MaxName)
	case !utf8.ValidString(name):
		return "not UTF-8"
	case strings.ContainsFunc(name, isControl):
		return "holds NUL or another control character"
	case strings.Contains(name, `\`):
		return "holds a backslash: separate with /"
	case name[0] == '/':
		return "absolute: leave out the first /"
	}
	for i, segment := range strings.Split(name, "/") {
		switch {
		case segment == "":
			return "empty segment: no // and no / at the end"
		case segment == "." || segment == "..":
			return fmt.Sprintf("segment %q", segment)
		case len(segment) > MaxSegment:
			return fmt.Sprintf("segment of %d bytes, limit %d", len(segment), MaxSegment)
		case i == 0 && segment == private:
			return private + " is reserved"
		}
	}
	return ""
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
