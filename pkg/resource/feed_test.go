package resource

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/store/mem"
)

// TestAWatcherIsWokenByWhatItWants: of all else it neither hears nor falls
// behind, however much of that comes.
func TestAWatcherIsWokenByWhatItWants(t *testing.T) {
	t.Parallel()
	r := open(t, mem.New(mem.Config{}), nil) // keeps 64 events
	_, upTo, w, err := r.feed.since(r.Seq(), OfKinds("wanted"))
	require.NoError(t, err)
	require.NotNil(t, w)
	asleep := func() bool {
		select {
		case <-w.wake:
			return false
		default:
			return true
		}
	}
	for i := range 200 {
		r.Publish(Event{Type: "other", Key: fmt.Sprint(i)})
	}
	assert.True(t, asleep())
	r.Publish(Event{Type: "wanted", Key: "a"})
	require.False(t, asleep())
	assert.Equal(t, uint64(201), w.from-upTo)
	evs, _, _, err := r.feed.since(w.from-1, OfKinds("wanted"))
	require.NoError(t, err)
	require.Len(t, evs, 1)
	assert.Equal(t, "a", evs[0].Key)

	for evs, err := range r.Watch(t.Context(), w.from-1, OfKinds("wanted")) {
		require.NoError(t, err)
		assert.Equal(t, []string{"a"}, []string{evs[0].Key})
		break
	}
	assert.Empty(t, r.feed.waiting, "nobody waits any more")
}

// TestWhoWantsAllWaitsInOnePlace: lanes come and go without leaving anything.
func TestWhoWantsAllWaitsInOnePlace(t *testing.T) {
	t.Parallel()
	f := newFeed(8)
	_, _, first, err := f.since(0, nil)
	require.NoError(t, err)
	_, _, again, err := f.since(0, nil)
	require.NoError(t, err)
	assert.Same(t, first, again)
	assert.Empty(t, f.waiting)
	f.add([]Event{{Type: "t"}})
	<-first.wake
	assert.Equal(t, uint64(1), first.from)
	_, _, later, err := f.since(1, nil)
	require.NoError(t, err)
	assert.NotSame(t, first, later)
}

// TestTheRingGrows: it begins small and keeps what it may.
func TestTheRingGrows(t *testing.T) {
	t.Parallel()
	f := newFeed(3 * feedStart)
	for i := range 5 * feedStart {
		f.add([]Event{{Type: "t", Key: fmt.Sprint(i)}})
		if i < 3*feedStart {
			require.Equal(t, uint64(1), f.first)
		}
	}
	assert.Len(t, f.ring, 3*feedStart)
	_, _, _, err := f.since(uint64(2*feedStart-1), nil)
	require.ErrorIs(t, err, ErrLagged)
	after, n := uint64(2*feedStart), 2*feedStart
	for after < f.next-1 {
		evs, upTo, _, err := f.since(after, nil)
		require.NoError(t, err)
		for _, e := range evs {
			require.Equal(t, fmt.Sprint(n), e.Key)
			n++
		}
		after = upTo
	}
	assert.Equal(t, 5*feedStart, n)
}
