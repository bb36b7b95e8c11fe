package bmc

import (
	"time"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/resource"
)

// Provider is the plugin that offers these actions in DRP.
const Provider = "ipmi"

// Commands are the actions on machines that go to their BMC, with DRP's names.
var Commands = []api.BMCWant{api.BMCOn, api.BMCOff, api.BMCCycle, api.BMCBootPXE, api.BMCBootDisk, api.BMCStatus}

// Natives are the power operations of task lists: our own, which leaves a
// machine without a BMC as it is, and the actions of DRP's plugin, which fail
// there.
func Natives() map[string]engine.Native {
	out := map[string]engine.Native{"power/off": func(tx *resource.Tx, now time.Time, job string) (engine.Result, error) {
		return order(tx, now, job, api.BMCOff, true)
	}}
	for _, want := range Commands {
		run := func(tx *resource.Tx, now time.Time, job string) (engine.Result, error) {
			return order(tx, now, job, want, false)
		}
		out[string(want)], out[Provider+":"+string(want)] = run, run
	}
	return out
}

// order gives an order to the BMC of a job's machine and sees it carried out.
func order(tx *resource.Tx, now time.Time, job string, want api.BMCWant, optional bool) (engine.Result, error) {
	j, err := api.Jobs.Get(tx, job)
	if err != nil {
		return engine.Result{}, err
	}
	m, err := api.Machines.Get(tx, j.Machine)
	if err != nil {
		return engine.Result{}, err
	}
	switch {
	case Has(tx, m):
	case optional:
		return engine.Result{Done: true}, nil
	default:
		return engine.Result{}, resource.Errorf(resource.Refused, api.Machines.Name, m.Uuid,
			"%s has no BMC: set params %s, %s and %s", m.Name, ParamAddress, ParamUser, ParamPassword)
	}
	id, _ := j.Note["action"].(string)
	a, err := api.BMCActions.Get(tx, id)
	if err != nil {
		id, err := Order(tx, now, m.Uuid, want, "")
		if err != nil {
			return engine.Result{}, err
		}
		return engine.Result{Waiting: string(want) + " is sent to its BMC"}, api.Jobs.Modify(tx, job, func(j *api.Job) error {
			j.Note = resource.Params{"action": id}
			return nil
		})
	}
	switch a.State {
	case "done":
		if want != api.BMCOff {
			return engine.Result{Done: true}, nil
		}
		return engine.Result{Done: true}, away(tx, m)
	case "failed", "cancelled":
		return engine.Result{}, resource.Errorf(resource.Unavailable, api.Machines.Name, m.Uuid, "%s was not carried out by the BMC of %s: %s", want, m.Name, a.Error)
	}
	return engine.Result{Waiting: describe(a), Until: a.NextTry}, nil
}

// away notes that no agent runs on the machine any more.
func away(tx *resource.Tx, m *api.Machine) error {
	return api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error {
		if m.Boot == nil {
			m.Boot = &api.BootState{Env: m.BootEnv, Since: tx.Now()}
		}
		m.Boot.Home = false
		return nil
	})
}
