package main

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"drpd/pkg/sim/overlay"
)

// TestRowsFit: what a row breaks is there, once; else the decision moved on and
// nobody shows any more that it is tested.
func TestRowsFit(t *testing.T) {
	t.Chdir("../../..") // files are named from the module's root
	for _, m := range mutations() {
		_, err := overlay.Write(t.TempDir(), overlay.Edit{File: m.File, Old: m.Old, New: m.New})
		assert.NoError(t, err, m.Name)
	}
}
