package daemon

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestReadersCutOffAreCounted(t *testing.T) {
	t.Parallel()
	d := &Daemon{}
	for _, how := range []string{"websocket", "stream", "websocket"} {
		d.cutOff(how)
	}
	var b strings.Builder
	d.cut.write(&b)
	assert.Contains(t, b.String(), "drpd_event_readers_cut_total{how=\"websocket\"} 2\n")
	assert.Contains(t, b.String(), "drpd_event_readers_cut_total{how=\"stream\"} 1\n")
}
