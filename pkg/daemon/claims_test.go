package daemon_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/alert"
	"drpd/pkg/api"
	"drpd/pkg/client"
	"drpd/pkg/daemon"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
)

const mac1 = "52:54:00:00:00:01"

// leased gives this host, from which all tests call, the lease of a MAC.
func leased(t *testing.T, d *daemon.Daemon, mac string) {
	t.Helper()
	put(t, d, func(tx *resource.Tx) error {
		return api.Leases.Put(tx, &api.Lease{Addr: "127.0.0.1", Token: mac, State: "ACK", ExpireTime: time.Now().Add(time.Hour)})
	})
}

func put(t *testing.T, d *daemon.Daemon, fn func(tx *resource.Tx) error) {
	t.Helper()
	require.NoError(t, d.DB.Update(t.Context(), fn))
}

// rack is a server with one machine, and what asks to be it.
type rack struct {
	*testing.T
	d    *daemon.Daemon
	id   string
	boot *client.Client // whoever has fetched a boot script
}

func newRack(t *testing.T, m *api.Machine) *rack {
	d, c, _ := server(t, t.TempDir())
	m.Name, m.HardwareAddrs = "n1", []string{mac1}
	made, err := client.Create(t.Context(), c, api.Machines, m)
	require.NoError(t, err)
	return &rack{T: t, d: d, id: made.Uuid, boot: bootClient(t, d)}
}

func (r *rack) claim(c *client.Client) (*client.Client, error) {
	who, err := c.WhoAmI(r.Context(), client.WhoAmIRequest{MacAddrs: []string{mac1}, Env: "discovery"})
	if err != nil {
		return nil, err
	}
	assert.Equal(r, r.id, who.Uuid)
	return r.boot.WithToken(who.Token), nil
}

func (r *rack) works(c *client.Client) bool {
	_, err := client.Get(r.Context(), c, api.Machines, r.id)
	return err == nil
}

func (r *rack) modify(fn func(m *api.Machine)) {
	r.Helper()
	put(r.T, r.d, func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, r.id, func(m *api.Machine) error { fn(m); return nil })
	})
}

// cycle stores what a BMC's boot leaves: the order, carried out.
func (r *rack) cycle(intent string) {
	r.Helper()
	put(r.T, r.d, func(tx *resource.Tx) error {
		return api.BMCActions.Create(tx, &api.BMCAction{Machine: r.id, Want: api.BMCBootPXE, Intent: intent, State: "done", Power: "on",
			Created: time.Now(), Ended: time.Now()})
	})
}

func TestWhoamiWantsProof(t *testing.T) {
	t.Parallel()
	r := newRack(t, &api.Machine{})
	_, err := r.claim(r.boot)
	assert.ErrorContains(t, err, "nothing shows that 127.0.0.1 is n1")
	assert.Equal(t, 403, client.Status(err))

	for name, l := range map[string]api.Lease{
		"only offered":        {State: "OFFER", Token: mac1, ExpireTime: time.Now().Add(time.Hour)},
		"over":                {State: "ACK", Token: mac1, ExpireTime: time.Now().Add(-time.Second)},
		"of another MAC":      {State: "ACK", Token: "52:54:00:00:00:ff", ExpireTime: time.Now().Add(time.Hour)},
		"parked":              {State: "INVALID", ExpireTime: time.Now().Add(time.Hour)},
		"of another, at them": {State: "ACK", Token: "", ExpireTime: time.Now().Add(time.Hour)},
	} {
		l.Addr = "127.0.0.1"
		put(t, r.d, func(tx *resource.Tx) error { return api.Leases.Put(tx, &l) })
		_, err := r.claim(r.boot)
		assert.Error(t, err, name)
	}
	leased(t, r.d, mac1)
	one, err := r.claim(r.boot)
	require.NoError(t, err)
	two, err := r.claim(r.boot)
	require.NoError(t, err)
	assert.True(t, r.works(one) && r.works(two), "a lost reply costs nothing")
}

// A boot script, a boot record and a fetched file prove nothing.
func TestRecordsProveNothing(t *testing.T) {
	t.Parallel()
	r := newRack(t, &api.Machine{})
	code, _ := fetch(t, r.d.FileURL("127.0.0.1")+"/52-54-00-00-00-01.ipxe")
	assert.Equal(t, 200, code)
	put(t, r.d, func(tx *resource.Tx) error {
		return api.BootRecords.Put(tx, &api.BootRecord{Mac: mac1, Steps: []api.BootStep{{Step: "dhcp", Time: time.Now()}, {Step: "kernel", Time: time.Now()}}})
	})
	_, err := r.claim(r.boot)
	assert.Equal(t, 403, client.Status(err))
}

func TestMachineInUseWantsMoreThanALease(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(*api.Machine){
		"in use":         func(m *api.Machine) { m.PoolStatus = api.InUse },
		"WorkOrder mode": func(m *api.Machine) { m.Moving, m.WorkflowComplete, m.WorkOrderMode = true, true, true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRack(t, &api.Machine{})
			leased(t, r.d, mac1)
			agent, err := r.claim(r.boot)
			require.NoError(t, err)
			r.modify(use)
			_, err = r.claim(r.boot)
			assert.ErrorContains(t, err, "n1 is in use, and nothing shows")
			again, err := r.claim(agent)
			require.NoError(t, err, "the token that is kept on its disk")
			assert.True(t, r.works(agent) && r.works(again))
			var out struct{ Until time.Time }
			_, err = admin(t, r.d).Do(t.Context(), "POST", "machines/"+r.id+"/admit", nil, map[string]string{}, &out)
			require.NoError(t, err)
			next, err := r.claim(r.boot)
			require.NoError(t, err)
			assert.True(t, r.works(next))
			assert.False(t, r.works(agent), "an operator's word ends the old token")
			_, err = r.claim(r.boot)
			assert.Equal(t, 403, client.Status(err), "it is good once")
		})
	}
}

// What a BMC has booted is the machine, whatever an old system of it says.
func TestBootOfTheBMC(t *testing.T) {
	t.Parallel()
	r := newRack(t, &api.Machine{})
	leased(t, r.d, mac1)
	old, err := r.claim(r.boot)
	require.NoError(t, err)
	r.modify(func(m *api.Machine) {
		m.PoolStatus, m.Boot = api.Destroying, &api.BootState{Intent: "i1", Env: "discovery", Since: time.Now()}
	})
	put(t, r.d, func(tx *resource.Tx) error {
		return api.BMCActions.Create(tx, &api.BMCAction{Uuid: "0b7fbd6f-0000-4000-8000-000000000001", Machine: r.id, Want: api.BMCBootPXE, Intent: "i1", State: "working", Created: time.Now()})
	})
	_, err = r.claim(r.boot)
	assert.ErrorContains(t, err, "is being booted by its BMC")
	_, _, _, err = old.NextJob(t.Context(), r.id, "")
	assert.ErrorContains(t, err, "has yet to boot into discovery")
	put(t, r.d, func(tx *resource.Tx) error {
		return api.BMCActions.Modify(tx, "0b7fbd6f-0000-4000-8000-000000000001", func(a *api.BMCAction) error {
			a.State, a.Power, a.SystemUUID = "done", "on", "a1234567-89ab-4def-a123-456789abcdef"
			return nil
		})
	})
	who := client.WhoAmIRequest{MacAddrs: []string{mac1}, Env: "discovery", Fingerprint: api.Fingerprint{SystemUUID: "b1234567-89ab-4def-a123-456789abcdef"}}
	_, err = r.boot.WhoAmI(t.Context(), who)
	assert.ErrorContains(t, err, "and this is system b1234567")
	who.Fingerprint.SystemUUID = "674523A1-AB89-EF4D-A123-456789ABCDEF" // as SMBIOS has it
	reply, err := r.boot.WhoAmI(t.Context(), who)
	require.NoError(t, err)
	assert.True(t, r.works(r.boot.WithToken(reply.Token)))
	assert.Nil(t, alert.Open(r.d.DB.View(), "claims of machine n1"))
	assert.False(t, r.works(old), "the old system's token has ended")
	a := alert.Open(r.d.DB.View(), "claims of machine n1")
	require.NotNil(t, a, "who still uses it is there as well")
	assert.Contains(t, a.Contents, "is claimed by two")
}

// The system that was on a machine when it was taken back says that it is the
// discovery system, with the token that it holds.
func TestTheOldSystemIsNotDiscovery(t *testing.T) {
	t.Parallel()
	r := newRack(t, &api.Machine{Params: resource.Params{"ipmi/address": "192.0.2.1"}})
	leased(t, r.d, mac1)
	put(t, r.d, func(tx *resource.Tx) error { // as after an installation
		require.NoError(t, proof.Claims.Put(tx, &proof.Claim{Machine: r.id, Id: "c1", Proof: proof.BMC, Address: "127.0.0.1", Since: time.Now(), Intent: "i0"}))
		return nil
	})
	token, err := r.d.ClaimToken(r.id)
	require.NoError(t, err)
	old := r.boot.WithToken(token)
	for name, a := range map[string]*api.BMCAction{
		"only wished for": nil,
		"wanted":          {Want: api.BMCBootPXE, Intent: "i1", State: "wanted"},
		"under way":       {Want: api.BMCBootPXE, Intent: "i1", State: "working"},
		"and showed it":   {Want: api.BMCBootPXE, Intent: "i1", State: "done", Power: "on"},
	} {
		r.modify(func(m *api.Machine) {
			m.PoolStatus, m.Boot = api.Destroying, &api.BootState{Intent: "i1", Env: "discovery", Since: time.Now()}
		})
		id := ""
		put(t, r.d, func(tx *resource.Tx) error {
			for was := range api.BMCActions.By(tx, "Machine", r.id) {
				require.NoError(t, api.BMCActions.Delete(tx, was.Uuid))
			}
			if a == nil {
				return nil
			}
			a.Machine, a.Created, a.Ended, a.NextTry, a.Deadline = r.id, time.Now(), time.Now(), time.Now().Add(time.Hour), time.Now().Add(time.Hour)
			require.NoError(t, api.BMCActions.Create(tx, a))
			id = a.Uuid
			return nil
		})
		_, err := r.claim(old) // it may go on speaking
		require.NoError(t, err, name)
		_, err = old.Do(t.Context(), "PATCH", "machines/"+r.id, nil, []map[string]any{{"op": "add", "path": "/Runnable", "value": true}}, nil)
		require.NoError(t, err, name)
		_, _, _, err = old.NextJob(t.Context(), r.id, "")
		assert.ErrorContains(t, err, "has yet to boot into discovery", name)
		m, err := api.Machines.Get(r.d.DB.View(), r.id)
		require.NoError(t, err)
		assert.False(t, m.Boot.Home, name)
		if a == nil {
			continue
		}
		is, err := api.BMCActions.Get(r.d.DB.View(), id)
		require.NoError(t, err)
		if is.State != "cancelled" { // which a rule of the server's does when it holds the machine
			assert.Equal(t, []string{a.State, a.Power}, []string{is.State, is.Power}, "%s: an agent's word ends nothing", name)
		}
	}
}

func TestTwoClaimantsAreTold(t *testing.T) {
	t.Parallel()
	r := newRack(t, &api.Machine{})
	leased(t, r.d, mac1)
	_, err := r.claim(r.boot)
	require.NoError(t, err)
	// Another speaks for it, and was heard of a moment ago.
	put(t, r.d, func(tx *resource.Tx) error {
		return proof.Claims.Modify(tx, r.id, func(c *proof.Claim) error { c.Address, c.Id = "10.0.0.9", "x"; return nil })
	})
	_, err = r.claim(r.boot)
	assert.ErrorContains(t, err, "10.0.0.9 speaks for n1, and is there")
	a := alert.Open(r.d.DB.View(), "claims of machine n1")
	require.NotNil(t, a)
	assert.Contains(t, a.Contents, "10.0.0.9 speaks for it")
	assert.Contains(t, a.Contents, "127.0.0.1 was refused")
	var why struct{ Says []string }
	_, err = admin(t, r.d).Do(t.Context(), "GET", "why/machines/"+r.id, nil, nil, &why)
	require.NoError(t, err)
	assert.Contains(t, why.Says[len(why.Says)-1], "a claim to be n1 was refused")
}

var bearer = regexp.MustCompile(`"Token": "([^"]+)"`)

// The token in control.sh is for whoever uses it first, in time, and is the
// machine; then for nobody else.
func TestTicket(t *testing.T) {
	t.Parallel()
	r := newRack(t, &api.Machine{})
	leased(t, r.d, mac1)
	ticket := func() *client.Client {
		code, text := fetch(t, r.d.FileURL("127.0.0.1")+"/machines/"+r.id+"/control.sh")
		require.Equal(t, 200, code)
		found := bearer.FindStringSubmatch(text)
		require.NotNil(t, found, text)
		return r.boot.WithToken(found[1])
	}
	used, stolen := ticket(), ticket()
	assert.True(t, r.works(used), "the v4.7 agent just uses it")
	assert.True(t, r.works(used))
	put(t, r.d, func(tx *resource.Tx) error { // the thief is elsewhere
		if err := api.Leases.Put(tx, &api.Lease{Addr: "10.0.0.9", Token: mac1, State: "ACK", ExpireTime: time.Now().Add(time.Hour)}); err != nil {
			return err
		}
		if err := api.Leases.Delete(tx, "127.0.0.1"); err != nil {
			return err
		}
		return proof.Claims.Modify(tx, r.id, func(c *proof.Claim) error {
			c.Address = "10.0.0.9"
			for i := range c.Used {
				c.Used[i].Address = "10.0.0.9"
			}
			return nil
		})
	})
	assert.False(t, r.works(stolen), "not used yet, but the thief is not the machine")
	assert.False(t, r.works(used), "used by the machine, at another address")
}

func TestJoinToken(t *testing.T) {
	t.Parallel()
	r := newRack(t, &api.Machine{})
	r.modify(func(m *api.Machine) { m.PoolStatus = api.InUse })
	ask := func(body map[string]string) *client.Client {
		var out struct{ Token, Command string }
		_, err := admin(t, r.d).Do(t.Context(), "POST", "join_tokens", nil, body, &out)
		require.NoError(t, err)
		assert.Contains(t, out.Command, "/machines/join-up.sh | JOIN_TOKEN=")
		return r.boot.WithToken(out.Token)
	}
	any := ask(nil)
	_, err := r.claim(any)
	assert.Equal(t, 403, client.Status(err), "a token for any machine is none for one in use")
	mine := ask(map[string]string{"Machine": "Name:n1"})
	one, err := r.claim(mine)
	require.NoError(t, err)
	two, err := r.claim(mine)
	require.NoError(t, err)
	assert.True(t, r.works(one) && r.works(two), "a lost reply costs nothing")
	who, err := any.WhoAmI(t.Context(), client.WhoAmIRequest{MacAddrs: []string{"52-54-00-00-00-02"}, Env: "local"})
	require.NoError(t, err, "a new machine")
	m, err := client.Get(t.Context(), r.boot.WithToken(who.Token), api.Machines, who.Uuid)
	require.NoError(t, err)
	require.NotNil(t, m.Boot)
	assert.Contains(t, m.Boot.Error, "joined as a running system", "it is not booted before somebody says so")
	_, err = any.WhoAmI(t.Context(), client.WhoAmIRequest{MacAddrs: []string{"52-54-00-00-00-03"}, Env: "local"})
	assert.Equal(t, 403, client.Status(err), "it made one machine")
	require.NoError(t, r.d.DB.Update(t.Context(), func(tx *resource.Tx) error { return api.Machines.Delete(tx, who.Uuid) }))
	_, err = any.WhoAmI(t.Context(), client.WhoAmIRequest{MacAddrs: []string{"52-54-00-00-00-03"}, Env: "local"})
	assert.Equal(t, 403, client.Status(err), "also when that is deleted")
	who, err = ask(nil).WhoAmI(t.Context(), client.WhoAmIRequest{MacAddrs: []string{"52-54-00-00-00-04"}, Env: "discovery"})
	require.NoError(t, err)
	m, err = client.Get(t.Context(), r.boot.WithToken(who.Token), api.Machines, who.Uuid)
	require.NoError(t, err)
	assert.Empty(t, m.Boot.Error, "one that was booted goes on")
}

// TestActionsAreOfWorkThatIsToBeDone: the agent gets no scripts of a job that is
// over, nor any while the system of a boot is awaited, in whatever context it asks.
func TestActionsAreOfWorkThatIsToBeDone(t *testing.T) {
	t.Parallel()
	r := newRack(t, &api.Machine{Params: resource.Params{"ipmi/address": "192.0.2.1"}})
	leased(t, r.d, mac1)
	agent, err := r.claim(r.boot)
	require.NoError(t, err)
	put(t, r.d, func(tx *resource.Tx) error {
		require.NoError(t, api.Tasks.Create(tx, &api.Task{Name: "t1", Templates: []api.TemplateInfo{{Name: "x", Contents: "echo"}}}))
		return api.Jobs.Create(tx, &api.Job{Uuid: "0b7fbd6f-0000-4000-8000-000000000002", Machine: r.id, Task: "t1", State: api.JobRunning})
	})
	job := "0b7fbd6f-0000-4000-8000-000000000002"
	_, err = agent.JobActions(t.Context(), job)
	require.NoError(t, err)
	put(t, r.d, func(tx *resource.Tx) error {
		return api.Jobs.Modify(tx, job, func(j *api.Job) error { j.State = api.JobFinished; return nil })
	})
	_, err = agent.JobActions(t.Context(), job)
	assert.ErrorContains(t, err, "there is nothing to do any more")
	_, err = admin(t, r.d).JobActions(t.Context(), job)
	require.NoError(t, err, "a person may look")
	put(t, r.d, func(tx *resource.Tx) error {
		job = "0b7fbd6f-0000-4000-8000-000000000003"
		return api.Jobs.Create(tx, &api.Job{Uuid: job, Machine: r.id, Task: "t1", State: api.JobRunning})
	})
	r.modify(func(m *api.Machine) {
		m.PoolStatus, m.Boot = api.Destroying, &api.BootState{Intent: "i1", Env: "discovery", Since: time.Now()}
	})
	_, err = agent.JobActions(t.Context(), job)
	assert.ErrorContains(t, err, "has yet to boot into discovery")
	_, _, _, err = agent.NextJob(t.Context(), r.id, "some-context")
	assert.ErrorContains(t, err, "has yet to boot into discovery")
}

// TestAdmittedWithAnEndedToken: the system on a machine's disk holds a token that
// ended; it may ask who it is, which an operator decides, and no more.
func TestAdmittedWithAnEndedToken(t *testing.T) {
	t.Parallel()
	r := newRack(t, &api.Machine{})
	leased(t, r.d, mac1)
	disk, err := r.claim(r.boot)
	require.NoError(t, err)
	r.modify(func(m *api.Machine) { m.PoolStatus = api.InUse })
	put(t, r.d, func(tx *resource.Tx) error {
		return proof.Claims.Modify(tx, r.id, func(c *proof.Claim) error { c.Id = "another's"; return nil })
	})
	_, err = r.claim(disk)
	assert.ErrorContains(t, err, "n1 is in use, and nothing shows", "it is told what to do")
	assert.False(t, r.works(disk))
	var out struct{ Until time.Time }
	_, err = admin(t, r.d).Do(t.Context(), "POST", "machines/"+r.id+"/admit", nil, map[string]string{}, &out)
	require.NoError(t, err)
	next, err := r.claim(disk)
	require.NoError(t, err)
	assert.True(t, r.works(next))
	assert.False(t, r.works(disk))
}

// TestBootedAgainAfterARival: a machine that is at home is booted again when
// somebody was refused as that machine: it may be itself, after a warm restart.
func TestBootedAgainAfterARival(t *testing.T) {
	t.Parallel()
	r := newRack(t, &api.Machine{})
	r.modify(func(m *api.Machine) { m.Boot = &api.BootState{Intent: "i1", Env: m.BootEnv, Home: true} })
	again := func() error {
		_, err := admin(t, r.d).Do(t.Context(), "POST", "machines/"+r.id+"/boot", nil, nil, nil)
		return err
	}
	assert.ErrorContains(t, again(), "n1 does not wait for a boot")
	put(t, r.d, func(tx *resource.Tx) error {
		return proof.Claims.Put(tx, &proof.Claim{Machine: r.id, Id: "c", Rival: &proof.Rival{Address: "10.0.0.10"}})
	})
	require.NoError(t, again())
	m, err := api.Machines.Get(r.d.DB.View(), r.id)
	require.NoError(t, err)
	assert.False(t, m.Boot.Home)
	assert.NotEqual(t, "i1", m.Boot.Intent)
}
