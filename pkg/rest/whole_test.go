package rest

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWhatIsWrittenAtOnceIsWhole(t *testing.T) {
	t.Parallel()
	frame := func(n int) []byte { return append(frameHead(nil, n), make([]byte, n)...) }
	frames := bytes.Join([][]byte{frame(10), frame(300), frame(70_000), frame(0)}, nil)
	for most, want := range map[int]int{1: 12, 12: 12, 315: 12, 316: 316, 1 << 20: len(frames)} {
		assert.Equal(t, want, wholeFrames(frames, most), "at most %d", most)
	}
	assert.Equal(t, 70_010, wholeFrames(frames[316:], 100), "one frame, however large")
	events := []byte("data: 1\n\ndata: 2\n\ndata: 3\n\n")
	for most, want := range map[int]int{5: 9, 9: 9, 17: 9, 18: 18, 27: 27} {
		assert.Equal(t, want, wholeEvents(events, most), "at most %d", most)
	}
}
