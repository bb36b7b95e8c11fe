package inproc

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

func start(t *testing.T, n int) *Site {
	t.Helper()
	s, err := Start(t.Context(), New(n), mem.New(mem.Config{}))
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	require.NoError(t, s.Enroll(t.Context()))
	require.NoError(t, s.Await(t.Context(), "all machines discovered", AllFree(n)))
	return s
}

func TestClusterThereAndBack(t *testing.T) {
	t.Parallel()
	s, ctx := start(t, 3), t.Context()
	for _, m := range s.Machines {
		assert.False(t, m.On(), "%s is switched off while free", m.Name)
	}
	require.NoError(t, s.Define(ctx, "demo", 3, "universal-cluster-provision"))
	require.NoError(t, s.Await(ctx, "cluster live", Live("demo")))
	v := s.Core.DB.View()
	p, err := api.Profiles.Get(v, "demo")
	require.NoError(t, err)
	leader := p.Params["cluster/leader"].(map[string]any)
	assert.Equal(t, p.Params["cluster/members"].([]any)[0].(map[string]any)["Name"], leader["Name"], "the elected member joins first")
	assert.Len(t, p.Params["cluster/members"], 3)
	assertOneJoinAtATime(t, v)

	id := s.Cluster("demo").Uuid
	err = s.Core.DB.Update(ctx, func(tx *resource.Tx) error {
		return api.Clusters.Modify(tx, id, func(c *api.Machine) error { c.Workflow = "universal-cluster-destroy"; return nil })
	})
	assert.ErrorContains(t, err, "demo is in WorkOrder mode, where workflows are not run")
	assert.Error(t, s.Core.DB.Update(ctx, func(tx *resource.Tx) error { return api.Clusters.Delete(tx, id) }), "forget of a live cluster")

	require.NoError(t, s.SetWorkflow(ctx, "demo", "universal-cluster-destroy"))
	require.NoError(t, s.Await(ctx, "cluster destroyed", Gone("demo")))
	require.NoError(t, s.Await(ctx, "machines free", AllFree(3)))
	for _, m := range s.Machines {
		assert.Equal(t, 1, m.Installs, "installs of %s", m.Name)
		assert.Equal(t, 1, m.Wipes, "wipes of %s", m.Name)
		assert.False(t, m.On(), m.Name)
	}
	require.NoError(t, s.SetWorkflow(ctx, "demo", "universal-cluster-provision"))
	require.NoError(t, s.Await(ctx, "cluster restored", Live("demo")))
	assert.Equal(t, 2, s.Cluster("demo").Generation)
	for _, m := range s.Machines {
		assert.Equal(t, 2, m.Installs)
	}
}

// assertOneJoinAtATime compares the times of the members' join orders.
func assertOneJoinAtATime(t *testing.T, r resource.Reader) {
	t.Helper()
	var last time.Time
	var n int
	for o := range api.WorkOrders.By(r, "Blueprint", "etcd-join") {
		n++
		for q := range api.WorkOrders.By(r, "Blueprint", "etcd-join") {
			if o != q && o.StartTime.Before(q.EndTime) && q.StartTime.Before(o.EndTime) {
				t.Errorf("joins %s and %s overlap", o.Uuid, q.Uuid)
			}
		}
		last = o.EndTime
	}
	assert.Equal(t, 3, n)
	assert.False(t, last.IsZero())
}

func TestTwoClustersWantTheLastThree(t *testing.T) {
	t.Parallel()
	s, ctx := start(t, 3), t.Context()
	require.NoError(t, s.Define(ctx, "a", 3, "universal-cluster-provision"))
	require.NoError(t, s.Define(ctx, "b", 3, "universal-cluster-provision"))
	both := func(v *resource.View) bool { return Live("a")(v) || Live("b")(v) }
	require.NoError(t, s.Await(ctx, "one of them live", both))
	first, second := "a", "b"
	if Live("b")(s.Core.DB.View()) {
		first, second = "b", "a"
	}
	assert.Contains(t, s.Reasons(), "cluster "+second+" needs 3 machines of pool default at once, 0 can be taken")
	require.NoError(t, s.SetWorkflow(ctx, first, "universal-cluster-destroy"))
	require.NoError(t, s.Await(ctx, "the other got them", Live(second)))
}

func TestFailedTaskStopsWithItsCauseAndGoesOnAfterRepair(t *testing.T) {
	t.Parallel()
	s, ctx := start(t, 3), t.Context()
	s.Machines[1].FailOnce("image-deploy", "disk DISK2 is gone")
	require.NoError(t, s.Define(ctx, "demo", 3, "universal-cluster-provision"))
	held := func(v *resource.View) bool {
		m := api.Machines.One(v, api.ByName, "n2")
		return m.PoolStatus == api.HoldBuild
	}
	require.NoError(t, s.Await(ctx, "n2 held", held))
	m := api.Machines.One(s.Core.DB.View(), api.ByName, "n2")
	assert.False(t, m.Runnable)
	assert.Contains(t, m.PoolHoldReason, "task image-deploy failed")
	assert.Contains(t, m.PoolHoldReason, "disk DISK2 is gone")
	require.NoError(t, s.Core.DB.Update(ctx, func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.Runnable = true; return nil })
	}))
	require.NoError(t, s.Await(ctx, "cluster live", Live("demo")))
}
