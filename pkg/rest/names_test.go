package rest_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
)

// A name in a URL is decoded once: a%41 is no other name for aA, whatever else
// of the path is escaped.
func TestNamesAreDecodedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	names := []string{"aA", "a%41", "a%2541", "d/aA", "d/a%41", "e%2FaA", "100%", "a!b%41"}
	for _, area := range []string{"/files/", "/isos/"} {
		for _, n := range names {
			at := area + url.PathEscape(n)
			got := r.do(t, "POST", at, n, "Content-Type", "application/octet-stream")
			require.Equal(t, 201, got.status, got.body)
		}
		for _, n := range names {
			assert.Equal(t, n, r.do(t, "GET", area+url.PathEscape(n), "").body, n)
		}
	}
	for _, n := range names {
		assert.True(t, api.Files.Has(r.db.View(), "files/"+n), n)
	}
	assert.Equal(t, 200, r.do(t, "DELETE", "/files/"+url.PathEscape("a%41"), "").status)
	assert.Equal(t, 200, r.do(t, "GET", "/files/aA", "").status, "another file")

	// So are all other names: by its Name:value, and of a param.
	require.Equal(t, 201, r.do(t, "POST", "/profiles", `{"Name":"pA"}`).status)
	assert.Equal(t, 200, r.do(t, "GET", "/profiles/p%41", "").status)
	assert.Equal(t, 200, r.do(t, "GET", "/profiles/Name%3Ap%41", "").status)
	assert.Equal(t, 404, r.do(t, "GET", "/profiles/p%2541", "").status, "it is p%41 that is asked for")
	assert.Equal(t, 404, r.do(t, "GET", "/profiles/Name%3Ap%2541", "").status)
	assert.Equal(t, 422, r.do(t, "POST", "/profiles/pA/params/x%2541", `1`).status, "not the param xA")
	assert.Equal(t, 422, r.do(t, "POST", "/profiles/pA/params/d%2Fx%2541", `1`).status, "not the param d/xA")
}
