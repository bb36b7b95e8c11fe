package bmc

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

func TestPowerActionsInTaskLists(t *testing.T) {
	t.Parallel()
	const job = "33333333-3333-4333-8333-333333333333"
	for _, c := range []struct{ name, entry, state, want string }{
		{"no BMC, ours", "power/off", "none", "done"},
		{"no BMC", "poweron", "none", "m has no BMC: set params ipmi/address, ipmi/username and ipmi/password"},
		{"sent", "poweron", "", "waits: poweron is sent to its BMC"},
		{"sent by the plugin's name", "ipmi:powercycle", "", "waits: powercycle is sent to its BMC"},
		{"carried out", "ipmi:poweron", "done", "done"},
		{"failed", "poweroff", "failed", "poweroff was not carried out by the BMC of m: silent"},
	} {
		db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: append(api.Kinds(), engine.Waits)})
		require.NoError(t, err)
		native := Natives()[c.entry]
		require.NotNil(t, native, c.name)
		var res engine.Result
		run := func(tx *resource.Tx) (err error) { res, err = native(tx, time.Now(), job); return err }
		require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
			m := &api.Machine{Name: "m"}
			if c.state != "none" {
				m.Params = resource.Params{ParamAddress: "192.0.2.1", ParamUser: "u", ParamPassword: "p"}
			}
			if err := api.Machines.Create(tx, m); err != nil {
				return err
			}
			return api.Jobs.Create(tx, &api.Job{Uuid: job, Machine: m.Uuid, State: api.JobRunning, Task: "action:" + c.entry})
		}))
		err = db.Update(t.Context(), run)
		if c.state != "" && c.state != "none" {
			require.NoError(t, err)
			for a := range api.BMCActions.All(db.View()) {
				require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
					return api.BMCActions.Modify(tx, a.Uuid, func(a *api.BMCAction) error { a.State, a.Error = c.state, "silent"; return nil })
				}))
			}
			err = db.Update(t.Context(), run)
		}
		switch {
		case err != nil:
			assert.ErrorContains(t, err, c.want, c.name)
			assert.NotEmpty(t, resource.CodeOf(err), "%s: it fails the job", c.name)
		case res.Done:
			assert.Equal(t, c.want, "done", c.name)
		default:
			assert.Equal(t, c.want, "waits: "+res.Waiting, c.name)
			require.NoError(t, db.Update(t.Context(), run))
			assert.Equal(t, 1, api.BMCActions.Len(db.View()), "%s: it is not sent twice", c.name)
		}
	}
}
