package resource

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"reflect"
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

// feedBytes bounds the JSON that the ring keeps alive: some 5,000 changes of
// machines with a few params. Their typed values take several times as much.
const feedBytes = 12 << 20

// feed is one ring of events with a cursor for each watcher.
type feed struct {
	mu    sync.Mutex // guards all below
	ring  []Event
	first uint64 // Seq of the oldest event in the ring
	next  uint64 // Seq of the next event
	bytes int    // of the objects of all events in the ring
	wake  chan struct{}
}

func newFeed(size int) *feed {
	if size == 0 {
		size = 1 << 16
	}
	return &feed{ring: make([]Event, size), first: 1, next: 1, wake: make(chan struct{})}
}

func (f *feed) add(evs []Event) {
	if len(evs) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range evs {
		e.Seq = f.next
		f.bytes += len(e.Object)
		// never the event itself, however large
		for f.first < f.next && (f.next-f.first >= uint64(len(f.ring)) || f.bytes > feedBytes) {
			oldest := &f.ring[f.first%uint64(len(f.ring))]
			f.bytes -= len(oldest.Object)
			*oldest = Event{}
			f.first++
		}
		f.ring[f.next%uint64(len(f.ring))] = e
		f.next++
	}
	close(f.wake)
	f.wake = make(chan struct{})
}

// maxSince bounds how many events are copied at once.
const maxSince = 1024

// since copies what came after a cursor, or says what to wait for.
func (f *feed) since(after uint64) ([]Event, <-chan struct{}, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next-1 == after {
		return nil, f.wake, nil
	}
	if after >= f.next || after+1 < f.first {
		return nil, nil, ErrLagged
	}
	n := min(f.next-1-after, maxSince)
	out := make([]Event, 0, n)
	for i := after + 1; i <= after+n; i++ {
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
	var line bytes.Buffer
	if json.Compact(&line, e.Object) == nil { // as all objects are
		e.Object = line.Bytes()
	}
	db.feed.add([]Event{e})
}

// Since returns events after a cursor, a channel that is closed when there is
// one, or ErrLagged: for watchers that share the work.
func (db *DB) Since(after uint64) ([]Event, <-chan struct{}, error) { return db.feed.since(after) }

// AppendJSON adds the event as replies show it. It is json.Marshal without a
// second look at the objects, which are JSON already.
func (e *Event) AppendJSON(b []byte) ([]byte, error) {
	b, err := appendTime(append(b, `{"Time":`...), reflect.ValueOf(e.Time))
	if err != nil {
		return nil, err
	}
	for _, f := range [][2]string{{`,"Type":`, e.Type}, {`,"Action":`, e.Action}, {`,"Key":`, e.Key}, {`,"Principal":`, e.Principal}} {
		if b, err = appendString(append(b, f[0]...), f[1]); err != nil {
			return nil, err
		}
	}
	b = append(b, `,"Object":`...)
	if e.Object == nil {
		b = append(b, "null"...)
	}
	b = append(b, e.Object...)
	if len(e.Original) > 0 {
		b = append(append(b, `,"Original":`...), e.Original...)
	}
	return append(b, '}'), nil
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
