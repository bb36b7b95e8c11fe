package daemon

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestGrowth(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{0: 1000, 16 << 20: 400, 64 << 20: 100, 100 << 20: 70, 1 << 30: 70} {
		assert.Equal(t, want, growth(live), "%d live bytes", live)
	}
}
