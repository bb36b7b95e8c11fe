package rest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestProfile(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	assert.Contains(t, r.do(t, "GET", "/debug/goroutine?debug=1", "").body, "goroutine profile: total")
	assert.Equal(t, 404, r.do(t, "GET", "/debug/nothing", "").status)
	assert.Equal(t, 400, r.do(t, "GET", "/debug/profile?seconds=301", "").status)
	assert.Equal(t, 401, r.as(t, "", "GET", "/api/v3/debug/heap", "").status)
}
