package daemon

import (
	"context"
	"slices"

	"drpd/pkg/api"
	"drpd/pkg/bmc"
	"drpd/pkg/param"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
)

// bmcParams are what each action of a BMC needs.
var bmcParams = []string{bmc.ParamAddress, bmc.ParamUser, bmc.ParamPassword}

// actions are those of running plugins, and those that are built in instead of
// DRP's plugins, which go first.
type actions struct{ *Daemon }

// Available lists what the BMC of a machine can do, if it has one, and what
// plugins can do.
func (a actions) Available(_ context.Context, o *resource.Object, plugin string) ([]api.AvailableAction, error) {
	var out []api.AvailableAction
	if plugin == "" || plugin == bmc.Provider {
		out = a.ofBMC(o)
	}
	if a.plugins != nil {
		out = append(out, a.plugins.Available(o, plugin)...)
	}
	return out, nil
}

func (a actions) ofBMC(o *resource.Object) (out []api.AvailableAction) {
	m, ok := bmcOwner(o)
	if !ok || !driven(a.DB.View(), m) {
		return nil
	}
	for _, c := range bmc.Commands {
		out = append(out, api.AvailableAction{Provider: bmc.Provider, Model: api.Machines.Name, Command: string(c),
			RequiredParams: slices.Clone(bmcParams), OptionalParams: []string{bmc.ParamMode, bmc.ParamPort}})
	}
	return out
}

// bmcOwner is the machine that an action is asked of.
func bmcOwner(o *resource.Object) (*api.Machine, bool) {
	if o == nil || o.Kind != api.Machines.Name {
		return nil, false
	}
	m, ok := o.Val.(*api.Machine)
	return m, ok
}

// driven says whether the machine has all that its BMC's actions need.
func driven(r resource.Reader, m *api.Machine) bool {
	for _, name := range bmcParams {
		if _, _, ok := param.Get(r, param.Scope{Machine: m}, name); !ok {
			return false
		}
	}
	return bmc.Has(r, m)
}

// Run runs an action of a BMC, else one of a plugin.
func (a actions) Run(ctx context.Context, call rest.ActionCall) (any, error) {
	reply, err := a.runBMC(ctx, call)
	if a.plugins == nil || resource.CodeOf(err) != resource.NotFound {
		return reply, err
	}
	if c := pluginCall(call); a.plugins.Has(c) {
		return a.runPlugin(ctx, c)
	}
	return nil, err
}

// runBMC orders an action of a BMC: the effect is stored as an object, which
// the reply names, and carried out from there.
func (a actions) runBMC(ctx context.Context, call rest.ActionCall) (any, error) {
	m, ok := bmcOwner(call.Object)
	if !ok || !slices.Contains(bmc.Commands, api.BMCWant(call.Command)) || call.Plugin != "" && call.Plugin != bmc.Provider {
		return nil, noAction(call)
	}
	if !bmc.Has(a.DB.View(), m) {
		return nil, resource.Errorf(resource.Refused, call.Object.Kind, call.Object.Key,
			"%s has no BMC: set params %s, %s and %s", m.Name, bmc.ParamAddress, bmc.ParamUser, bmc.ParamPassword)
	}
	var id string
	err := a.DB.Update(ctx, func(tx *resource.Tx) (err error) {
		id, err = bmc.Order(tx, tx.Now(), m.Uuid, api.BMCWant(call.Command), "")
		return err
	})
	if err != nil {
		return nil, err
	}
	return api.BMCActions.Get(a.DB.View(), id)
}

func noAction(call rest.ActionCall) error {
	kind, key := "system", ""
	if call.Object != nil {
		kind, key = call.Object.Kind, call.Object.Key
	}
	return resource.Errorf(resource.NotFound, kind, key, "no action %q here; machines have %v", call.Command, bmc.Commands)
}
