package main

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"drpd/pkg/sim/overlay"
)

// TestGuardsFit: what is broken is there, once, and each attempt that counts has
// its guard.
func TestGuardsFit(t *testing.T) {
	t.Chdir("../../..") // files are named from the module's root
	known := map[string]bool{}
	for _, g := range guards {
		_, err := overlay.Write(t.TempDir(), g.edits...)
		assert.NoError(t, err, g.name)
		known[g.name] = true
	}
	used := map[string]bool{}
	for _, a := range all() {
		used[a.guard] = used[a.guard] || a.counts()
		assert.True(t, known[a.guard] || !a.counts(), "%s: %s: no guard %q", a.kind, a.name, a.guard)
	}
	for name := range known {
		assert.True(t, used[name], "guard %q keeps nothing out that counts", name)
	}
	for name, list := range behind {
		for _, what := range list {
			found := false
			for _, a := range all() {
				found = found || a.guard == name && a.name == what
			}
			assert.True(t, found, "%s: %s is no attempt any more", name, what)
		}
	}
}
