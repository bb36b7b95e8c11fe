package auth_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// TestWhoMaySendSecrets: what says where a secret goes takes the right to set
// secrets, wherever in an object it stands.
func TestWhoMaySendSecrets(t *testing.T) {
	t.Parallel()
	evil := resource.Params{"ipmi/address": "10.0.0.66"}
	calls := resource.Params{"callback/callbacks": map[string]any{"x": map[string]any{"Url": "http://10.0.0.66/"}}}
	machine := func(change func(m *api.Machine)) func(tx *resource.Tx) error {
		return func(tx *resource.Tx) error {
			return api.Machines.Modify(tx, mine, func(m *api.Machine) error { change(m); return nil })
		}
	}
	for name, c := range map[string]struct {
		do   func(tx *resource.Tx) error
		free bool
	}{
		"a machine":               {machine(func(m *api.Machine) { m.Params = evil }), false},
		"a machine, another name": {machine(func(m *api.Machine) { m.Params = resource.Params{"my/address": "10.0.0.66"} }), true},
		"a pool's action": {func(tx *resource.Tx) error {
			return api.Pools.Create(tx, &api.Pool{Id: "p", AllocateActions: &api.PoolActions{AddParameters: evil}})
		}, false},
		"a pool's filling": {func(tx *resource.Tx) error {
			return api.Pools.Create(tx, &api.Pool{Id: "p", AutoFill: &api.PoolAutoFill{CreateParameters: calls}})
		}, false},
		"a pool": {func(tx *resource.Tx) error { return api.Pools.Create(tx, &api.Pool{Id: "p"}) }, true},
		"a trigger's orders": {func(tx *resource.Tx) error {
			return api.Triggers.Create(tx, &api.Trigger{Name: "t", TriggerProvider: "cron", Blueprint: "b", WorkOrderParams: calls})
		}, false},
		"what a trigger is told": {func(tx *resource.Tx) error {
			return api.Triggers.Create(tx, &api.Trigger{Name: "t", TriggerProvider: "webhook", Blueprint: "b", StoreDataInParameter: "callback/callbacks"})
		}, false},
		"a batch's orders": {func(tx *resource.Tx) error {
			return api.Batches.Create(tx, &api.Batch{Id: batch1, WorkOrderTemplate: &api.WorkOrderTemplate{Blueprint: "b", Machine: mine, Params: calls}})
		}, false},
		"a batch's first order": {func(tx *resource.Tx) error {
			return api.Batches.Create(tx, &api.Batch{Id: batch1, SetupWorkOrderTemplate: &api.WorkOrderTemplate{Blueprint: "b", Machine: mine, Params: evil}, WorkOrderTemplate: &api.WorkOrderTemplate{Blueprint: "b", Machine: mine}})
		}, false},
		"a batch": {func(tx *resource.Tx) error {
			return api.Batches.Create(tx, &api.Batch{Id: batch1, WorkOrderTemplate: &api.WorkOrderTemplate{Blueprint: "b", Machine: mine}})
		}, true},
		"an order": {func(tx *resource.Tx) error {
			return api.WorkOrders.Create(tx, &api.WorkOrder{Blueprint: "b", Machine: mine, Params: calls})
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.put(t, func(tx *resource.Tx) error {
				const kinds = "machines,pools,triggers,batches,work_orders"
				require.NoError(t, api.Blueprints.Create(tx, &api.Blueprint{Name: "b"}))
				require.NoError(t, api.Roles.Create(tx, &api.Role{Name: "low", Claims: []api.Claim{{Scope: kinds, Action: "list,get,create,update,delete", Specific: "*"}}}))
				require.NoError(t, api.Roles.Create(tx, &api.Role{Name: "high", Claims: []api.Claim{{Scope: kinds, Action: "*", Specific: "*"}}}))
				for _, who := range []string{"low", "high"} {
					require.NoError(t, api.Users.Create(tx, &api.User{Name: who, Roles: []string{who}}))
				}
				return nil
			})
			err := r.in(t.Context(), r.as(t, "low"), c.do)
			if c.free {
				assert.NoError(t, err)
				return
			}
			assert.Equal(t, resource.Forbidden, resource.CodeOf(err), "%v", err)
			assert.NoError(t, r.in(t.Context(), r.as(t, "high"), c.do))
		})
	}
}

const batch1 = "bbbbbbbb-1111-4111-8111-111111111111"

// TestWhoMayPairBMCs: the password of a profile goes only to an address that
// somebody chose who may set the profile's secrets.
func TestWhoMayPairBMCs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		has  api.Machine // before
		do   func(tx *resource.Tx) error
		free bool
	}{
		"the address, with a profile's password": {api.Machine{Profiles: []string{"passwords"}}, setParam("ipmi/address", "10.0.0.66"), false},
		"the address, with no password":          {api.Machine{}, setParam("ipmi/address", "10.0.0.66"), true},
		"the port, with a profile's password": {api.Machine{Profiles: []string{"passwords"}, Params: resource.Params{"ipmi/address": "10.0.0.9"}},
			setParam("ipmi/port", 6230), false},
		"the address, with its own password": {api.Machine{Profiles: []string{"passwords"}, Params: resource.Params{"ipmi/password": "x"}}, setParam("ipmi/address", "10.0.0.66"), true},
		"the password's profile, to its own address": {api.Machine{Params: resource.Params{"ipmi/address": "10.0.0.66"}},
			setProfiles("passwords"), false},
		"profiles of address and password": {api.Machine{}, setProfiles("addresses", "passwords"), false},
		"the profile of both":              {api.Machine{}, setProfiles("rack"), false},
		"any other profile":                {api.Machine{Profiles: []string{"passwords"}, Params: resource.Params{"ipmi/address": "10.0.0.9"}}, setProfiles("plain", "passwords"), true},
		"an address in a profile":          {api.Machine{}, profileParam("addresses", "ipmi/address"), false},
		"another param in a profile":       {api.Machine{}, profileParam("addresses", "my/address"), true},
		"its own password":                 {api.Machine{Profiles: []string{"passwords"}, Params: resource.Params{"ipmi/address": "10.0.0.9"}}, setParam("ipmi/password", "x"), true},
		"another param":                    {api.Machine{Profiles: []string{"passwords"}, Params: resource.Params{"ipmi/address": "10.0.0.9"}}, setParam("my/x", "x"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.put(t, func(tx *resource.Tx) error {
				for _, p := range []api.Profile{{Name: "passwords", Params: resource.Params{"ipmi/password": "x"}}, {Name: "addresses", Params: resource.Params{"ipmi/address": "10.0.0.1"}},
					{Name: "rack", Params: resource.Params{"ipmi/password": "x", "ipmi/address": "10.0.0.1"}}, {Name: "plain"}} {
					require.NoError(t, api.Profiles.Create(tx, &p))
				}
				// Both may set secrets of machines; of profiles only one may.
				require.NoError(t, api.Roles.Create(tx, &api.Role{Name: "low", Claims: []api.Claim{{Scope: "machines", Action: "*", Specific: "*"},
					{Scope: "profiles", Action: "list,get,create,update", Specific: "*"}, {Scope: "profiles", Action: "updateSecure", Specific: "addresses"}}}))
				require.NoError(t, api.Roles.Create(tx, &api.Role{Name: "high", Claims: []api.Claim{{Scope: "machines,profiles", Action: "*", Specific: "*"}}}))
				for _, who := range []string{"low", "high"} {
					require.NoError(t, api.Users.Create(tx, &api.User{Name: who, Roles: []string{who}}))
				}
				return api.Machines.Modify(tx, mine, func(m *api.Machine) error { m.Profiles, m.Params = c.has.Profiles, c.has.Params; return nil })
			})
			err := r.in(t.Context(), r.as(t, "low"), c.do)
			if c.free {
				assert.NoError(t, err)
				return
			}
			assert.Equal(t, resource.Forbidden, resource.CodeOf(err), "%v", err)
			assert.NoError(t, r.in(t.Context(), r.as(t, "high"), c.do))
		})
	}
}

func setParam(name string, v any) func(tx *resource.Tx) error {
	return func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, mine, func(m *api.Machine) error {
			p := resource.Params{name: v}
			for k, v := range m.Params {
				if k != name {
					p[k] = v
				}
			}
			m.Params = p
			return nil
		})
	}
}

func setProfiles(names ...string) func(tx *resource.Tx) error {
	return func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, mine, func(m *api.Machine) error { m.Profiles = names; return nil })
	}
}

func profileParam(profile, name string) func(tx *resource.Tx) error {
	return func(tx *resource.Tx) error {
		return api.Profiles.Modify(tx, profile, func(p *api.Profile) error { p.Params = resource.Params{name: "10.0.0.66"}; return nil })
	}
}
