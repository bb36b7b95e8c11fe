package rest

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"drpd/pkg/auth"
	"drpd/pkg/resource"
)

const (
	// pace is the least time between two writes to one watcher. The first event
	// after a silence goes out at once; those of a storm are written together,
	// for the system calls are what a watcher costs.
	pace = 10 * time.Millisecond
	// stormPace is the same in a storm, when storm events or more went out at
	// once. Who waits for the few events of one machine is in no storm.
	stormPace = 50 * time.Millisecond
	storm     = 4
	// laneBytes bounds what a lane keeps for those a little behind.
	laneBytes = 1 << 20
)

// lane is what all watchers with the same rights, patterns and framing share:
// whoever comes first filters and frames the new events, the others only write
// the bytes. No goroutine belongs to it.
type lane struct {
	frame framing
	wants []pattern
	users int // guarded by lanes.mu

	mu     sync.Mutex // guards all below
	id     auth.Identity
	blocks []block // without gaps, newest last
	ready  time.Time
}

// block is the framed events after Seq from up to Seq to.
type block struct {
	from, to uint64
	events   int
	data     []byte
}

// pace is how long the next block shall wait after this one.
func (b block) pace() time.Duration {
	if b.events >= storm {
		return stormPace
	}
	return pace
}

// framing adds one event in the form of a connection.
type framing func(b []byte, e *resource.Event) ([]byte, error)

// step is what a watcher does next: write data and go on from to, or wait for
// wake, or for pause.
type step struct {
	data  []byte
	to    uint64
	wake  <-chan struct{}
	pause time.Duration
}

// next is the step of a watcher that has had everything up to Seq after.
func (l *lane) next(cfg *Config, after uint64) (step, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.IndexFunc(l.blocks, func(b block) bool { return b.from == after }); i >= 0 {
		return joined(l.blocks[i:]), nil
	}
	head := after
	if len(l.blocks) > 0 {
		head = l.blocks[len(l.blocks)-1].to
	}
	now := cfg.Now()
	if head == after && now.Before(l.ready) {
		return step{pause: l.ready.Sub(now)}, nil
	}
	evs, wake, err := cfg.DB.Since(after)
	if err != nil || len(evs) == 0 {
		return step{wake: wake}, err
	}
	id, err := cfg.Auth.Refresh(l.id)
	if err != nil {
		return step{}, err
	}
	l.id = id
	b, err := l.fill(evs, after, head)
	if err == nil && head == after {
		l.keep(b)
		l.ready = now.Add(b.pace())
	}
	return step{data: b.data, to: b.to}, err
}

// fill makes the block after Seq from; for a watcher behind the others only as
// far as head, where it joins them.
func (l *lane) fill(evs []resource.Event, from, head uint64) (block, error) {
	b := block{from: from}
	for i := range evs {
		if head > from && evs[i].Seq > head {
			break
		}
		b.to = evs[i].Seq
		if !l.passes(&evs[i]) {
			continue
		}
		var err error
		if b.data, err = l.frame(b.data, &evs[i]); err != nil {
			return b, err
		}
		b.events++
	}
	return b, nil
}

func (l *lane) keep(b block) {
	l.blocks = append(l.blocks, b)
	size := 0
	for i := len(l.blocks) - 1; i > 0; i-- {
		if size += len(l.blocks[i].data); size > laneBytes || len(l.blocks)-i > 64 {
			l.blocks = slices.Delete(l.blocks, 0, i)
			return
		}
	}
}

func joined(list []block) step {
	s := step{data: list[0].data, to: list[len(list)-1].to}
	for i, b := range list[1:] {
		if i == 0 {
			s.data = slices.Clip(s.data) // it is shared
		}
		s.data = append(s.data, b.data...)
	}
	return s
}

// passes says whether an event goes out: asked for, and visible to the caller.
func (l *lane) passes(e *resource.Event) bool {
	return slices.ContainsFunc(l.wants, func(p pattern) bool { return p.matches(*e) }) && l.id.AllowEvent(*e)
}

// lanes are those in use, by what makes watchers equal.
type lanes struct {
	mu  sync.Mutex // guards all below
	all map[string]*lane
}

func (ls *lanes) join(key string, make func() *lane) *lane {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.all[key] == nil {
		ls.all[key] = make()
	}
	ls.all[key].users++
	return ls.all[key]
}

func (ls *lanes) leave(key string) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l := ls.all[key]; l != nil {
		if l.users--; l.users == 0 {
			delete(ls.all, key)
		}
	}
}

// text is how a lane is found by patterns.
func textOf(patterns []pattern) string {
	var words []string
	for _, p := range patterns {
		words = append(words, strconv.Quote(p.text))
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

// webFrame is an unmasked text message of one websocket frame.
func webFrame(b []byte, e *resource.Event) ([]byte, error) {
	const longest = 10
	at := len(b)
	b, err := e.AppendJSON(append(b, make([]byte, longest)...))
	if err != nil {
		return nil, err
	}
	head := frameHead(make([]byte, 0, longest), len(b)-at-longest)
	copy(b[at:], head)
	return append(b[:at+len(head)], b[at+longest:]...), nil
}

func frameHead(b []byte, size int) []byte {
	const finalText = 0x81
	switch {
	case size < 126:
		return append(b, finalText, byte(size))
	case size < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, finalText, 126), uint16(size))
	}
	return binary.BigEndian.AppendUint64(append(b, finalText, 127), uint64(size))
}

// streamFrame is one message of text/event-stream.
func (s *server) streamFrame(b []byte, e *resource.Event) ([]byte, error) {
	b, err := e.AppendJSON(fmt.Appendf(b, "id: %s.%d\ndata: ", s.epoch, e.Seq))
	return append(b, "\n\n"...), err
}

// rest waits for what a step waits for; it is false when ctx ended.
func (st step) rest(ctx context.Context) bool {
	if st.pause > 0 {
		t := time.NewTimer(st.pause)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return false
		case <-t.C:
			return true
		}
	}
	select {
	case <-ctx.Done():
		return false
	case <-st.wake:
		return true
	}
}
