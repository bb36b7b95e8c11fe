package daemon

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRunningRequestsAreAnsweredAtTheEnd: whoever was let in gets an answer
// before the server is over, and no torn connection; whoever follows is let go.
func TestRunningRequestsAreAnsweredAtTheEnd(t *testing.T) {
	t.Parallel()
	for name, follows := range map[string]bool{"short": false, "follower": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			in, release := make(chan struct{}), make(chan struct{})
			var answered atomic.Bool
			s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(in)
				select {
				case <-release:
				case <-r.Context().Done():
				}
				answered.Store(true)
				io.WriteString(w, "done")
			})}
			over := make(chan bool, 1)
			go func() {
				assert.NoError(t, serveHTTP(ctx, l, s))
				over <- answered.Load()
			}()
			body := make(chan string, 1)
			go func() {
				r, err := http.Get("http://" + l.Addr().String())
				if !assert.NoError(t, err) {
					body <- ""
					return
				}
				defer r.Body.Close()
				text, _ := io.ReadAll(r.Body)
				body <- string(text)
			}()
			<-in
			cancel()
			if !follows {
				select {
				case <-over:
					t.Fatal("the server is over while it has yet to answer")
				case <-time.After(100 * time.Millisecond):
				}
				close(release)
			}
			assert.True(t, <-over, "answered before the end")
			assert.Equal(t, "done", <-body)
		})
	}
}
