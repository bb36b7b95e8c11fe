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
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

func bearer(token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// BenchmarkFanOut is one event for each of 100 watchers, without the sockets:
// filtered and framed once, handed out 100 times. The unit is one delivery.
func BenchmarkFanOut(b *testing.B) {
	const watchers, storm = 100, 100
	db, err := resource.Open(b.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: api.Kinds()})
	require.NoError(b, err)
	require.NoError(b, db.Update(b.Context(), func(tx *resource.Tx) error {
		return api.Users.Create(tx, &api.User{Name: "root", Roles: []string{auth.Superuser}})
	}))
	a, err := auth.New(auth.Config{DB: db, Keys: [][]byte{make([]byte, 32)}})
	require.NoError(b, err)
	token, err := a.UserToken(auth.Identity{}, "root", time.Hour, auth.Narrow{})
	require.NoError(b, err)
	id, err := a.Authenticate(b.Context(), bearer(token))
	require.NoError(b, err)
	p, err := parsePattern("machines.*.*")
	require.NoError(b, err)
	now := time.Now()
	cfg := &Config{DB: db, Auth: a, Now: func() time.Time { now = now.Add(stormPace); return now }}
	l := &lane{frame: webFrame, wants: []pattern{p}, id: id}
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
