package proof_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

const (
	machineID = "11111111-1111-4111-8111-111111111111"
	otherID   = "22222222-2222-4222-8222-222222222222"
	system    = "a1234567-89ab-4def-a123-456789abcdef"
	another1  = "b1234567-89ab-4def-a123-456789abcdef"
)

var (
	noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	here = netip.MustParseAddr("10.0.0.10")
	away = netip.MustParseAddr("10.0.0.99")
)

// gate is a machine and what speaks for who claims to be it.
type gate struct {
	*testing.T
	tx *resource.Tx
}

func (g gate) lease(addr, mac string) {
	require.NoError(g, api.Leases.Put(g.tx, &api.Lease{Addr: addr, Token: mac, State: "ACK", ExpireTime: noon.Add(time.Hour)}))
}

func (g gate) machine(fn func(m *api.Machine)) {
	require.NoError(g, api.Machines.Modify(g.tx, machineID, func(m *api.Machine) error { fn(m); return nil }))
}

func (g gate) subnet(proxy bool) {
	require.NoError(g, api.Subnets.Create(g.tx, &api.Subnet{Name: "s", Subnet: "10.0.0.1/24", ActiveStart: "10.0.0.10", ActiveEnd: "10.0.0.90", Enabled: true, Proxy: proxy}))
}

// off is a subnet in which nobody gives leases now.
func (g gate) off() {
	g.subnet(false)
	require.NoError(g, api.Subnets.Modify(g.tx, "s", func(s *api.Subnet) error { s.Enabled = false; return nil }))
}

// boot orders a boot of the BMC, of which it has shown the state that is given.
func (g gate) boot(state, power string) {
	g.machine(func(m *api.Machine) {
		m.BootEnv, m.Boot = "discovery", &api.BootState{Intent: "i1", Env: "discovery", Since: noon}
	})
	require.NoError(g, api.BMCActions.Create(g.tx, &api.BMCAction{Machine: machineID, Want: api.BMCBootPXE, Intent: "i1", State: state, Power: power,
		SystemUUID: system, Created: noon, Ended: noon}))
}

// speaks is who was believed until now.
func (g gate) speaks(c proof.Claim) {
	c.Machine, c.Id = machineID, "old"
	require.NoError(g, proof.Claims.Put(g.tx, &c))
}

// came is who was believed to come from the boot.
func (g gate) came(c proof.Claim) {
	for a := range api.BMCActions.By(g.tx, "Machine", machineID) {
		c.Intent, c.Order = "i1", a.Uuid
	}
	if c.Since.IsZero() {
		c.Since = noon
	}
	g.speaks(c)
}

func (g gate) inUse() {
	g.machine(func(m *api.Machine) { m.PoolStatus = api.InUse })
}

// tried runs fn and then lets somebody claim to be the machine.
func tried(t *testing.T, fn func(g gate), who proof.Claimant) (c *proof.Claim, refusal string) {
	t.Helper()
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: append(api.Kinds(), proof.Claims), Now: func() time.Time { return noon }})
	require.NoError(t, err)
	if !who.Address.IsValid() {
		who.Address = here
	}
	require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
		require.NoError(t, api.BootEnvs.Create(tx, &api.BootEnv{Name: "discovery", Kernel: "k"}))
		require.NoError(t, api.Machines.Create(tx, &api.Machine{Name: "n1", Uuid: machineID, HardwareAddrs: []string{victim}}))
		require.NoError(t, api.Machines.Create(tx, &api.Machine{Name: "n2", Uuid: otherID, HardwareAddrs: []string{another}}))
		fn(gate{t, tx})
		m, err := api.Machines.Get(tx, machineID)
		require.NoError(t, err)
		c, refusal, err = proof.Take(tx, noon, m, who)
		return err
	}))
	return c, refusal
}

// TestTake: what a claim rests on, and why one is refused.
func TestTake(t *testing.T) {
	t.Parallel()
	leased := func(g gate) { g.lease("10.0.0.10", victim) }
	both := func(fns ...func(g gate)) func(g gate) {
		return func(g gate) {
			for _, fn := range fns {
				fn(g)
			}
		}
	}
	for name, c := range map[string]struct {
		given   func(g gate)
		who     proof.Claimant
		want    proof.Kind
		refused string
	}{
		"nothing":                             {func(gate) {}, proof.Claimant{}, "", "nothing shows that 10.0.0.10 is n1"},
		"its lease":                           {leased, proof.Claimant{}, proof.Lease, ""},
		"its lease, from elsewhere":           {leased, proof.Claimant{Address: away}, "", "10.0.0.99 cannot be n1: n1 holds the lease of 10.0.0.10"},
		"its token, at an address of its own": {both(leased, func(g gate) { g.speaks(proof.Claim{Address: "10.0.0.10"}) }), proof.Claimant{Address: away, Held: "old"}, "", ""},
		"its token, at another's address":     {both(func(g gate) { g.lease("10.0.0.10", another) }, func(g gate) { g.speaks(proof.Claim{Address: "10.0.0.99"}) }), proof.Claimant{Held: "old"}, "", "10.0.0.10 is leased to machine n2"},
		"admitted, at an address of its own":  {both(leased, func(g gate) { g.speaks(proof.Claim{Admit: noon.Add(time.Minute)}) }), proof.Claimant{Address: away}, proof.Operator, ""},
		"booted, and restarted by a task": {both(leased, gate.inUse, func(g gate) {
			g.boot("done", "on")
			g.came(proof.Claim{Address: "10.0.0.10", System: system, Restart: true})
		}), proof.Claimant{System: system, Live: true, Spoke: true}, proof.BMC, ""},
		"restarted by a task, from elsewhere": {both(leased, gate.inUse, func(g gate) {
			g.boot("done", "on")
			g.came(proof.Claim{Address: "10.0.0.99", System: system, Restart: true})
		}), proof.Claimant{System: system, Live: true, Spoke: true}, "", "one boot brings one system"},
		"the address of another":       {func(g gate) { g.lease("10.0.0.10", another) }, proof.Claimant{}, "", "10.0.0.10 is leased to machine n2"},
		"in use, by its lease":         {both(leased, gate.inUse), proof.Claimant{}, "", "n1 is in use, and nothing shows"},
		"in use, by its token":         {both(leased, gate.inUse, func(g gate) { g.speaks(proof.Claim{Address: "10.0.0.10"}) }), proof.Claimant{Held: "old"}, proof.Lease, ""},
		"in use, by an ended token":    {both(leased, gate.inUse, func(g gate) { g.speaks(proof.Claim{Address: "10.0.0.10"}) }), proof.Claimant{Held: "older"}, "", "n1 is in use"},
		"in use, by a token of nobody": {both(leased, gate.inUse), proof.Claimant{Held: ""}, "", "n1 is in use"},
		"WorkOrder mode, by its lease": {both(leased, func(g gate) {
			g.machine(func(m *api.Machine) { m.Moving, m.WorkflowComplete, m.WorkOrderMode = true, true, true })
		}), proof.Claimant{}, "", "n1 is in use"},
		"in use, admitted":               {both(leased, gate.inUse, func(g gate) { g.speaks(proof.Claim{Admit: noon.Add(time.Minute)}) }), proof.Claimant{}, proof.Operator, ""},
		"in use, admitted too long ago":  {both(leased, gate.inUse, func(g gate) { g.speaks(proof.Claim{Admit: noon}) }), proof.Claimant{}, "", "n1 is in use"},
		"admitted, as another":           {both(func(g gate) { g.lease("10.0.0.10", another) }, func(g gate) { g.speaks(proof.Claim{Admit: noon.Add(time.Minute)}) }), proof.Claimant{}, "", "10.0.0.10 is leased to machine n2"},
		"in use, by an operator's token": {gate.inUse, proof.Claimant{Operator: true}, proof.Operator, ""},
		"a token used by another": {both(leased, func(g gate) {
			g.speaks(proof.Claim{Used: []proof.Ticket{{Id: "t", Address: "10.0.0.99", Claim: "old"}}})
		}), proof.Claimant{Ticket: "t"}, "", "this token was used already, by 10.0.0.99"},
		"an operator's, used by another": {func(g gate) {
			g.speaks(proof.Claim{Used: []proof.Ticket{{Id: "t", Address: "10.0.0.99", Claim: "old"}}})
		}, proof.Claimant{Ticket: "t", Operator: true}, "", "this token was used already"},
		"a token of an ended claim": {both(leased, func(g gate) {
			g.speaks(proof.Claim{Used: []proof.Ticket{{Id: "t", Address: "10.0.0.10", Claim: "older"}}})
		}), proof.Claimant{Ticket: "t"}, "", "this token was used already"},
		"its own token again": {both(leased, func(g gate) {
			g.speaks(proof.Claim{Address: "10.0.0.10", Used: []proof.Ticket{{Id: "t", Address: "10.0.0.10", Claim: "old"}}})
		}), proof.Claimant{Ticket: "t"}, proof.Lease, ""},
		"booted, by its lease":                          {both(leased, gate.inUse, func(g gate) { g.boot("done", "on") }), proof.Claimant{System: system}, proof.BMC, ""},
		"booted, by its script":                         {both(gate.inUse, func(g gate) { g.boot("done", "on") }), proof.Claimant{System: system, Intent: "i1"}, proof.BMC, ""},
		"booted, by another script":                     {both(gate.inUse, func(g gate) { g.boot("done", "on") }), proof.Claimant{System: system, Intent: "i0"}, "", "is not the system that comes from that boot"},
		"booted, another system":                        {both(leased, gate.inUse, func(g gate) { g.boot("done", "on") }), proof.Claimant{System: another1}, "", "this is system b1234567"},
		"booted, by its lease, no system told":          {both(leased, gate.inUse, func(g gate) { g.boot("done", "on") }), proof.Claimant{}, "", "is not the system that comes from that boot"},
		"booted, by its lease, a placeholder":           {both(leased, gate.inUse, func(g gate) { g.boot("done", "on") }), proof.Claimant{System: "00000000-0000-0000-0000-000000000000"}, "", "is not the system that comes from that boot"},
		"booted, nobody's, no system told":              {both(leased, func(g gate) { g.boot("done", "on") }), proof.Claimant{}, proof.BMC, ""},
		"being booted, by its lease":                    {both(leased, gate.inUse, func(g gate) { g.boot("working", "") }), proof.Claimant{}, "", "is being booted by its BMC"},
		"being taken back, by its lease":                {both(leased, func(g gate) { g.boot("working", "") }, func(g gate) { g.machine(func(m *api.Machine) { m.PoolStatus = api.Destroying }) }), proof.Claimant{}, "", "is being booted by its BMC"},
		"held, by its lease":                            {both(leased, func(g gate) { g.boot("working", "") }, func(g gate) { g.machine(func(m *api.Machine) { m.PoolStatus = api.HoldDestroy }) }), proof.Claimant{}, "", "is being booted by its BMC"},
		"the BMC left it off":                           {both(leased, gate.inUse, func(g gate) { g.boot("done", "off") }), proof.Claimant{System: system}, "", "is being booted by its BMC"},
		"the BMC's boot failed":                         {both(leased, gate.inUse, func(g gate) { g.boot("failed", "on") }), proof.Claimant{System: system}, "", "is being booted by its BMC"},
		"booted, and another was first":                 {both(leased, gate.inUse, func(g gate) { g.boot("done", "on"); g.speaks(proof.Claim{Address: "10.0.0.99", Intent: "i1"}) }), proof.Claimant{System: system, Live: true}, "", "10.0.0.99 speaks for n1 since this boot, and is there"},
		"booted, and another came first":                {both(leased, gate.inUse, func(g gate) { g.boot("done", "on"); g.came(proof.Claim{Address: "10.0.0.99"}) }), proof.Claimant{System: system, Live: true}, "", "10.0.0.99 speaks for n1 since this boot, and one boot brings one system"},
		"booted, who came first is silent":              {both(leased, gate.inUse, func(g gate) { g.boot("done", "on"); g.came(proof.Claim{Address: "10.0.0.99"}) }), proof.Claimant{System: system}, "", "one boot brings one system"},
		"booted, one came first from the same address":  {both(leased, gate.inUse, func(g gate) { g.boot("done", "on"); g.came(proof.Claim{Address: "10.0.0.10", System: system}) }), proof.Claimant{System: system, Live: true, Spoke: true}, "", "one boot brings one system"},
		"booted, its reply was lost":                    {both(leased, gate.inUse, func(g gate) { g.boot("done", "on"); g.came(proof.Claim{Address: "10.0.0.10", System: system}) }), proof.Claimant{System: system, Live: true}, proof.BMC, ""},
		"booted, the reply to another address was lost": {both(leased, gate.inUse, func(g gate) { g.boot("done", "on"); g.came(proof.Claim{Address: "10.0.0.99", System: system}) }), proof.Claimant{System: system, Live: true}, "", "one boot brings one system"},
		"booted, its reply was lost long ago": {both(leased, gate.inUse, func(g gate) {
			g.boot("done", "on")
			g.came(proof.Claim{Address: "10.0.0.10", System: system, Since: noon.Add(-proof.LiveFor)})
		}), proof.Claimant{System: system, Live: true}, "", "one boot brings one system"},
		"at home, one came first": {both(leased, gate.inUse, func(g gate) {
			g.boot("done", "on")
			g.came(proof.Claim{Address: "10.0.0.10"})
			g.machine(func(m *api.Machine) { m.Boot.Home = true })
		}), proof.Claimant{System: system}, "", "one boot brings one system"},
		"booted, one came by a ticket alone": {both(leased, gate.inUse, func(g gate) { g.boot("done", "on"); g.came(proof.Claim{Address: "10.0.0.99", Bare: true}) }), proof.Claimant{System: system, Live: true}, proof.BMC, ""},
		"at home, one came by a ticket alone": {both(leased, gate.inUse, func(g gate) {
			g.boot("done", "on")
			g.came(proof.Claim{Address: "10.0.0.99", Bare: true})
			g.machine(func(m *api.Machine) { m.Boot.Home = true })
		}), proof.Claimant{System: system, Live: true}, proof.BMC, ""},
		"booted, two by tickets alone":          {both(gate.inUse, func(g gate) { g.boot("done", "on"); g.came(proof.Claim{Address: "10.0.0.99", Bare: true}) }), proof.Claimant{System: system, Intent: "i1"}, "", "one boot brings one system"},
		"booted, by its script, no system told": {both(gate.inUse, func(g gate) { g.boot("done", "on") }), proof.Claimant{Intent: "i1"}, "", "is not the system that comes from that boot"},
		"booted, who was first is silent":       {both(leased, gate.inUse, func(g gate) { g.boot("done", "on"); g.speaks(proof.Claim{Address: "10.0.0.99", Intent: "i1"}) }), proof.Claimant{System: system}, proof.BMC, ""},
		"building, and its agent is there": {both(leased, func(g gate) {
			g.machine(func(m *api.Machine) { m.PoolStatus, m.Boot = api.Building, &api.BootState{Intent: "i1"} })
			g.speaks(proof.Claim{Address: "10.0.0.10", During: "i1"})
		}), proof.Claimant{Live: true, Spoke: true}, "", "10.0.0.10 speaks for n1 since its last boot, and is there"},
		"building, its reply was lost": {both(leased, func(g gate) {
			g.machine(func(m *api.Machine) { m.PoolStatus, m.Boot = api.Building, &api.BootState{Intent: "i1"} })
			g.speaks(proof.Claim{Address: "10.0.0.10", During: "i1"})
		}), proof.Claimant{Live: true}, proof.Lease, ""},
		"building, and was told to boot since": {both(leased, func(g gate) {
			g.machine(func(m *api.Machine) { m.PoolStatus, m.Boot = api.Building, &api.BootState{Intent: "i2"} })
			g.speaks(proof.Claim{Address: "10.0.0.10", During: "i1"})
		}), proof.Claimant{Live: true, Spoke: true}, proof.Lease, ""},
		"another speaks for it":            {both(leased, func(g gate) { g.speaks(proof.Claim{Address: "10.0.0.99"}) }), proof.Claimant{Live: true}, "", "10.0.0.99 speaks for n1, and is there"},
		"another spoke for it, and is not": {both(leased, func(g gate) { g.speaks(proof.Claim{Address: "10.0.0.99"}) }), proof.Claimant{}, proof.Lease, ""},
	} {
		got, refusal := tried(t, c.given, c.who)
		if c.refused != "" {
			assert.Contains(t, refusal, c.refused, name)
			assert.Nil(t, got, name)
			continue
		}
		assert.Empty(t, refusal, name)
		if assert.NotNil(t, got, name) {
			assert.Equal(t, c.want, got.Proof, name)
		}
	}
}

// TestWhatAClaimIsFor: it says which boot it came from, if that was shown, and
// whether a ticket alone showed that.
func TestWhatAClaimIsFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		given               func(g gate)
		who                 proof.Claimant
		intent              string
		ordered, bare, told bool
	}{
		"by its script": {func(g gate) { g.boot("done", "on") }, proof.Claimant{Intent: "i1"}, "i1", true, true, false},
		"by its lease":  {func(g gate) { g.boot("done", "on"); g.lease("10.0.0.10", victim) }, proof.Claimant{}, "i1", true, false, false},
		"by both":       {func(g gate) { g.boot("done", "on"); g.lease("10.0.0.10", victim) }, proof.Claimant{Intent: "i1"}, "i1", true, false, false},
		"an operator's": {func(g gate) { g.boot("working", "") }, proof.Claimant{Operator: true}, "i1", false, false, false},
		"not booted":    {func(g gate) { g.lease("10.0.0.10", victim) }, proof.Claimant{}, "", false, false, false},
		"after one by a ticket": {func(g gate) {
			g.boot("done", "on")
			g.lease("10.0.0.10", victim)
			g.came(proof.Claim{Address: "10.0.0.99", Bare: true})
		}, proof.Claimant{}, "i1", true, false, true},
		"after one of an older boot": {func(g gate) {
			g.boot("done", "on")
			g.lease("10.0.0.10", victim)
			g.speaks(proof.Claim{Address: "10.0.0.99", Bare: true, Intent: "i0"})
		}, proof.Claimant{}, "i1", true, false, false},
	} {
		tried(t, func(g gate) {
			c.given(g)
			m, err := api.Machines.Get(g.tx, machineID)
			require.NoError(g, err)
			c.who.Address = here
			got, refusal, err := proof.Take(g.tx, noon, m, c.who)
			require.NoError(g, err)
			require.Empty(g, refusal, name)
			assert.Equal(t, c.intent, got.Intent, name)
			assert.Equal(t, c.ordered, got.Order != "", name)
			assert.Equal(t, c.bare, got.Bare, name)
			assert.Equal(t, m.Boot != nil, got.During == "i1", "%s: the boot that was wanted as it came", name)
			var texts []string
			for a := range api.Alerts.All(g.tx) {
				texts = append(texts, a.Contents)
			}
			assert.Equal(t, c.told, len(texts) == 1, "%s: %v", name, texts)
		}, proof.Claimant{})
	}
}

// TestTakeKeepsOrEndsTokens: who was there goes on with the same claim; a proven
// boot or an operator's word makes a new one, with which the old tokens end.
func TestTakeKeepsOrEndsTokens(t *testing.T) {
	t.Parallel()
	leased := func(g gate) { g.lease("10.0.0.10", victim) }
	for name, c := range map[string]struct {
		given func(g gate)
		who   proof.Claimant
		keeps bool
	}{
		"by its lease again":        {func(g gate) { leased(g); g.speaks(proof.Claim{Address: "10.0.0.10"}) }, proof.Claimant{}, true},
		"from another address":      {func(g gate) { leased(g); g.speaks(proof.Claim{Address: "10.0.0.98"}) }, proof.Claimant{}, false},
		"with its token, elsewhere": {func(g gate) { leased(g); g.speaks(proof.Claim{Address: "10.0.0.98"}) }, proof.Claimant{Held: "old"}, true},
		"booted":                    {func(g gate) { leased(g); g.boot("done", "on"); g.speaks(proof.Claim{Address: "10.0.0.10"}) }, proof.Claimant{}, false},
		"booted, the same once more": {func(g gate) {
			leased(g)
			g.boot("done", "on")
			g.speaks(proof.Claim{Address: "10.0.0.10", Intent: "i1"})
		}, proof.Claimant{Held: "old"}, true},
		"an operator's word": {func(g gate) { g.speaks(proof.Claim{Address: "10.0.0.10"}) }, proof.Claimant{Operator: true}, false},
		"admitted": {func(g gate) {
			g.speaks(proof.Claim{Address: "10.0.0.10", Admit: noon.Add(time.Minute)})
		}, proof.Claimant{}, false},
		"an operator's word once more": {func(g gate) {
			g.speaks(proof.Claim{Address: "10.0.0.10", Used: []proof.Ticket{{Id: "t", Address: "10.0.0.10", Claim: "old"}}})
		}, proof.Claimant{Operator: true, Ticket: "t"}, true},
	} {
		got, refusal := tried(t, c.given, c.who)
		require.Empty(t, refusal, name)
		assert.Equal(t, c.keeps, got.Id == "old", name)
		assert.True(t, got.Admit.IsZero(), "%s: an admission is for one", name)
	}
}

// TestSystemOfTwo: a system UUID that two machines have says nothing.
func TestSystemOfTwo(t *testing.T) {
	t.Parallel()
	got, refusal := tried(t, func(g gate) {
		g.lease("10.0.0.10", victim)
		g.boot("done", "on")
		require.NoError(t, api.BMCActions.Create(g.tx, &api.BMCAction{Machine: otherID, Want: api.BMCBootPXE, State: "done", SystemUUID: system, Created: noon}))
	}, proof.Claimant{System: another1})
	require.Empty(t, refusal)
	assert.Equal(t, proof.BMC, got.Proof)
}

// TestSpent: a token that made one machine makes no other.
func TestSpent(t *testing.T) {
	t.Parallel()
	tried(t, func(g gate) {
		g.speaks(proof.Claim{Used: []proof.Ticket{{Id: "t", Address: "10.0.0.10", Claim: "old"}}})
		assert.True(t, proof.Spent(g.tx, "t", otherID))
		assert.False(t, proof.Spent(g.tx, "t", machineID))
		assert.False(t, proof.Spent(g.tx, "u", otherID))
	}, proof.Claimant{})
}

// TestAwaitedInEveryState: a boot that we ordered is waited for in every state
// in which somebody has the machine.
func TestAwaitedInEveryState(t *testing.T) {
	t.Parallel()
	for state, awaited := range map[api.PoolStatus]bool{
		"": false, api.Joining: false, api.HoldJoin: false, api.Free: false, api.Leaving: false, api.HoldLeave: false,
		api.Building: true, api.HoldBuild: true, api.InUse: true, api.Destroying: true, api.HoldDestroy: true, "AddedLater": true,
	} {
		_, refusal := tried(t, func(g gate) {
			g.lease("10.0.0.10", victim)
			g.boot("working", "")
			m, err := api.Machines.Get(g.tx, machineID)
			require.NoError(t, err)
			is := *m
			is.PoolStatus = state
			assert.Equal(t, awaited, proof.Awaited(g.tx, &is), state)
		}, proof.Claimant{})
		assert.Empty(t, refusal, "it is nobody's")
	}
}

// TestAwaitedBoots: only a boot from the network that is still wanted is waited
// for, and only the newest order for it counts.
func TestAwaitedBoots(t *testing.T) {
	t.Parallel()
	order := func(intent, state, power string, at time.Time) func(g gate) {
		return func(g gate) {
			require.NoError(g, api.BMCActions.Create(g.tx, &api.BMCAction{Machine: machineID, Want: api.BMCBootPXE, Intent: intent, State: state, Power: power, Created: at}))
		}
	}
	for name, c := range map[string]struct {
		given         func(g gate)
		change        func(m *api.Machine)
		awaited, seen bool
	}{
		"booted":               {order("i1", "done", "on", noon), func(*api.Machine) {}, true, true},
		"at home":              {order("i1", "done", "on", noon), func(m *api.Machine) { m.Boot.Home = true }, false, false},
		"for what was wanted":  {order("i1", "done", "on", noon), func(m *api.Machine) { m.Boot.Env = "another" }, false, false},
		"from its disk":        {order("i1", "done", "on", noon), func(m *api.Machine) { m.BootEnv, m.Boot.Env = "local", "local" }, false, false},
		"an earlier boot":      {order("i0", "done", "on", noon), func(*api.Machine) {}, false, false},
		"the next one failed":  {func(g gate) { order("i1", "done", "on", noon)(g); order("i1", "failed", "on", noon.Add(1))(g) }, func(*api.Machine) {}, true, false},
		"the one before did":   {func(g gate) { order("i1", "failed", "on", noon)(g); order("i1", "done", "on", noon.Add(1))(g) }, func(*api.Machine) {}, true, true},
		"no wish, and a BMC":   {func(gate) {}, func(m *api.Machine) { m.Params, m.Boot = map[string]any{"ipmi/address": "192.0.2.1"}, nil }, false, false},
		"only wished for, BMC": {func(gate) {}, func(m *api.Machine) { m.Params = map[string]any{"ipmi/address": "192.0.2.1"} }, true, false},
	} {
		tried(t, func(g gate) {
			c.given(g)
			require.NoError(g, api.BootEnvs.Create(g.tx, &api.BootEnv{Name: "local"}))
			m := &api.Machine{Name: "n1", Uuid: machineID, PoolStatus: api.InUse, BootEnv: "discovery", Boot: &api.BootState{Intent: "i1", Env: "discovery", Since: noon}}
			c.change(m)
			assert.Equal(t, c.awaited, proof.Awaited(g.tx, m), name)
			assert.Equal(t, c.seen, proof.Seen(g.tx, m), name)
		}, proof.Claimant{})
	}
}

// TestVouched: the word of the agent counts where nobody had the machine, where
// nothing can show its boot, and while it is built.
func TestVouched(t *testing.T) {
	t.Parallel()
	for _, bmc := range []bool{true, false} {
		for _, intent := range []string{"i0", "i1"} {
			for state, open := range map[api.PoolStatus]bool{
				"": true, api.Joining: true, api.Free: true, api.Building: true, api.HoldBuild: false, api.InUse: false, api.Destroying: false, api.HoldDestroy: false,
			} {
				tried(t, func(g gate) {
					g.speaks(proof.Claim{Intent: intent})
					m := &api.Machine{Name: "n1", Uuid: machineID, PoolStatus: state, BootEnv: "discovery", Boot: &api.BootState{Intent: "i1", Env: "discovery", Home: true}}
					if bmc {
						m.Params = map[string]any{"ipmi/address": "192.0.2.1"}
					}
					assert.Equal(t, open || !bmc || intent == "i1", proof.Vouched(g.tx, m), "%q, BMC %v, claim of %s", state, bmc, intent)
				}, proof.Claimant{})
			}
		}
	}
}

// TestShown: what makes the agent of a machine with a BMC, that somebody had, one
// who comes from the boot that is wanted now.
func TestShown(t *testing.T) {
	t.Parallel()
	bmc := func(g gate) {
		g.machine(func(m *api.Machine) {
			m.PoolStatus, m.Params = api.Destroying, map[string]any{"ipmi/address": "192.0.2.1"}
			m.BootEnv, m.Boot = "discovery", &api.BootState{Intent: "i1", Env: "discovery", Since: noon}
		})
	}
	old := func(g gate) { g.lease("10.0.0.10", victim); g.speaks(proof.Claim{Address: "10.0.0.10", Intent: "i0"}) }
	for name, c := range map[string]struct {
		given func(g gate)
		who   proof.Claimant
		shown bool
		text  string // of a refusal
	}{
		"wished for, its token":     {func(g gate) { old(g) }, proof.Claimant{Held: "old"}, false, ""},
		"wished for, its lease":     {func(g gate) { old(g) }, proof.Claimant{}, false, "is being booted by its BMC"},
		"being booted, its token":   {func(g gate) { old(g); g.boot("working", "") }, proof.Claimant{Held: "old"}, false, ""},
		"booted and off, its token": {func(g gate) { old(g); g.boot("done", "off") }, proof.Claimant{Held: "old"}, false, ""},
		"failed, its token":         {func(g gate) { old(g); g.boot("failed", "on") }, proof.Claimant{Held: "old"}, false, ""},
		"booted, its token":         {func(g gate) { old(g); g.boot("done", "on") }, proof.Claimant{Held: "old", System: system}, false, ""},
		"booted, by its lease":      {func(g gate) { old(g); g.boot("done", "on") }, proof.Claimant{System: system}, true, ""},
		"an operator's token":       {func(g gate) { old(g) }, proof.Claimant{Operator: true, Ticket: "t"}, true, ""},
		"an operator's token, used before": {func(g gate) {
			g.speaks(proof.Claim{Address: "10.0.0.10", Used: []proof.Ticket{{Id: "t", Address: "10.0.0.10", Claim: "old", Join: true}}})
		}, proof.Claimant{Operator: true, Ticket: "t"}, false, ""},
		"admitted since": {func(g gate) {
			old(g)
			require.NoError(g, proof.Admit(g.tx, machineID, noon.Add(time.Hour)))
		}, proof.Claimant{}, true, ""},
		"admitted since, its token": {func(g gate) {
			old(g)
			require.NoError(g, proof.Admit(g.tx, machineID, noon.Add(time.Hour)))
		}, proof.Claimant{Held: "old"}, false, ""},
		"admitted before": {func(g gate) {
			old(g)
			g.speaks(proof.Claim{Address: "10.0.0.10", Admit: noon.Add(time.Hour), Said: noon.Add(-time.Second)})
		}, proof.Claimant{}, false, "is being booted by its BMC"},
		"booted again since": {func(g gate) {
			g.boot("done", "on")
			g.speaks(proof.Claim{Address: "10.0.0.10", Intent: "i1", Order: "another"})
		}, proof.Claimant{Held: "old"}, false, ""},
	} {
		tried(t, func(g gate) {
			bmc(g)
			c.given(g)
			m, err := api.Machines.Get(g.tx, machineID)
			require.NoError(g, err)
			if c.who.Address = here; c.text == "" {
				_, refusal, err := proof.Take(g.tx, noon, m, c.who)
				require.NoError(g, err)
				assert.Empty(t, refusal, name)
			} else {
				_, refusal, err := proof.Take(g.tx, noon, m, c.who)
				require.NoError(g, err)
				assert.Contains(t, refusal, c.text, name)
			}
			assert.Equal(t, c.shown, proof.Shown(g.tx, m), name)
			assert.Equal(t, !c.shown, proof.Awaited(g.tx, m), name)
			assert.Equal(t, c.shown, proof.Vouched(g.tx, m), name)
		}, proof.Claimant{})
	}
}

// TestRetaken: a machine that is taken back is booted anew where its BMC can show
// that, out of whatever runs there.
func TestRetaken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		was, is api.PoolStatus
		bmc     bool
		intent  string // of the claim
		env     string
		want    bool
	}{
		"released":                    {api.InUse, api.Destroying, true, "i1", "discovery", true},
		"released while it was built": {api.Building, api.Destroying, true, "i1", "discovery", true},
		"without a BMC":               {api.InUse, api.Destroying, false, "i1", "discovery", false},
		"from its disk":               {api.InUse, api.Destroying, true, "i1", "local", false},
		"wiped again, shown":          {api.HoldDestroy, api.Destroying, true, "i1", "discovery", false},
		"wiped again, not shown":      {api.HoldDestroy, api.Destroying, true, "i0", "discovery", true},
		"on its way":                  {api.Destroying, api.Destroying, true, "i1", "discovery", false},
		"taken":                       {api.Free, api.Building, true, "i1", "discovery", false},
		"nobody's, shown":             {api.Free, api.Destroying, true, "i1", "discovery", false},
	} {
		tried(t, func(g gate) {
			g.speaks(proof.Claim{Intent: c.intent})
			old, err := api.Machines.Get(g.tx, machineID)
			require.NoError(g, err)
			was := *old
			was.PoolStatus, was.BootEnv, was.Boot = c.was, c.env, &api.BootState{Intent: "i1", Env: c.env, Home: true}
			is := was
			if is.PoolStatus = c.is; c.bmc {
				is.Params = map[string]any{"ipmi/address": "192.0.2.1"}
			}
			assert.Equal(t, c.want, proof.Retaken(g.tx, &was, &is), name)
			inContext, noHardware := is, is
			inContext.Context, noHardware.Virtual = "runner", true
			assert.Equal(t, c.want, proof.Retaken(g.tx, &was, &inContext), "%s, in a context that its owner left", name)
			assert.False(t, proof.Retaken(g.tx, &was, &noHardware), "%s: it has no power", name)
		}, proof.Claimant{})
	}
}

// TestJoinTokensAreRemembered: many tickets do not make an operator's token good
// once more.
func TestJoinTokensAreRemembered(t *testing.T) {
	t.Parallel()
	tried(t, func(g gate) {
		g.lease("10.0.0.10", victim)
		m, err := api.Machines.Get(g.tx, machineID)
		require.NoError(g, err)
		held := ""
		for i := range 40 {
			c, refusal, err := proof.Take(g.tx, noon, m, proof.Claimant{Address: here, Operator: i == 0, Ticket: fmt.Sprint("t", i), Held: held})
			require.NoError(g, err)
			require.Empty(g, refusal)
			held = c.Id
		}
		c, err := proof.Claims.Get(g.tx, machineID)
		require.NoError(g, err)
		assert.NotNil(t, c.Find("t0"))
		assert.Nil(t, c.Find("t1"))
		assert.Equal(t, proof.Operator, c.Proof, "a token that is held does not say less than before")
	}, proof.Claimant{})
}

// TestMayRead: what is rendered for a machine goes to who could claim it; who is
// known to be another gets nothing, whatever was ordered.
func TestMayRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		given func(g gate)
		want  bool
	}{
		"nothing":                       {func(gate) {}, false},
		"a boot was ordered":            {func(g gate) { g.boot("working", "") }, false},
		"a boot failed":                 {func(g gate) { g.boot("failed", "on") }, false},
		"it booted and is off":          {func(g gate) { g.boot("done", "off") }, false},
		"it booted, by another's DHCP":  {func(g gate) { g.boot("done", "on") }, true},
		"it booted, by a proxy":         {func(g gate) { g.boot("done", "on"); g.subnet(true) }, true},
		"it booted, no lease of ours":   {func(g gate) { g.boot("done", "on"); g.subnet(false) }, false},
		"it booted, a subnet is off":    {func(g gate) { g.boot("done", "on"); g.off() }, true},
		"it booted, and holds a lease":  {func(g gate) { g.boot("done", "on"); g.subnet(false); g.lease("10.0.0.10", victim) }, true},
		"one is admitted":               {func(g gate) { g.speaks(proof.Claim{Admit: noon.Add(time.Minute)}) }, true},
		"one was admitted":              {func(g gate) { g.speaks(proof.Claim{Admit: noon}) }, false},
		"ordered, at another's address": {func(g gate) { g.boot("working", ""); g.lease("10.0.0.10", another) }, false},
		"ordered, and it is elsewhere":  {func(g gate) { g.boot("working", ""); g.lease("10.0.0.99", victim) }, false},
	} {
		tried(t, func(g gate) {
			c.given(g)
			m, err := api.Machines.Get(g.tx, machineID)
			require.NoError(t, err)
			assert.Equal(t, c.want, proof.MayRead(g.tx, noon, m, here), name)
		}, proof.Claimant{})
	}
}
