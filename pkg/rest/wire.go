package rest

import (
	"bufio"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// wire is the connection below a websocket. Messages are written below it as
// ready frames, many at once, which the library has no way for; it does the
// handshake, reads, and writes control frames, each in one write.
type wire struct {
	net.Conn
	mu sync.Mutex // one write at a time
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}

// hijacked gives the library our wire instead of the connection.
type hijacked struct {
	http.ResponseWriter
	wire *wire
}

func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.wire = &wire{Conn: conn}
	return h.wire, bufio.NewReadWriter(rw.Reader, bufio.NewWriter(h.wire)), nil
}

func acceptWS(w http.ResponseWriter, r *http.Request) (*websocket.Conn, *wire, error) {
	h := &hijacked{ResponseWriter: w}
	// Pages of any origin may ask, as with CORS: a browser adds no credentials by
	// itself, the page must know a token.
	conn, err := websocket.Accept(h, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled, InsecureSkipVerify: true})
	return conn, h.wire, err
}
