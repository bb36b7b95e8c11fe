package resource

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"reflect"
	"slices"
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
	mu      sync.Mutex // guards all below
	ring    []Event    // grows up to most
	most    int
	first   uint64 // Seq of the oldest event in the ring
	next    uint64 // Seq of the next event
	bytes   int    // of the objects of all events in the ring
	waiting map[*waiter]struct{}
	all     *waiter // of everybody who wants all; nil: nobody waits
}

// waiter is a watcher that has seen all there is, until an event comes that it
// wants: from is that event's Seq once wake is closed.
type waiter struct {
	want func(*Event) bool // nil: all, and others wait here too
	wake chan struct{}
	from uint64
}

// feedStart is how many events the ring has room for at first.
const feedStart = 1 << 10

func newFeed(size int) *feed {
	if size == 0 {
		size = 1 << 16
	}
	return &feed{ring: make([]Event, min(size, feedStart)), most: size, first: 1, next: 1, waiting: map[*waiter]struct{}{}}
}

func (f *feed) at(seq uint64) *Event { return &f.ring[seq%uint64(len(f.ring))] }

func (f *feed) add(evs []Event) {
	if len(evs) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	start := f.next
	for _, e := range evs {
		f.push(e)
	}
	if f.all != nil {
		f.all.from = start
		close(f.all.wake)
		f.all = nil
	}
	for w := range f.waiting {
		for i := range evs {
			if w.want(&evs[i]) {
				w.from = start + uint64(i)
				close(w.wake)
				delete(f.waiting, w)
				break
			}
		}
	}
}

func (f *feed) push(e Event) {
	e.Seq = f.next
	f.bytes += len(e.Object)
	if held := int(f.next - f.first); held == len(f.ring) && held < f.most {
		f.grow()
	}
	// never the event itself, however large
	for f.first < f.next && (f.next-f.first >= uint64(len(f.ring)) || f.bytes > feedBytes) {
		oldest := f.at(f.first)
		f.bytes -= len(oldest.Object)
		*oldest = Event{}
		f.first++
	}
	*f.at(f.next) = e
	f.next++
}

// grow doubles the ring.
func (f *feed) grow() {
	old := f.ring
	f.ring = make([]Event, min(2*len(f.ring), f.most))
	for seq := f.first; seq < f.next; seq++ {
		*f.at(seq) = old[seq%uint64(len(old))]
	}
}

// maxSince bounds how many events are looked at at once.
const maxSince = 1024

// since copies the wanted events of those after a cursor and says how far it
// looked; w is what to wait for if there are no more.
func (f *feed) since(after uint64, want func(*Event) bool) (evs []Event, upTo uint64, w *waiter, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if after >= f.next || after+1 < f.first {
		return nil, after, nil, ErrLagged
	}
	upTo = min(f.next-1, after+maxSince)
	if want == nil && upTo > after {
		evs = make([]Event, 0, upTo-after)
	}
	for i := after + 1; i <= upTo; i++ {
		if e := f.at(i); want == nil || want(e) {
			evs = append(evs, *e)
		}
	}
	if len(evs) == 0 && upTo == f.next-1 {
		w = f.wait(want)
	}
	return evs, upTo, w, nil
}

// wait parks a watcher. Those who want all share one waiter, so that whoever
// goes away without a word leaves nothing behind.
func (f *feed) wait(want func(*Event) bool) *waiter {
	if want == nil {
		if f.all == nil {
			f.all = &waiter{wake: make(chan struct{})}
		}
		return f.all
	}
	w := &waiter{want: want, wake: make(chan struct{})}
	f.waiting[w] = struct{}{}
	return w
}

// leave forgets a waiter that waits no longer.
func (f *feed) leave(w *waiter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.waiting, w)
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
func (db *DB) Since(after uint64) ([]Event, <-chan struct{}, error) {
	evs, _, w, err := db.feed.since(after, nil)
	if w == nil {
		return evs, nil, err
	}
	return nil, w.wake, err
}

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

// OfKinds wants the events of some types.
func OfKinds(types ...string) func(*Event) bool {
	return func(e *Event) bool { return slices.Contains(types, e.Type) }
}

// Watch yields the wanted events after Seq after (nil: all), in batches, in
// order, until ctx ends. want is called with a lock held: it only looks at the
// event. A watcher that is too slow gets ErrLagged and never slows anybody down.
func (db *DB) Watch(ctx context.Context, after uint64, want func(*Event) bool) iter.Seq2[[]Event, error] {
	return func(yield func([]Event, error) bool) {
		for {
			evs, upTo, w, err := db.feed.since(after, want)
			after = upTo
			switch {
			case err != nil:
				yield(nil, err)
				return
			case len(evs) > 0:
				if !yield(evs, nil) {
					return
				}
			case w != nil:
				select {
				case <-ctx.Done():
					db.feed.leave(w)
					return
				case <-w.wake:
					after = w.from - 1
				}
			}
		}
	}
}
