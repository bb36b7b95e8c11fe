package broker

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/pool"
	"drpd/pkg/resource"
	"drpd/pkg/store"
)

// want makes a request of that shape and runs one step of it.
func (s *site) want(t *testing.T, native string, params resource.Params) (engine.Result, error) {
	t.Helper()
	var res engine.Result
	params[ParamCluster] = s.clusters[0]
	err := s.db.Update(t.Context(), func(tx *resource.Tx) error {
		o := &api.WorkOrder{Blueprint: "ask", Machine: s.broker, Params: params}
		if err := api.WorkOrders.Create(tx, o); err != nil {
			return err
		}
		j := &api.Job{WorkOrder: o.Uuid, State: api.JobRunning}
		if err := api.Jobs.Create(tx, j); err != nil {
			return err
		}
		var err error
		res, err = s.natives[native](tx, tx.Now(), j.Uuid)
		return err
	})
	return res, err
}

func (s *site) member(name string) *api.Machine { return Held(s.db.View(), s.clusters[0])[name] }

// TestMachineTypes: a member gets what its type says, else what the broker's
// params say, and a released machine keeps nothing of it.
func TestMachineTypes(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, 1, store.Faults{})
	require.NoError(t, s.db.Update(t.Context(), func(tx *resource.Tx) error {
		return errors.Join(api.Profiles.Create(tx, &api.Profile{Name: "extra"}), api.Workflows.Create(tx, &api.Workflow{Name: "other"}),
			api.Machines.Modify(tx, api.Machines.One(tx, api.ByName, "n00").Uuid, func(m *api.Machine) error {
				m.Params["own"], m.Meta["rack"] = 1.0, "r1"
				return nil
			}))
	}))
	before := api.Machines.One(s.db.View(), api.ByName, "n00")
	params := resource.Params{ParamWorkflow: "work", ParamColor: "blue", ParamMembers: map[string]any{
		"x": map[string]any{"tags": []any{"workers"}, "workflow": "other", "icon": "box", "color": "red", "meta": map[string]any{"k": "v"},
			"Params": map[string]any{"size": 3.0}, "Profiles": []any{"extra"}},
		"y": []any{"plain"}}}
	res, err := s.want(t, "broker/allocate", params)
	require.NoError(t, err)
	assert.True(t, res.Done)
	x, y := s.member("x"), s.member("y")
	require.NotNil(t, x)
	assert.Equal(t, []any{"n00", "other", []string{"c0", "extra"}, 3.0, []any{"workers"}, "red", "box", "v"},
		[]any{x.Name, x.Workflow, x.Profiles, x.Params["size"], x.Params[ParamTags], x.Meta["color"], x.Meta["icon"], x.Meta["k"]})
	assert.Equal(t, []any{"work", "blue", []any{"plain"}}, []any{y.Workflow, y.Meta["color"], y.Params[ParamTags]})

	_, err = s.want(t, "broker/release", resource.Params{ParamMembers: map[string]any{"y": []any{"plain"}}})
	require.NoError(t, err)
	after := api.Machines.One(s.db.View(), api.ByName, "n00")
	assert.Equal(t, api.Destroying, after.PoolStatus)
	assert.Equal(t, []any{before.Params, before.Meta, before.Profiles}, []any{after.Params, after.Meta, after.Profiles})
	assert.NotNil(t, s.member("y"), "a smaller wish releases only the surplus")
}

// TestContextBroker makes machines that are only contexts, declaratively, and
// deletes them at release.
func TestContextBroker(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, 1, store.Faults{})
	require.NoError(t, s.db.Update(t.Context(), func(tx *resource.Tx) error {
		return errors.Join(api.Preferences.Create(tx, &api.Preference{Name: "defaultWorkflow", Value: "work"}),
			api.Brokers.Modify(tx, s.broker, func(b *api.Machine) error {
				b.Params = resource.Params{ParamType: TypeContext, ParamContext: "box"}
				return nil
			}))
	}))
	ask := func(native string, names ...string) error {
		members := map[string]any{}
		for _, n := range names {
			members[n] = []any{}
		}
		res, err := s.want(t, native, resource.Params{ParamMembers: members})
		assert.True(t, err != nil || res.Done, res.Waiting)
		return err
	}
	require.NoError(t, ask("broker/allocate", "x", "y"))
	x := s.member("x")
	require.NotNil(t, x)
	assert.Equal(t, []any{"x", "box", "", true, ContextPool, api.Building, true, true},
		[]any{x.Name, x.Context, x.Workflow, x.Runnable, x.Pool, x.PoolStatus, x.PoolAllocated, x.Boot.Home})
	require.NoError(t, s.db.Update(t.Context(), func(tx *resource.Tx) error {
		if err := api.Machines.Modify(tx, x.Uuid, func(m *api.Machine) error { m.WorkflowComplete = true; return nil }); err != nil {
			return err
		}
		_, err := pool.Transition(tx, tx.Now(), x.Uuid)
		return err
	}))
	assert.Equal(t, api.InUse, s.member("x").PoolStatus)
	require.NoError(t, ask("broker/allocate", "x", "y", "z"))
	assert.Equal(t, x.Uuid, s.member("x").Uuid, "what is there stays")
	assert.ErrorContains(t, ask("broker/allocate", "x", "n00"), "a machine named n00 exists already")
	require.NoError(t, ask("broker/release", "x"))
	assert.Len(t, Held(s.db.View(), s.clusters[0]), 1)
	require.NoError(t, ask("broker/release"))
	assert.Equal(t, 1, api.Machines.Len(s.db.View()), "only the machine of the pool is left")
	require.NoError(t, s.db.Update(t.Context(), func(tx *resource.Tx) error {
		return api.Brokers.Modify(tx, s.broker, func(b *api.Machine) error { b.Params[ParamType] = "cloud-terraform"; return nil })
	}))
	assert.ErrorContains(t, ask("broker/allocate", "x"), `param broker/type is "cloud-terraform": this server has brokers of type pool and context`)
}
