package rest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/resource"
)

func TestFollowersAreCounted(t *testing.T) {
	t.Parallel()
	var f Followers
	p, err := parsePattern("tftp.serve.*")
	require.NoError(t, err)
	e := resource.Event{Type: "tftp", Action: "serve", Key: "x"}
	assert.False(t, f.Want(e))
	f.add(p)
	f.add(p)
	f.remove(p)
	assert.True(t, f.Want(e), "one is left")
	assert.False(t, f.Want(resource.Event{Type: "static", Action: "serve"}))
	f.remove(p)
	f.remove(p)
	assert.False(t, f.Want(e))
}

// TestWhoGoesFollowsNoMore: what one connection registered goes with it.
func TestWhoGoesFollowsNoMore(t *testing.T) {
	t.Parallel()
	s := &server{cfg: Config{Followers: &Followers{}}}
	u := &subscriber{s: s}
	for _, p := range []string{"a.b.*", "a.b.*", "c.d.*"} {
		require.NoError(t, u.register(p))
	}
	u.deregister("c.d.*")
	assert.False(t, s.cfg.Followers.Want(resource.Event{Type: "c", Action: "d"}))
	assert.True(t, s.cfg.Followers.Want(resource.Event{Type: "a", Action: "b"}))
	u.gone()
	assert.False(t, s.cfg.Followers.Want(resource.Event{Type: "a", Action: "b"}))
}
