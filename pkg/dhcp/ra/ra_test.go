package ra

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestReply(t *testing.T) {
	t.Parallel()
	hw := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	got, ok := Reply([]byte{133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 9}, hw)
	assert.True(t, ok)
	assert.Equal(t, []byte{134, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1}, got)
	for _, bad := range [][]byte{nil, {133}, {134, 0, 0, 0, 0, 0, 0, 0}, {133, 1, 0, 0, 0, 0, 0, 0}} {
		_, ok := Reply(bad, hw)
		assert.False(t, ok)
	}
}
