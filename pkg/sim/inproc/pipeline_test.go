package inproc

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// membersOf names the machines that a cluster holds by their places in it.
func membersOf(v *resource.View, cluster string) []string {
	var out []string
	for m := range api.Machines.By(v, api.ByOwner, cluster) {
		out = append(out, m.Params["cluster/member"].(string)+" "+string(m.PoolStatus))
	}
	slices.Sort(out)
	return out
}

// flowsOf lists the workflows that jobs of a machine belong to.
func flowsOf(v *resource.View, id string) map[string]bool {
	out := map[string]bool{}
	for j := range api.Jobs.By(v, "Machine", id) {
		if j.Workflow != "" {
			out[j.Workflow] = true
		}
	}
	return out
}

// resize edits the definition and runs the blueprint of the pipeline.
func (s *Site) resize(t *testing.T, id string, count int) {
	t.Helper()
	var order string
	require.NoError(t, s.Core.DB.Update(t.Context(), func(tx *resource.Tx) error {
		if err := api.Profiles.Modify(tx, "c", func(p *api.Profile) error { p.Params["cluster/count"] = count; return nil }); err != nil {
			return err
		}
		o := &api.WorkOrder{Blueprint: "universal-application-base-cluster", Machine: id, CreateTime: tx.Now()}
		err := api.WorkOrders.Create(tx, o)
		order = o.Uuid
		return err
	}))
	require.NoError(t, s.Await(t.Context(), "resized", func(v *resource.View) bool {
		o, err := api.WorkOrders.Get(v, order)
		require.NoError(t, err)
		require.NotEqual(t, api.OrderFailed, o.State, o.Status)
		return o.State == api.OrderFinished
	}))
}

// TestPipelineOfABaseCluster is the life of a cluster whose pipeline chains
// from universal-start: created, grown, shrunk and destroyed.
func TestPipelineOfABaseCluster(t *testing.T) {
	t.Parallel()
	s, ctx := start(t, 4), t.Context()
	var id string
	require.NoError(t, s.Core.DB.Update(ctx, func(tx *resource.Tx) error {
		c := &api.Machine{Name: "c", Workflow: "universal-start", Profiles: []string{"universal-application-base-cluster"},
			Params: resource.Params{"broker/name": "pool-broker", "cluster/count": 3, "image-deploy/image": "test-image"}}
		err := api.Clusters.Create(tx, c)
		id = c.Uuid
		return err
	}))
	require.NoError(t, s.Await(ctx, "cluster live", Live("c")))
	v := s.Core.DB.View()
	assert.Equal(t, []string{"c-1 InUse", "c-2 InUse", "c-3 InUse"}, membersOf(v, id))
	assert.Equal(t, map[string]bool{"universal-start": true, "universal-cluster-provision": true}, flowsOf(v, id))
	for m := range api.Machines.By(v, api.ByOwner, id) {
		assert.True(t, m.WorkflowComplete, "%s: the cluster waited for all of its members", m.Name)
		assert.Contains(t, m.Profiles, "c")
		assert.Equal(t, "local", m.BootEnv)
		assert.Equal(t, "complete", m.Stage)
	}

	s.resize(t, id, 4)
	// The order waits for the workflow; the pool's step that ends Building comes after it.
	require.NoError(t, s.Await(ctx, "four in use", func(v *resource.View) bool {
		return slices.Equal(membersOf(v, id), []string{"c-1 InUse", "c-2 InUse", "c-3 InUse", "c-4 InUse"})
	}))
	s.resize(t, id, 2)
	assert.Equal(t, []string{"c-1 InUse", "c-2 InUse"}, membersOf(s.Core.DB.View(), id))

	require.NoError(t, s.SetWorkflow(ctx, "c", "universal-cluster-destroy"))
	require.NoError(t, s.Await(ctx, "cluster destroyed", Gone("c")))
	require.NoError(t, s.Await(ctx, "machines free", AllFree(4)))
	for m := range api.Machines.All(s.Core.DB.View()) {
		assert.NotContains(t, m.Profiles, "c")
		assert.NotContains(t, m.Params, "cluster/tags")
		assert.Equal(t, map[string]bool{"universal-discover": true, "universal-linux-install": true, "universal-decommission": true},
			flowsOf(s.Core.DB.View(), m.Uuid), m.Name)
	}
	for _, m := range s.Machines {
		assert.Equal(t, 1, m.Installs, m.Name)
		assert.Equal(t, 1, m.Wipes, m.Name)
		assert.False(t, m.On(), m.Name)
	}
}
