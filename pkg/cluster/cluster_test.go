package cluster

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/param"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// lab is one cluster web with a broker and no engine: operations run one step
// at a time.
type lab struct {
	*testing.T
	db  *resource.DB
	id  string
	job string
}

// newLab defines the cluster and gives it machines in the states named; members
// that are InUse have joined.
func newLab(t *testing.T, params resource.Params, members ...api.PoolStatus) *lab {
	t.Helper()
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: api.Kinds(), Hooks: Hooks(), Now: func() time.Time { return noon }})
	require.NoError(t, err)
	l := &lab{T: t, db: db}
	l.do(func(tx *resource.Tx) error {
		for _, b := range []string{"leave", "join", "roll", "health", askFor, giveBack} {
			if err := api.Blueprints.Create(tx, &api.Blueprint{Name: b}); err != nil {
				return err
			}
		}
		for name, def := range map[string]string{"broker-pool/pool": "default", ParamFlow: "install"} {
			if err := api.ParamDefs.Create(tx, &api.Param{Name: name, Schema: map[string]any{"type": "string", "default": def}}); err != nil {
				return err
			}
		}
		if err := api.Profiles.Create(tx, &api.Profile{Name: param.Global}); err != nil {
			return err
		}
		if err := api.Brokers.Create(tx, &api.Machine{Name: "b"}); err != nil {
			return err
		}
		c := &api.Machine{Name: "web", Params: resource.Params{ParamBroker: "b"}}
		for name, v := range params {
			c.Params[name] = v
		}
		if err := api.Clusters.Create(tx, c); err != nil {
			return err
		}
		l.id = c.Uuid
		return l.hold(tx, c, members)
	})
	return l
}

func (l *lab) hold(tx *resource.Tx, c *api.Machine, members []api.PoolStatus) error {
	var list []Joined
	for i, s := range members {
		m := &api.Machine{Name: fmt.Sprintf("n%d", i+1), Owner: c.Uuid, PoolStatus: s, Params: resource.Params{"cluster/member": fmt.Sprintf("web-%d", i+1)}}
		if err := api.Machines.Create(tx, m); err != nil {
			return err
		}
		if s == api.InUse {
			list = append(list, Joined{Name: fmt.Sprintf("web-%d", i+1), Uuid: m.Uuid})
		}
	}
	if err := setJoined(tx, c, list); err != nil {
		return err
	}
	j := &api.Job{Machine: c.Uuid, Task: "action:test", State: api.JobRunning}
	err := api.Jobs.Create(tx, j)
	l.job = j.Uuid
	return err
}

func (l *lab) do(fn func(tx *resource.Tx) error) {
	l.Helper()
	require.NoError(l, l.db.Update(l.Context(), fn))
}

// step runs an operation once and returns what it said.
func (l *lab) step(op string) (res engine.Result, err error) {
	l.do(func(tx *resource.Tx) error {
		res, err = Natives()["cluster/"+op](tx, tx.Now(), l.job)
		return nil
	})
	return res, err
}

func (l *lab) cluster() *api.Machine {
	c, err := api.Clusters.Get(l.db.View(), l.id)
	require.NoError(l, err)
	return c
}

// orders are the work orders made so far, as "blueprint machine".
func (l *lab) orders() []string {
	out := []string{}
	for o := range api.WorkOrders.All(l.db.View()) {
		_, m := api.Runner(l.db.View(), o.Machine)
		out = append(out, o.Blueprint+" "+m.Name)
	}
	return out
}

// end ends every open order.
func (l *lab) end(to api.OrderState) {
	l.do(func(tx *resource.Tx) error {
		for o := range api.WorkOrders.All(tx) {
			if o.Ended() {
				continue
			}
			if err := api.WorkOrders.Modify(tx, o.Uuid, func(o *api.WorkOrder) error { o.State = to; return nil }); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestDefinition(t *testing.T) {
	t.Parallel()
	l := newLab(t, resource.Params{ParamCount: 2, "x": "y"})
	assert.Empty(t, l.cluster().Params)
	assert.Equal(t, []string{"web"}, l.cluster().Profiles)
	p, err := api.Profiles.Get(l.db.View(), "web")
	require.NoError(t, err)
	assert.Equal(t, "y", p.Params["x"])
	err = l.db.Update(t.Context(), func(tx *resource.Tx) error { return api.Clusters.Create(tx, &api.Machine{Name: "global"}) })
	assert.ErrorContains(t, err, "a profile named global exists already")
	l.do(func(tx *resource.Tx) error { return api.Clusters.Delete(tx, l.id) })
	assert.False(t, api.Profiles.Has(l.db.View(), "web"), "it goes with the cluster")
}

func TestWanted(t *testing.T) {
	t.Parallel()
	types := func(names ...any) map[string]any { return map[string]any{"x": map[string]any{"names": names}} }
	for name, c := range map[string]struct {
		params resource.Params
		want   []string
		err    string
	}{
		"by count":     {resource.Params{ParamCount: 3}, []string{"web-1", "web-2", "web-3"}, ""},
		"none":         {resource.Params{ParamCount: 0}, nil, ""},
		"by name":      {resource.Params{ParamMachines: types("b", "a-10", "a-9")}, []string{"b", "a-9", "a-10"}, ""},
		"name before":  {resource.Params{ParamCount: 3, ParamMachines: types("b")}, []string{"b"}, ""},
		"twice":        {resource.Params{ParamMachines: types("b", "b")}, nil, "names b twice"},
		"no names":     {resource.Params{ParamMachines: types()}, nil, "type x lists no names"},
		"not a map":    {resource.Params{ParamMachines: "b"}, nil, "must map a type's name"},
		"not a number": {resource.Params{ParamCount: "many"}, nil, ParamCount},
	} {
		l := newLab(t, c.params)
		list, err := Wanted(l.db.View(), l.cluster())
		var got []string
		for _, m := range list {
			got = append(got, m.Name)
		}
		assert.Equal(t, c.want, got, name)
		if c.err != "" {
			assert.ErrorContains(t, err, c.err, name)
			continue
		}
		assert.NoError(t, err, name)
	}
}

func TestQuorumIsAMajority(t *testing.T) {
	t.Parallel()
	for wanted, quorum := range map[int]int{0: 0, 1: 1, 2: 2, 3: 2, 4: 3, 5: 3} {
		for ready := range wanted + 1 {
			members := make([]api.PoolStatus, wanted)
			for i := range members {
				members[i] = api.Building
				if i < ready {
					members[i] = api.InUse
				}
			}
			l := newLab(t, resource.Params{ParamCount: wanted}, members...)
			res, err := l.step("wait-quorum")
			require.NoError(t, err)
			assert.Equal(t, ready >= quorum, res.Done, "%d of %d", ready, wanted)
			if !res.Done {
				assert.Contains(t, res.Waiting, fmt.Sprintf("%d of %d members ready, quorum is %d; ", ready, wanted, quorum))
			}
		}
	}
}

func TestElectOncePerGeneration(t *testing.T) {
	t.Parallel()
	l := newLab(t, resource.Params{ParamCount: 3}, api.Building, api.InUse, api.InUse)
	leader := func() map[string]any {
		p, err := api.Profiles.Get(l.db.View(), "web")
		require.NoError(t, err)
		got, _ := p.Params[ParamLeader].(map[string]any)
		return got
	}
	elect := func() {
		res, err := l.step("elect")
		require.NoError(t, err)
		assert.True(t, res.Done)
	}
	elect()
	assert.Equal(t, "web-2", leader()["Name"], "the first that is ready")
	first := held(l.db.View(), l.cluster())["web-1"]
	l.do(func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, first.Uuid, func(m *api.Machine) error { m.PoolStatus = api.InUse; return nil })
	})
	elect()
	assert.Equal(t, "web-2", leader()["Name"], "it stays")
	l.do(func(tx *resource.Tx) error {
		return api.Clusters.Modify(tx, l.id, func(c *api.Machine) error { c.Generation++; return nil })
	})
	elect()
	assert.Equal(t, "web-1", leader()["Name"], "another generation founds anew")
	assert.EqualValues(t, 1, leader()["Generation"])
}

func TestTrim(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		count   int
		leaves  []string // in this order
		release bool
	}{
		"nothing to do": {3, nil, false},
		"one":           {2, []string{"leave n3"}, true},
		"two":           {1, []string{"leave n3", "leave n2"}, true},
		"all":           {0, []string{"leave n3", "leave n2", "leave n1"}, true},
	} {
		l := newLab(t, resource.Params{ParamCount: c.count, ParamLeave: "leave"}, api.InUse, api.InUse, api.InUse)
		for i, want := range c.leaves {
			res, err := l.step("trim")
			require.NoError(t, err, name)
			assert.Contains(t, res.Waiting, want[:5], name)
			assert.ElementsMatch(t, c.leaves[:i+1], l.orders(), name)
			l.end(api.OrderFinished)
		}
		res, err := l.step("trim")
		require.NoError(t, err)
		assert.Equal(t, !c.release, res.Done, name)
		if c.release {
			assert.Contains(t, l.orders(), giveBack+" b", name)
			l.end(api.OrderFinished)
			assert.Len(t, joined(l.db.View(), l.cluster()), c.count)
		}
	}
}

func TestLeaveIsNotWaitedForTooLong(t *testing.T) {
	t.Parallel()
	l := newLab(t, resource.Params{ParamCount: 1, ParamLeave: "leave"}, api.InUse)
	at := func(d time.Duration) engine.Result {
		var res engine.Result
		l.do(func(tx *resource.Tx) (err error) {
			res, err = Natives()["cluster/leave"](tx, noon.Add(d), l.job)
			return err
		})
		return res
	}
	assert.Equal(t, noon.Add(LeaveLimit), at(0).Until)
	assert.False(t, at(LeaveLimit-time.Second).Done)
	assert.True(t, at(LeaveLimit).Done)
	assert.Empty(t, joined(l.db.View(), l.cluster()))
}

// TestRollingChecksHealthBeforeEach orders nothing on a member before its check.
func TestRollingChecksHealthBeforeEach(t *testing.T) {
	t.Parallel()
	l := newLab(t, resource.Params{ParamCount: 2, ParamRolling: "roll", ParamHealth: "health"}, api.InUse, api.InUse)
	for _, want := range [][]string{{"health n1"}, {"health n1", "roll n1"}, {"health n1", "roll n1", "health n2"}, {"health n1", "roll n1", "health n2", "roll n2"}} {
		_, err := l.step("rolling")
		require.NoError(t, err)
		assert.ElementsMatch(t, want, l.orders())
		l.end(api.OrderFinished)
	}
	res, err := l.step("rolling")
	require.NoError(t, err)
	assert.True(t, res.Done)
}

func TestForgetOnlyWithoutMachines(t *testing.T) {
	t.Parallel()
	l := newLab(t, resource.Params{ParamCount: 1}, api.InUse)
	err := l.db.Update(t.Context(), func(tx *resource.Tx) error { return api.Clusters.Delete(tx, l.id) })
	assert.ErrorContains(t, err, "cluster web is live with 1 machines: destroy it first (drpcli clusters destroy web), then forget it")
	m := held(l.db.View(), l.cluster())["web-1"]
	err = l.db.Update(t.Context(), func(tx *resource.Tx) error { return api.Machines.Delete(tx, m.Uuid) })
	assert.ErrorContains(t, err, "n1 is a member of a cluster: resize or destroy that first")
}

// TestProtected runs the operations that let members go.
func TestProtected(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"leave", "release", "trim"} {
		for _, protected := range []bool{true, false} {
			l := newLab(t, resource.Params{ParamCount: 0, ParamLeave: "leave"}, api.InUse, api.InUse)
			if protected {
				l.do(func(tx *resource.Tx) error { return Protect(tx, l.id, true, "ann") })
			}
			_, err := l.step(op)
			if protected {
				assert.ErrorContains(t, err, "cluster web is protected: nothing was done", op)
				assert.Empty(t, l.orders(), op)
				assert.Len(t, joined(l.db.View(), l.cluster()), 2)
				continue
			}
			require.NoError(t, err, op)
			assert.NotEmpty(t, l.orders(), op)
		}
	}
	l := newLab(t, resource.Params{ParamCount: 1}, api.InUse)
	l.do(func(tx *resource.Tx) error { return Protect(tx, l.id, true, "ann") })
	res, err := l.step("trim")
	require.NoError(t, err, "nothing to give back")
	assert.True(t, res.Done)
}

// TestTheParamOnlyLooksLikeProtection: once the cluster is made, a value that is
// not what the cluster is would be believed, and is refused.
func TestTheParamOnlyLooksLikeProtection(t *testing.T) {
	t.Parallel()
	set := func(l *lab, v any) error {
		return l.db.Update(t.Context(), func(tx *resource.Tx) error {
			return api.Profiles.Modify(tx, "web", func(p *api.Profile) error { p.Params[ParamProtected] = v; return nil })
		})
	}
	l := newLab(t, resource.Params{ParamCount: 0, ParamProtected: true})
	assert.ErrorContains(t, set(l, false), "does not lift that")
	assert.True(t, l.cluster().Protected)
	l = newLab(t, resource.Params{ParamCount: 0})
	assert.ErrorContains(t, set(l, true), "does not protect cluster web")
	assert.NoError(t, set(l, false))
}

// TestUpgradeOnce: what the definition of an old cluster says counts the first
// time only.
func TestUpgradeOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t, resource.Params{ParamCount: 0, ParamProtected: true})
	assert.Equal(t, "definition", l.cluster().ProtectedBy)
	old := func() {
		l.do(func(tx *resource.Tx) error {
			return api.Clusters.Modify(tx, l.id, func(c *api.Machine) error { c.Protected, c.ProtectedBy = false, ""; return nil })
		})
	}
	old()
	l.do(Upgrade)
	assert.True(t, l.cluster().Protected)
	assert.Equal(t, "upgrade", l.cluster().ProtectedBy)
	l.do(func(tx *resource.Tx) error { return Protect(tx, l.id, false, "ann") })
	l.do(Upgrade)
	assert.False(t, l.cluster().Protected, "what was lifted stays so over a restart")
}

// TestProtectedFromTheStart by a param or by the field itself.
func TestProtectedFromTheStart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]*api.Machine{
		"the field": {Name: "x", Protected: true},
		"the param": {Name: "x", Params: resource.Params{ParamProtected: true}},
		"a profile": {Name: "x", Profiles: []string{"p"}},
	} {
		l := newLab(t, nil)
		l.do(func(tx *resource.Tx) error {
			if err := api.Profiles.Create(tx, &api.Profile{Name: "p", Params: resource.Params{ParamProtected: true}}); err != nil {
				return err
			}
			return api.Clusters.Create(tx, c)
		})
		got := api.Clusters.One(l.db.View(), api.ByName, "x")
		assert.True(t, got.Protected, name)
		err := l.db.Update(t.Context(), func(tx *resource.Tx) error { return api.Clusters.Delete(tx, got.Uuid) })
		assert.ErrorContains(t, err, "cluster x is protected: nothing was done, it is not forgotten", name)
	}
	assert.False(t, newLab(t, nil).cluster().Protected)
}

// TestBrokerHasItsOwnWord: a default, or what holds for everybody, is no wish of
// the cluster's.
func TestBrokerHasItsOwnWord(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cluster, global, broker resource.Params
		pool, flow              any
	}{
		"nobody says":         {nil, nil, nil, nil, "install"},
		"the cluster":         {resource.Params{"broker-pool/pool": "p", ParamFlow: "f"}, nil, resource.Params{"broker/set-workflow": "w"}, "p", "f"},
		"global":              {nil, resource.Params{"broker-pool/pool": "p", ParamFlow: "f"}, nil, nil, "f"},
		"the broker":          {nil, nil, resource.Params{"broker-pool/pool": "q", "broker/set-workflow": "w"}, nil, nil},
		"the broker, global":  {nil, resource.Params{"broker-pool/pool": "p", ParamFlow: "f"}, resource.Params{"broker/set-workflow": "w"}, nil, nil},
		"an allocation of it": {resource.Params{"broker-pool/allocate": false, "broker-pool/pool": "p"}, nil, nil, "p", "install"},
	} {
		params := resource.Params{ParamCount: 1}
		for k, v := range c.cluster {
			params[k] = v
		}
		l := newLab(t, params)
		l.do(func(tx *resource.Tx) error {
			b := api.Brokers.One(tx, api.ByName, "b")
			if err := api.Brokers.Modify(tx, b.Uuid, func(b *api.Machine) error { b.Params = c.broker; return nil }); err != nil {
				return err
			}
			return api.Profiles.Modify(tx, param.Global, func(p *api.Profile) error { p.Params = c.global; return nil })
		})
		_, err := l.step("gather")
		require.NoError(t, err)
		for o := range api.WorkOrders.All(l.db.View()) {
			assert.Equal(t, c.pool, o.Params["broker-pool/pool"], name)
			assert.Equal(t, c.flow, o.Params["broker/set-workflow"], name)
			assert.Equal(t, c.cluster["broker-pool/allocate"], o.Params["broker-pool/allocate"], name)
		}
	}
}
