package cli

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// awaits runs an await in the background.
func awaits(t *testing.T, r *rig, every time.Duration, args ...string) <-chan ran {
	t.Helper()
	done := make(chan ran, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		var out, errw bytes.Buffer
		code := Config{Poll: every}.Main(ctx, args, r.env, strings.NewReader(""), &out, &errw)
		done <- ran{code, out.String(), errw.String()}
	}()
	return done
}

// TestAwaitListens: with an hour between two looks, only events can end it.
func TestAwaitListens(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	r.ok(t, "profiles", "create", "a.b")
	r.ok(t, "params", "create", "rack")
	r.ok(t, "machines", "create", "m1")
	for _, c := range [][]string{
		{"profiles", "await", "a.b", "Description=new"},
		{"profiles", "await", "a.b", "--for", "deleted"},
		{"machines", "wait", "m1", "Description", "new", "20"},
		{"machines", "await", "m1", "rack=r7"},
	} {
		done := awaits(t, r, time.Hour, append(c, "--timeout", "20s")...)
		switch {
		case c[2] == "m1" && c[1] == "await":
			r.ok(t, "machines", "set", "m1", "param", "rack", "to", "r7")
		case c[3] == "--for":
			r.ok(t, "profiles", "destroy", "a.b")
		default:
			r.ok(t, c[0], "update", c[2], "Description=new")
		}
		got := <-done
		assert.Equal(t, 0, got.code, "%v: %s", c, got.err)
	}
}

// TestAwaitPollsWithoutAStream: an older server has no stream of events.
func TestAwaitPollsWithoutAStream(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	r.ok(t, "machines", "create", "m1")
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if strings.HasSuffix(q.URL.Path, "/events/stream") {
			http.NotFound(w, q)
			return
		}
		r.srv.Config.Handler.ServeHTTP(w, q)
	}))
	t.Cleanup(old.Close)
	behind := *r
	behind.env = append([]string{}, r.env...)
	behind.env[1] = "RS_ENDPOINT=" + old.URL
	done := awaits(t, &behind, 5*time.Millisecond, "machines", "await", "m1", "Description=new", "--timeout", "20s")
	r.ok(t, "machines", "update", "m1", "Description=new")
	got := <-done
	assert.Equal(t, 0, got.code, got.err)
}
