package inproc

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// lock keeps a machine out of everybody's hands, or gives it free.
func (s *Site) lock(t *testing.T, name string, on bool) {
	t.Helper()
	require.NoError(t, s.Core.DB.Update(t.Context(), func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, api.Machines.One(tx, api.ByName, name).Uuid, func(m *api.Machine) error { m.Locked = on; return nil })
	}))
}

// ordersFor finds a cluster's orders on others by their blueprints.
func ordersFor(r resource.Reader, cluster string) map[string]*api.WorkOrder {
	out := map[string]*api.WorkOrder{}
	for o := range api.WorkOrders.By(r, "For", cluster) {
		out[o.Blueprint] = o
	}
	return out
}

// TestAClusterThatIsGivenUpGetsNoMachines: its order to the broker ends in the
// update that gives up the job which asked, be it of a workflow or an order.
func TestAClusterThatIsGivenUpGetsNoMachines(t *testing.T) {
	t.Parallel()
	yields := func(id string) func(v *resource.View) bool {
		return func(v *resource.View) bool { o := ordersFor(v, id)["broker-allocate"]; return o != nil && o.Yields }
	}
	for name, waits := range map[string]func(t *testing.T, s *Site) (cluster string){
		"workflow": func(t *testing.T, s *Site) string {
			require.NoError(t, s.Define(t.Context(), "c", 3, "universal-cluster-provision"))
			return s.Cluster("c").Uuid
		},
		"order": func(t *testing.T, s *Site) string {
			require.NoError(t, s.Define(t.Context(), "c", 2, "universal-cluster-provision"))
			require.NoError(t, s.Await(t.Context(), "cluster live", Live("c")))
			id := s.Cluster("c").Uuid
			require.NoError(t, s.Core.DB.Update(t.Context(), func(tx *resource.Tx) error {
				first := ordersFor(tx, id)["broker-allocate"].Uuid
				if err := api.WorkOrders.Delete(tx, first); err != nil {
					return err
				}
				if err := api.Profiles.Modify(tx, "c", func(p *api.Profile) error { p.Params["cluster/count"] = 3; return nil }); err != nil {
					return err
				}
				return api.WorkOrders.Create(tx, &api.WorkOrder{Blueprint: "universal-application-base-cluster", Machine: id, CreateTime: tx.Now()})
			}))
			return id
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ctx := start(t, 3), t.Context()
			s.lock(t, "n3", true)
			id := waits(t, s)
			require.NoError(t, s.Await(ctx, "broker waits for machines", yields(id)))
			require.NoError(t, s.Core.DB.Update(ctx, func(tx *resource.Tx) error {
				err := api.Clusters.Modify(tx, id, func(c *api.Machine) error {
					c.WorkOrderMode, c.Workflow = false, "universal-cluster-destroy"
					return nil
				})
				o := ordersFor(tx, id)["broker-allocate"]
				assert.Equal(t, api.OrderCancelled, o.State)
				assert.Contains(t, o.Status, "cluster c does not wait for it any more: ")
				j, _ := api.Jobs.Get(tx, o.CurrentJob)
				assert.Equal(t, api.JobCancelled, j.State)
				return err
			}))
			s.lock(t, "n3", false)
			require.NoError(t, s.Await(ctx, "cluster destroyed", Gone("c")))
			require.NoError(t, s.Await(ctx, "machines free", AllFree(3)))
			assert.Equal(t, api.OrderFinished, ordersFor(s.Core.DB.View(), id)["broker-release"].State)
		})
	}
}

// TestMachinesOnTheirWayBackArrive though the cluster is wanted again: what it
// gives back is not left half way.
func TestMachinesOnTheirWayBackArrive(t *testing.T) {
	t.Parallel()
	s, ctx := start(t, 2), t.Context()
	require.NoError(t, s.Define(ctx, "c", 2, "universal-cluster-provision"))
	require.NoError(t, s.Await(ctx, "cluster live", Live("c")))
	id := s.Cluster("c").Uuid
	require.NoError(t, s.SetWorkflow(ctx, "c", "universal-cluster-destroy"))
	require.NoError(t, s.Await(ctx, "release begun", func(v *resource.View) bool {
		o := ordersFor(v, id)["broker-release"]
		return o != nil && o.State != api.OrderCreated // a poll may miss running
	}))
	require.NoError(t, s.SetWorkflow(ctx, "c", "universal-cluster-provision"))
	require.NoError(t, s.Await(ctx, "cluster live again", Live("c")))
	assert.Equal(t, api.OrderFinished, ordersFor(s.Core.DB.View(), id)["broker-release"].State)
	for _, m := range s.Machines {
		assert.Equal(t, []int{2, 1}, []int{m.Installs, m.Wipes}, "%s was wiped in between", m.Name)
	}
}
