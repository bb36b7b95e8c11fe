package rest_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/resource"
	"drpd/pkg/rest"
)

// lazy is a client whose system takes hardly anything that it does not read.
func lazy(secure bool) (scheme string, c *http.Client) {
	d := &net.Dialer{}
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, addr)
		if err == nil {
			err = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
		}
		return conn, err
	}}
	scheme = map[bool]string{false: "http", true: "https"}[secure]
	return scheme, &http.Client{Transport: tr}
}

// slowRig serves plainly or over TLS, and says who was cut off.
func slowRig(t *testing.T, secure bool) (r *rig, at string, client *http.Client, cut chan string) {
	t.Helper()
	cut = make(chan string, 1)
	r = newRig(t, func(c *rest.Config) { c.Stall, c.Cut = time.Second, func(how string) { cut <- how } })
	srv := httptest.NewUnstartedServer(r.srv.Config.Handler)
	srv.Config.ConnContext = rest.WithConn
	start := map[bool]func(){false: srv.Start, true: srv.StartTLS}
	start[secure]()
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	scheme, client := lazy(secure)
	t.Cleanup(client.CloseIdleConnections)
	return r, scheme + "://" + srv.Listener.Addr().String() + "/api/v3", client, cut
}

// flood is more than the buffers on the way hold.
func flood(t *testing.T, r *rig) (events int) {
	t.Helper()
	text, err := json.Marshal(strings.Repeat("x", 16<<10))
	require.NoError(t, err)
	for range 300 {
		r.db.Publish(resource.Event{Type: "big", Action: "a", Key: "k", Object: text})
	}
	return 300
}

func wait(t *testing.T, cut <-chan string) string {
	t.Helper()
	select {
	case how := <-cut:
		return how
	case <-time.After(30 * time.Second):
		t.Fatal("nobody was cut off")
		return ""
	}
}

// TestWhoStopsReadingIsTold: a client that reads nothing is cut off, and finds
// the reason behind what it had not read when it reads again.
func TestWhoStopsReadingIsTold(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("websocket, TLS %v", secure), func(t *testing.T) {
			t.Parallel()
			r, at, client, cut := slowRig(t, secure)
			c, _, err := websocket.Dial(t.Context(), at+"/ws?token="+r.root, &websocket.DialOptions{HTTPClient: client})
			require.NoError(t, err)
			t.Cleanup(func() { _ = c.CloseNow() })
			c.SetReadLimit(1 << 20)
			say(t, c, "register big.*.*")
			hear(t, c)
			all := flood(t, r)
			assert.Equal(t, "websocket", wait(t, cut))
			got := 0
			for ; err == nil; got++ {
				_, _, err = c.Read(t.Context())
			}
			assert.Equal(t, websocket.StatusTryAgainLater, websocket.CloseStatus(err), "%v", err)
			assert.ErrorContains(t, err, "too slow to read; events were lost")
			assert.Less(t, got, all)
		})
		t.Run(fmt.Sprintf("stream, TLS %v", secure), func(t *testing.T) {
			t.Parallel()
			r, at, client, cut := slowRig(t, secure)
			resp, err := client.Get(at + "/events/stream?register=big.*.*&token=" + r.root)
			require.NoError(t, err)
			defer resp.Body.Close()
			all := flood(t, r)
			assert.Equal(t, "stream", wait(t, cut))
			lines := bufio.NewScanner(resp.Body)
			lines.Buffer(nil, 1<<20)
			got, last := 0, ""
			for lines.Scan() {
				if strings.HasPrefix(lines.Text(), "id: ") {
					got++
				}
				if lines.Text() != "" {
					last += "\n" + lines.Text()
					last = last[max(0, len(last)-200):]
				}
			}
			require.NoError(t, lines.Err())
			assert.True(t, strings.HasSuffix(last, "event: lagged\ndata: \"cut off: too slow to read; events were lost\""), last)
			assert.Less(t, got, all)
		})
	}
}

// TestWhoIsSilentIsTold: a client whose program hangs answers no ping.
func TestWhoIsSilentIsTold(t *testing.T) {
	t.Parallel()
	cut := make(chan string, 1)
	r := newRig(t, func(c *rest.Config) { c.Beat, c.Cut = 20*time.Millisecond, func(how string) { cut <- how } })
	c := dial(t, r, r.root)
	assert.Equal(t, "websocket", wait(t, cut))
	_, _, err := c.Read(t.Context())
	assert.Equal(t, websocket.StatusTryAgainLater, websocket.CloseStatus(err), "%v", err)
	assert.ErrorContains(t, err, "pings are not answered")
}
