package engine

import (
	"context"
	"sync"
	"time"
)

// queue holds each item once; one worker at a time has an item in hand.
type queue struct {
	now   func() time.Time
	mu    sync.Mutex // guards all below
	ready []item
	state map[item]*itemState
	wake  chan struct{}
}

type itemState struct {
	queued, inHand, again bool
	timer                 *time.Timer
	// The last reason, when it was first given, and whether nothing happened
	// since the item was looked at before.
	reason string
	since  time.Time
	calm   bool
}

func newQueue(now func() time.Time) *queue {
	return &queue{now: now, state: map[item]*itemState{}, wake: make(chan struct{}, 1)}
}

func (q *queue) add(it item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.addLocked(it)
}

// due adds an item because of the time alone.
func (q *queue) due(it item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.addLocked(it)
	q.state[it].calm = true
}

// hold says when to look again at an item in hand whose reason is held back;
// zero if it is to be stored, or none.
func (q *queue) hold(it item, res Result, now time.Time) time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.state[it]
	if s.reason != res.Waiting {
		s.reason, s.since, s.calm = res.Waiting, now, false
	}
	next := s.since.Add(Moment)
	if !res.Brief || s.calm || !now.Before(next) {
		return time.Time{}
	}
	if !res.Until.IsZero() && res.Until.Before(next) {
		return res.Until
	}
	return next
}

func (q *queue) addLocked(it item) {
	s := q.state[it]
	if s == nil {
		s = &itemState{}
		q.state[it] = s
	}
	s.calm = false
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	switch {
	case s.inHand:
		s.again = true
	case !s.queued:
		s.queued = true
		q.ready = append(q.ready, it)
		q.signal()
	}
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) take(ctx context.Context) (item, bool) {
	for {
		q.mu.Lock()
		if len(q.ready) > 0 && ctx.Err() == nil {
			it := q.ready[0]
			q.ready = q.ready[1:]
			q.state[it].queued, q.state[it].inHand = false, true
			if len(q.ready) > 0 {
				q.signal()
			}
			q.mu.Unlock()
			return it, true
		}
		q.mu.Unlock()
		select {
		case <-ctx.Done():
			return item{}, false
		case <-q.wake:
		}
	}
}

// done puts the item down; it comes back at next, if that is set, or at once
// if something happened meanwhile.
func (q *queue) done(it item, next time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.state[it]
	s.inHand = false
	switch {
	case s.again:
		s.again = false
		q.addLocked(it)
	case !next.IsZero():
		s.timer = time.AfterFunc(max(next.Sub(q.now()), 0), func() { q.due(it) })
	default:
		delete(q.state, it)
	}
}
