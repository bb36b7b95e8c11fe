package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"
)

// watcher follows the events that the bench publishes and only counts them.
type watcher struct {
	*conn
	kind   string
	events atomic.Int64
}

const pattern = "bench.tick.*"

// follow opens a watcher that has had its first answer.
func (b *bed) follow(kind string) (*watcher, error) {
	c, err := dial(b.srv.plain, false, "Bearer "+b.token)
	if err != nil {
		return nil, err
	}
	w := &watcher{conn: c, kind: kind}
	if kind == "stream" {
		return w, w.openStream()
	}
	return w, w.openWebsocket()
}

func (w *watcher) openStream() error {
	if _, err := fmt.Fprintf(w, "GET /api/v3/events/stream?register=%s%s\r\n", pattern, w.head); err != nil {
		return err
	}
	line, err := w.in.ReadString('\n')
	if err != nil || line != "HTTP/1.1 200 OK\r\n" {
		return fmt.Errorf("stream answers %q (%v)", line, err)
	}
	_, _, err = w.headers()
	return err
}

func (w *watcher) openWebsocket() error {
	if _, err := fmt.Fprintf(w, "GET /api/v3/ws%sConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", w.head); err != nil {
		return err
	}
	line, err := w.in.ReadString('\n')
	if err != nil || line != "HTTP/1.1 101 Switching Protocols\r\n" {
		return fmt.Errorf("websocket answers %q (%v)", line, err)
	}
	if _, _, err = w.headers(); err != nil {
		return err
	}
	say := "register " + pattern
	frame := append([]byte{0x81, 0x80 | byte(len(say)), 0, 0, 0, 0}, say...) // masked with zeros
	if _, err := w.Write(frame); err != nil {
		return err
	}
	_, err = w.frame()
	return err
}

// count reads until the connection ends.
func (w *watcher) count() error {
	for {
		n, err := w.next()
		if err != nil {
			return err
		}
		w.events.Add(int64(n))
	}
}

func (w *watcher) next() (int, error) {
	if w.kind == "stream" {
		line, err := w.in.ReadSlice('\n')
		if bytes.HasPrefix(line, []byte("data: ")) {
			return 1, err
		}
		return 0, err
	}
	return w.frame()
}

// frame skips one websocket frame; 1 if it was an event.
func (w *watcher) frame() (int, error) {
	var h [2]byte
	if _, err := io.ReadFull(w.in, h[:]); err != nil {
		return 0, err
	}
	size := uint64(h[1] & 127)
	if extra := map[uint64]int{126: 2, 127: 8}[size]; extra > 0 {
		var b [8]byte
		if _, err := io.ReadFull(w.in, b[8-extra:]); err != nil {
			return 0, err
		}
		size = binary.BigEndian.Uint64(b[:])
	}
	if _, err := w.in.Discard(int(size)); err != nil {
		return 0, err
	}
	if h[0]&15 == 1 {
		return 1, nil
	}
	return 0, nil
}
