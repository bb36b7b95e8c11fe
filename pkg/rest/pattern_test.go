package rest

import (
	"testing"

	"drpd/pkg/resource"
)

// FuzzPattern: whatever a client registers, matching it does not panic, and
// what holds only stars matches all.
func FuzzPattern(f *testing.F) {
	for _, s := range []string{"machines.*.*", `a\1b.c,d.\2\3`, "..", "*.*.*", "a.b"} {
		f.Add(s, "machines", "update", "k.1")
	}
	f.Fuzz(func(t *testing.T, text, kind, action, key string) {
		match, err := EventPattern(text)
		if err != nil {
			return
		}
		got := match(resource.Event{Type: kind, Action: action, Key: key})
		if text == "*.*.*" && !got {
			t.Errorf("%q does not match %q %q %q", text, kind, action, key)
		}
	})
}
