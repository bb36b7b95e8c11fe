package resource

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"sync"
	"time"
)

// Event tells of one change, or of something published. Object and Original
// are the JSON that replies show; New and Old the shared typed values.
type Event struct {
	Seq       uint64 `json:"-"`
	Rev       uint64 `json:"-"`
	Time      time.Time
	Type      string
	Action    string
	Key       string
	Principal string
	Object    json.RawMessage
	Original  json.RawMessage `json:",omitempty"`
	New, Old  any             `json:"-"`
}

// ErrLagged ends a watch that fell behind the ring of events: look at
// everything again, then watch from now.
var ErrLagged = errors.New("watcher fell behind; events were lost")

// feed is one ring of events with a cursor for each watcher.
type feed struct {
	mu   sync.Mutex // guards all below
	ring []Event
	next uint64 // Seq of the next event; the ring holds the ones before it
	wake chan struct{}
}

func newFeed(size int) *feed {
	if size == 0 {
		size = 1 << 16
	}
	return &feed{ring: make([]Event, size), next: 1, wake: make(chan struct{})}
}

func (f *feed) add(evs []Event) {
	if len(evs) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range evs {
		e.Seq = f.next
		f.ring[f.next%uint64(len(f.ring))] = e
		f.next++
	}
	close(f.wake)
	f.wake = make(chan struct{})
}

// since copies what came after a cursor, or says what to wait for.
func (f *feed) since(after uint64) ([]Event, <-chan struct{}, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next-1 == after {
		return nil, f.wake, nil
	}
	if after >= f.next || f.next-1-after > uint64(len(f.ring)) {
		return nil, nil, ErrLagged
	}
	out := make([]Event, 0, f.next-1-after)
	for i := after + 1; i < f.next; i++ {
		out = append(out, f.ring[i%uint64(len(f.ring))])
	}
	return out, nil, nil
}

// Seq is the number of the newest event.
func (db *DB) Seq() uint64 {
	db.feed.mu.Lock()
	defer db.feed.mu.Unlock()
	return db.feed.next - 1
}

// Publish sends an event that is not a change of an object.
func (db *DB) Publish(e Event) {
	e.Time = db.cfg.Now()
	db.feed.add([]Event{e})
}

// Watch yields events after Seq after, in batches, in order, until ctx ends.
// A watcher that is too slow gets ErrLagged and never slows anybody down.
func (db *DB) Watch(ctx context.Context, after uint64) iter.Seq2[[]Event, error] {
	return func(yield func([]Event, error) bool) {
		for {
			evs, wait, err := db.feed.since(after)
			switch {
			case err != nil:
				yield(nil, err)
				return
			case len(evs) > 0:
				after = evs[len(evs)-1].Seq
				if !yield(evs, nil) {
					return
				}
			default:
				select {
				case <-ctx.Done():
					return
				case <-wait:
				}
			}
		}
	}
}
