package auth_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
)

// from is a request with a token from an address.
func from(addr, text, path string) *http.Request {
	q := httptest.NewRequest(http.MethodGet, path, nil)
	q.RemoteAddr = addr + ":4000"
	q.Header.Set("Authorization", "Bearer "+text)
	return q
}

// leaseOf gives the machine an address.
func (r *rig) leaseOf(t *testing.T, addr string) {
	r.put(t, func(tx *resource.Tx) error {
		for l := range api.Leases.All(tx) {
			if err := api.Leases.Delete(tx, l.Addr); err != nil {
				return err
			}
		}
		if err := api.Machines.Modify(tx, mine, func(m *api.Machine) error { m.HardwareAddrs = []string{"52:54:00:00:00:01"}; return nil }); err != nil {
			return err
		}
		return api.Leases.Create(tx, &api.Lease{Addr: addr, Token: "52:54:00:00:00:01", State: "ACK", ExpireTime: r.now.Add(100 * 24 * time.Hour)})
	})
}

// TestTickets: a token that went in the clear is for whoever uses it first, in
// time, can prove to be the machine, and gives signs of life.
func TestTickets(t *testing.T) {
	t.Parallel()
	const home, away = "10.0.0.10", "10.0.0.66"
	good := func(r *rig, addr, text string) bool {
		_, err := r.auth.Authenticate(t.Context(), from(addr, text, "/api/v3/machines"))
		return err == nil
	}
	setup := func() (*rig, string) {
		r := newRig(t)
		r.leaseOf(t, home)
		m, err := api.Machines.Get(r.db.View(), mine)
		require.NoError(t, err)
		text, err := r.auth.Ticket(m, "", auth.LapseKnown)
		require.NoError(t, err)
		return r, text
	}
	r, text := setup()
	assert.True(t, good(r, home, text), "the agent just uses it")
	assert.False(t, good(r, away, text), "used by the machine, at another address")
	r.now = r.now.Add(23 * time.Hour)
	assert.True(t, good(r, home, text), "its agent lives")
	r.now = r.now.Add(23 * time.Hour)
	assert.True(t, good(r, home, text), "and goes on living")
	r.leaseOf(t, "10.0.0.11")
	assert.True(t, good(r, "10.0.0.11", text), "the machine has another address now")
	r.now = r.now.Add(25 * time.Hour)
	assert.False(t, good(r, "10.0.0.11", text), "nothing was heard of it for too long")

	r, text = setup()
	r.now = r.now.Add(proof.TicketUse)
	assert.False(t, good(r, home, text), "it was to be used sooner")

	r, text = setup()
	assert.False(t, good(r, away, text), "who cannot be the machine")
	assert.True(t, good(r, home, text), "did not use it up")

	r, text = setup()
	assert.True(t, good(r, home, text))
	r.put(t, func(tx *resource.Tx) error {
		return proof.Claims.Modify(tx, mine, func(c *proof.Claim) error { c.Id = "another"; return nil })
	})
	assert.False(t, good(r, home, text), "somebody else has proven to be the machine since")
}

// TestUnusedTicket: until it is used it may do no more than say who it is.
func TestUnusedTicket(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.leaseOf(t, "10.0.0.10")
	m, err := api.Machines.Get(r.db.View(), mine)
	require.NoError(t, err)
	text, err := r.auth.Ticket(m, "", auth.LapseKnown)
	require.NoError(t, err)
	id, err := r.auth.Authenticate(t.Context(), from("10.0.0.66", text, "/api/v3/whoami"))
	require.NoError(t, err)
	assert.False(t, id.Allow("machines", "get", mine))
	assert.False(t, id.SpeaksFor(mine))
	assert.True(t, id.Allow("whoami", "create", ""))
	text, err = r.auth.Ticket(m, "foreign", auth.LapseKnown)
	assert.ErrorContains(t, err, "does not carry the profile", text)
}

// TestOnesOwnTokens: what somebody is given rests on their own claim, also if
// another has followed them between the look at their token and the making.
func TestOnesOwnTokens(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put(t, func(tx *resource.Tx) error {
		return proof.Claims.Put(tx, &proof.Claim{Machine: mine, Id: "first", Address: "10.0.0.10"})
	})
	c, err := proof.Claims.Get(r.db.View(), mine)
	require.NoError(t, err)
	text, err := r.auth.ClaimToken(c, time.Hour)
	require.NoError(t, err)
	by := r.who(t, text)
	assert.NoError(t, by.Present(r.db.View()))
	job, err := api.Jobs.Get(r.db.View(), job1)
	require.NoError(t, err)
	good := func(text string) bool {
		_, err := r.auth.Authenticate(t.Context(), from("10.0.0.10", text, "/api/v3/machines"))
		return err == nil
	}
	makes := map[string]func() (string, error){
		"agent":   func() (string, error) { return r.auth.AgentToken(by, mine, time.Hour) },
		"handed":  func() (string, error) { return r.auth.MachineToken(by, mine, time.Hour) },
		"profile": func() (string, error) { return r.auth.ProfileToken(by, mine, "inner", time.Hour) },
		"job":     func() (string, error) { return r.auth.JobToken(by, job, nil) },
	}
	for name, mint := range makes {
		text, err := mint()
		require.NoError(t, err, name)
		assert.True(t, good(text), name)
	}
	r.put(t, func(tx *resource.Tx) error {
		return proof.Claims.Modify(tx, mine, func(c *proof.Claim) error { c.Id = "second"; return nil })
	})
	assert.ErrorContains(t, by.Present(r.db.View()), "another has proven to be the machine since")
	for name, mint := range makes {
		text, err := mint()
		require.NoError(t, err, name)
		assert.False(t, good(text), name)
	}
}

// TestProfileTickets: as long as nobody has used it, one for a profile opens
// nothing: who fetched the script may not be the machine.
func TestProfileTickets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.leaseOf(t, "10.0.0.10")
	m, err := api.Machines.Get(r.db.View(), mine)
	require.NoError(t, err)
	text, err := r.auth.Ticket(m, "inner", auth.LapseInfinite)
	require.NoError(t, err)
	id, err := r.auth.Authenticate(t.Context(), from("10.0.0.66", text, "/api/v3/whoami"))
	require.NoError(t, err)
	for _, action := range []string{"get", "getSecure", "update:/Params/x", "updateSecure"} {
		assert.False(t, id.Allow("profiles", action, "inner"), action)
	}
	assert.False(t, id.Allow("params", "get", "x"))
	_, err = r.auth.Authenticate(t.Context(), from("10.0.0.66", text, "/api/v3/profiles/inner"))
	assert.ErrorContains(t, err, "cannot be mine")
	id, err = r.auth.Authenticate(t.Context(), from("10.0.0.10", text, "/api/v3/profiles/inner"))
	require.NoError(t, err)
	assert.True(t, id.Allow("profiles", "getSecure", "inner"), "used by the machine")
}

// TestJoinTokensOfNoMachine: one for whatever comes makes nobody a machine that
// somebody has; one for that machine does.
func TestJoinTokensOfNoMachine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status api.PoolStatus
		key    string
		want   proof.Kind
		text   string
	}{
		"for any, nobody's":       {api.Free, "", proof.Operator, ""},
		"for any, in use":         {api.InUse, "", proof.None, "mine is in use"},
		"for any, taken back":     {api.Destroying, "", proof.None, "nothing shows that 10.0.0.66 is mine"},
		"for it, in use":          {api.InUse, mine, proof.Operator, ""},
		"for another, nobody's":   {api.Free, other, proof.None, "nothing shows that 10.0.0.66 is mine"},
		"for another, taken back": {api.Destroying, other, proof.None, "nothing shows that 10.0.0.66 is mine"},
	} {
		r := newRig(t)
		r.put(t, func(tx *resource.Tx) error {
			return api.Machines.Modify(tx, mine, func(m *api.Machine) error { m.PoolStatus = c.status; return nil })
		})
		text, err := r.auth.JoinToken(r.as(t, "root"), c.key, time.Hour)
		require.NoError(t, err)
		id, err := r.auth.Authenticate(t.Context(), from("10.0.0.66", text, "/api/v3/whoami"))
		require.NoError(t, err)
		r.put(t, func(tx *resource.Tx) error {
			m, err := api.Machines.Get(tx, mine)
			require.NoError(t, err)
			claim, refusal, err := r.auth.Take(tx, id, m, netip.MustParseAddr("10.0.0.66"), "")
			require.NoError(t, err)
			if c.text != "" {
				assert.Contains(t, refusal, c.text, name)
				return nil
			}
			assert.Empty(t, refusal, name)
			if assert.NotNil(t, claim, name) {
				assert.Equal(t, c.want, claim.Proof, name)
			}
			return nil
		})
	}
	r := newRig(t)
	_, err := r.auth.JoinToken(r.as(t, "root"), "", 8*24*time.Hour)
	assert.ErrorContains(t, err, "a join token lives for 168h0m0s at most")
}

// TestJobsOnTheServer: the token of a job that the server itself runs does not end
// with the claim of the machine's agent; that of the agent's own job does.
func TestJobsOnTheServer(t *testing.T) {
	t.Parallel()
	for context, good := range map[string]bool{"": false, "runner": true} {
		r := newRig(t)
		r.put(t, func(tx *resource.Tx) error {
			return proof.Claims.Put(tx, &proof.Claim{Machine: mine, Id: "first", Address: "10.0.0.10"})
		})
		text, err := r.auth.JobToken(auth.Identity{}, &api.Job{Uuid: job1, Machine: mine, Context: context}, nil)
		require.NoError(t, err)
		r.put(t, func(tx *resource.Tx) error {
			return proof.Claims.Modify(tx, mine, func(c *proof.Claim) error { c.Id = "second"; return nil })
		})
		_, err = r.auth.Authenticate(t.Context(), from("10.0.0.10", text, "/api/v3/machines"))
		assert.Equal(t, good, err == nil, "context %q: %v", context, err)
	}
}

// TestLentToken: a machine's token that a user got ends when a boot or an operator
// proves who the machine is, and with the user's right to get one.
func TestLentToken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	role := func(action string) {
		r.put(t, func(tx *resource.Tx) error {
			return api.Roles.Put(tx, &api.Role{Name: "lender", Claims: []api.Claim{{Scope: "machines", Action: action, Specific: mine}}})
		})
	}
	claimed := func(id string, by proof.Kind) {
		r.put(t, func(tx *resource.Tx) error {
			return proof.Claims.Put(tx, &proof.Claim{Machine: mine, Id: id, Proof: by, Address: "10.0.0.10"})
		})
	}
	role("get,token")
	r.put(t, func(tx *resource.Tx) error {
		return api.Users.Create(tx, &api.User{Name: "low", Roles: []string{"lender"}})
	})
	lend := func() (text, again string) {
		text, err := r.auth.MachineToken(r.as(t, "low"), mine, auth.MaxTTL)
		require.NoError(t, err)
		again, err = r.auth.MachineToken(r.who(t, text), mine, auth.MaxTTL)
		require.NoError(t, err)
		return text, again
	}
	good := func(text string) bool {
		_, err := r.auth.Authenticate(t.Context(), with(text))
		return err == nil
	}
	for _, by := range []proof.Kind{proof.Operator, proof.BMC} {
		text, again := lend()
		claimed("leased before "+string(by), proof.Lease)
		assert.True(t, good(text) && good(again), by)
		claimed("proven by "+string(by), by)
		assert.False(t, good(text), by)
		assert.False(t, good(again), by)
	}
	text, again := lend()
	assert.True(t, good(text) && good(again), "lent since")
	role("get")
	assert.False(t, good(text))
	assert.False(t, good(again))
}
