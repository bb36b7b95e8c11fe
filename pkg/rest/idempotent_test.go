package rest_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
)

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := newRig(t, func(c *rest.Config) { c.Now = func() time.Time { return now } })
	key := func(k string) []string { return []string{"Idempotency-Key", k} }
	first := r.do(t, "POST", "/machines", `{"Name":"once"}`, key("a")...)
	require.Equal(t, 201, first.status, first.body)
	again := r.do(t, "POST", "/machines", `{"Name":"once"}`, key("a")...)
	assert.Equal(t, []any{201, first.body, "true", first.head.Get("ETag")},
		[]any{again.status, again.body, again.head.Get("Idempotency-Replayed"), again.head.Get("ETag")})
	assert.Equal(t, 1, api.Machines.Len(r.db.View()))
	assert.Equal(t, 422, r.do(t, "POST", "/machines", `{"Name":"other"}`, key("a")...).status, "another request")
	assert.Equal(t, 409, r.do(t, "POST", "/machines", `{"Name":"once"}`, key("b")...).status)
	assert.Equal(t, 409, r.do(t, "POST", "/machines", `{"Name":"once"}`, key("b")...).status, "refusals are repeated too")
	assert.Equal(t, 200, r.do(t, "DELETE", "/machines/Name:once", "", key("d")...).status)
	assert.Equal(t, 200, r.do(t, "DELETE", "/machines/Name:once", "", key("d")...).status)
	assert.Equal(t, 404, r.do(t, "DELETE", "/machines/Name:once", "").status)
	assert.Equal(t, 400, r.do(t, "POST", "/machines", `{"Name":"x"}`, key(strings.Repeat("k", 129))...).status)
	assert.Equal(t, 400, r.do(t, "PUT", "/users/root/password", `{"Password":"x"}`, key("p")...).status)
	now = now.Add(25 * time.Hour)
	assert.Equal(t, 201, r.do(t, "POST", "/machines", `{"Name":"other"}`, key("a")...).status, "a day later the key is free")
	for _, path := range []string{"/kept_replies", "/object_keys"} {
		assert.Equal(t, 404, r.do(t, "GET", path, "").status, path)
	}
}

// What a request did and that it did it are saved together: if the answer is
// lost, the request is not carried out again.
func TestIdempotencyOfLostAnswers(t *testing.T) {
	t.Parallel()
	var db *resource.DB
	ran := 0
	r := newRig(t, func(c *rest.Config) {
		db = c.DB
		c.Verbs = map[string]rest.Verb{"pools/grow": func(ctx context.Context, _ resource.Object, _ []byte, _ url.Values) (int, any, error) {
			ran++
			err := db.Update(ctx, func(tx *resource.Tx) error {
				return api.Machines.Create(tx, &api.Machine{Name: "made"})
			})
			require.NoError(t, err)
			panic("the server dies before it answers")
		}}
	})
	require.Equal(t, 201, r.do(t, "POST", "/pools", `{"Id":"lab"}`).status)
	assert.Equal(t, 500, r.do(t, "POST", "/pools/lab/grow", "", "Idempotency-Key", "g").status)
	got := r.do(t, "POST", "/pools/lab/grow", "", "Idempotency-Key", "g")
	assert.Equal(t, 409, got.status, got.body)
	assert.Contains(t, got.body, "its answer was lost")
	assert.Equal(t, 1, ran)
}
