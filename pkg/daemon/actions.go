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

// bmcCommands are the actions on machines that go to their BMC.
var bmcCommands = []api.BMCWant{api.BMCOn, api.BMCOff, api.BMCCycle, api.BMCBootPXE, api.BMCBootDisk, api.BMCStatus}

// bmcParams are what each of them needs.
var bmcParams = []string{bmc.ParamAddress, bmc.ParamUser, bmc.ParamPassword}

// bmcProvider is the plugin that offers these actions in DRP.
const bmcProvider = "ipmi"

// actions are built in instead of DRP's plugins.
type actions struct{ *Daemon }

// Available lists what the BMC of a machine can do, if it has one.
func (a actions) Available(_ context.Context, o *resource.Object) ([]api.AvailableAction, error) {
	m, ok := bmcOwner(o)
	if !ok || !driven(a.DB.View(), m) {
		return nil, nil
	}
	var out []api.AvailableAction
	for _, c := range bmcCommands {
		out = append(out, api.AvailableAction{Provider: bmcProvider, Model: api.Machines.Name, Command: string(c),
			RequiredParams: slices.Clone(bmcParams), OptionalParams: []string{bmc.ParamMode, bmc.ParamPort}})
	}
	return out, nil
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

// Run orders an action of a BMC: the effect is stored as an object, which the
// reply names, and carried out from there.
func (a actions) Run(ctx context.Context, call rest.ActionCall) (any, error) {
	m, ok := bmcOwner(call.Object)
	if !ok || !slices.Contains(bmcCommands, api.BMCWant(call.Command)) || call.Plugin != "" && call.Plugin != bmcProvider {
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
	return resource.Errorf(resource.NotFound, kind, key, "no action %q here; machines have %v", call.Command, bmcCommands)
}
