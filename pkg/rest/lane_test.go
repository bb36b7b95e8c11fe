package rest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

func bearer(token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// newLane is a lane of a superuser who follows machines, at a time of its own.
func newLane(t testing.TB) (*lane, *Config, *time.Time) {
	t.Helper()
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: append(api.Kinds(), proof.Claims)})
	require.NoError(t, err)
	require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
		return api.Users.Create(tx, &api.User{Name: "root", Roles: []string{auth.Superuser}})
	}))
	a, err := auth.New(auth.Config{DB: db, Keys: [][]byte{make([]byte, 32)}})
	require.NoError(t, err)
	token, err := a.UserToken(auth.Identity{}, "root", time.Hour, auth.Narrow{})
	require.NoError(t, err)
	id, err := a.Authenticate(t.Context(), bearer(token))
	require.NoError(t, err)
	p, err := parsePattern("machines.*.*")
	require.NoError(t, err)
	now := time.Now()
	return &lane{frame: webFrame, wants: []pattern{p}, id: id}, &Config{DB: db, Auth: a, Now: func() time.Time { return now }}, &now
}

// TestPace: single events hold the next ones back for a moment, those of a
// storm for longer, and what others follow counts for nothing.
func TestPace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		wanted, others int
		want           time.Duration
	}{{1, 0, pace}, {storm - 1, 100, pace}, {storm, 0, stormPace}} {
		l, cfg, _ := newLane(t)
		after := cfg.DB.Seq()
		for range c.wanted {
			cfg.DB.Publish(resource.Event{Type: "machines", Action: "update", Key: "x", Object: []byte("{}")})
		}
		for range c.others {
			cfg.DB.Publish(resource.Event{Type: "tasks", Action: "update", Key: "x", Object: []byte("{}")})
		}
		st, err := l.next(cfg, after)
		require.NoError(t, err)
		require.NotEmpty(t, st.data, "the first goes out at once")
		st, err = l.next(cfg, st.to)
		require.NoError(t, err)
		require.Equal(t, c.want, st.pause, "%+v", c)
	}
}

// BenchmarkFanOut is one event for each of 100 watchers, without the sockets:
// filtered and framed once, handed out 100 times. The unit is one delivery.
func BenchmarkFanOut(b *testing.B) {
	const watchers, storm = 100, 100
	l, cfg, now := newLane(b)
	cfg.Now = func() time.Time { *now = now.Add(stormPace); return *now }
	db := cfg.DB
	object := fmt.Appendf(nil, `{"Name":%q}`, make([]byte, 300))
	after, bytes := db.Seq(), 0
	for b.Loop() {
		for range storm {
			db.Publish(resource.Event{Type: "machines", Action: "update", Key: "x", Object: object})
		}
		next := after
		for range watchers {
			st, err := l.next(cfg, after)
			if err != nil || st.to == 0 {
				b.Fatal(st, err)
			}
			next, bytes = st.to, bytes+len(st.data)
		}
		after = next
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/watchers/storm, "ns/delivery")
}
