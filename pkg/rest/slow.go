package rest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"github.com/labstack/echo/v4"
)

// Why one who follows events was cut off. Nobody else waits for them: each has
// a goroutine and a socket of their own.
var (
	// errSlow: the write went out in the end, so a last word can follow it.
	errSlow = errors.New("cut off: too slow to read; events were lost")
	// errStuck: it did not, and what follows half a frame is not understood.
	errStuck = errors.New("cut off: nothing was read for too long")
	// errSilent: pings are not answered.
	errSilent = errors.New("cut off: pings are not answered")
)

const (
	// gulp is how much is written at once, in whole frames or events: a reader
	// that is cut off gets what is in hand and the reason, and no more.
	gulp = 64 << 10
	// room and moreRoom are the sizes of the kernel's buffer for a follower of
	// events. What a stuck reader left no room for, and the reason, fit into the
	// difference: the kernel delivers them if the client ever reads again.
	room, moreRoom = 96 << 10, 512 << 10
)

// patience is how events are written to one who may stop reading. TLS bears no
// second write after one that timed out, so a write gets longer than the limit:
// what takes more than the limit is the last but for the reason.
type patience struct {
	mu       sync.Locker // held for one write
	limit    time.Duration
	deadline func(time.Time) error
	write    func([]byte) error
	widen    func()                // called at the limit
	whole    func([]byte, int) int // how many bytes are whole messages: at most so many, but one
}

func (p *patience) deliver(data []byte) error {
	for len(data) > 0 {
		n := len(data)
		if n > gulp {
			n = p.whole(data, gulp)
		}
		if err := p.one(data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

func (p *patience) one(data []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.deadline(time.Now().Add(p.limit + p.limit/2)); err != nil {
		return err
	}
	late := time.AfterFunc(p.limit, p.widen)
	err := p.write(data)
	inTime := late.Stop()
	switch {
	case inTime:
		return err
	case err != nil:
		return errStuck
	}
	return errSlow
}

// link is the connection of a websocket; it notes whether the client lives.
type link struct {
	net.Conn
	heard atomic.Bool // something came since it was last asked
}

func (l *link) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if n > 0 {
		l.heard.Store(true)
	}
	return n, err
}

type connKey struct{}

// WithConn is for http.Server.ConnContext: streams of events find their
// connection by it, so that a reader who is cut off can be told.
func WithConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// buffer sets the size of the kernel's buffer of what is not sent yet.
func buffer(conn net.Conn, size int) {
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = t.NetConn()
	}
	if c, ok := conn.(*net.TCPConn); ok {
		_ = c.SetWriteBuffer(size) // else the reason may not arrive, and no more
	}
}

// linkOf puts a link below the websocket, before anybody reads or writes it.
func linkOf(w *wire) *link {
	l := &link{Conn: w.Conn}
	buffer(l.Conn, room)
	w.Conn = l
	return l
}

// patience is that of a websocket. The wire's own Write is for control frames.
func (l *link) patience(w *wire, limit time.Duration) *patience {
	return &patience{mu: &w.mu, limit: limit, deadline: l.SetWriteDeadline, widen: func() { buffer(l.Conn, moreRoom) }, whole: wholeFrames,
		write: func(data []byte) error { _, err := l.Write(data); return err }}
}

// wholeFrames counts the bytes of whole unmasked frames.
func wholeFrames(data []byte, most int) (n int) {
	for n < len(data) {
		size := frameSize(data[n:])
		if n > 0 && n+size > most {
			return n
		}
		n += size
	}
	return min(n, len(data))
}

func frameSize(b []byte) int {
	switch {
	case len(b) >= 10 && b[1] == 127:
		return 10 + int(binary.BigEndian.Uint64(b[2:]))
	case len(b) >= 4 && b[1] == 126:
		return 4 + int(binary.BigEndian.Uint16(b[2:]))
	case len(b) >= 2 && b[1] < 126:
		return 2 + int(b[1])
	}
	return len(b)
}

// streamPatience is that of text/event-stream.
func streamPatience(c echo.Context, limit time.Duration) *patience {
	conn, _ := c.Request().Context().Value(connKey{}).(net.Conn)
	buffer(conn, room)
	ctl := http.NewResponseController(c.Response())
	return &patience{mu: &sync.Mutex{}, limit: limit, deadline: ctl.SetWriteDeadline, widen: func() { buffer(conn, moreRoom) }, whole: wholeEvents,
		write: func(data []byte) error {
			if _, err := c.Response().Write(data); err != nil {
				return err
			}
			return ctl.Flush()
		}}
}

// wholeEvents counts the bytes of whole messages of text/event-stream.
func wholeEvents(data []byte, most int) int {
	end := []byte("\n\n")
	if i := bytes.LastIndex(data[:most], end); i >= 0 {
		return i + len(end)
	}
	if i := bytes.Index(data, end); i >= 0 {
		return i + len(end)
	}
	return len(data)
}

// ping asks the client every Beat for a sign of life.
func (s *server) ping(ctx context.Context, l *link, deliver func([]byte) error) error {
	const finalPing = 0x89
	tick := time.NewTicker(s.cfg.Beat)
	defer tick.Stop()
	for asked := false; ; asked = true {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if heard := l.heard.Swap(false); asked && !heard {
			return errSilent
		}
		if err := deliver([]byte{finalPing, 0}); err != nil {
			return fmt.Errorf("ping: %w", err)
		}
	}
}

// cutOff notes who was cut off, and is false for any other end of a stream.
func (s *server) cutOff(c echo.Context, how string, err error) bool {
	for _, why := range []error{errSlow, errStuck, errSilent} {
		if errors.Is(err, why) {
			s.cfg.Log.Warn("reader of events "+why.Error(), "how", how, "actor", identity(c).Name, "client", c.Request().RemoteAddr)
			s.cfg.Cut(how)
			return true
		}
	}
	return false
}

// closeSlow says why, if the client may still hear it.
func closeSlow(conn *websocket.Conn, err error) {
	for _, why := range []error{errSlow, errSilent} {
		if errors.Is(err, why) {
			_ = conn.Close(websocket.StatusTryAgainLater, why.Error())
		}
	}
}
