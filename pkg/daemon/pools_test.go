package daemon

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/resource"
	"drpd/pkg/seal"
	"drpd/pkg/store/mem"
)

// TestAwaitStable returns when the machines are at rest, after its limit, and
// when the caller has gone; it never keeps anybody else from moving them.
func TestAwaitStable(t *testing.T) {
	t.Parallel()
	core, err := NewCore(t.Context(), CoreConfig{Store: mem.New(mem.Config{}), Vault: param.NewVault(seal.NewMaster(seal.Key{1})), Match: match})
	require.NoError(t, err)
	m := &api.Machine{Name: "m", PoolStatus: api.Building}
	require.NoError(t, core.DB.Update(t.Context(), func(tx *resource.Tx) error { return api.Machines.Create(tx, m) }))
	ids := []string{m.Uuid}

	core.awaitStable(t.Context(), ids, 0)
	core.awaitStable(t.Context(), ids, time.Millisecond)
	assert.False(t, core.stable(ids))
	gone, leave := context.WithCancel(t.Context())
	leave()
	core.awaitStable(gone, ids, time.Hour)

	done := make(chan struct{})
	go func() { defer close(done); core.awaitStable(t.Context(), ids, time.Hour) }()
	for _, s := range []api.PoolStatus{api.HoldBuild, api.InUse} {
		require.NoError(t, core.DB.Update(t.Context(), func(tx *resource.Tx) error {
			return api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.PoolStatus = s; return nil })
		}))
	}
	<-done
	assert.True(t, core.stable(ids))
	core.awaitStable(t.Context(), ids, time.Hour)
	core.awaitStable(t.Context(), nil, time.Hour)
}

// TestWebhookKey: only a trigger that is a webhook has one, and it is opened
// with the server's key.
func TestWebhookKey(t *testing.T) {
	t.Parallel()
	vault := param.NewVault(seal.NewMaster(seal.Key{1}))
	core, err := NewCore(t.Context(), CoreConfig{Store: mem.New(mem.Config{}), Vault: vault, Match: match})
	require.NoError(t, err)
	d := &Daemon{Core: core, vault: vault}
	require.NoError(t, core.DB.Update(t.Context(), func(tx *resource.Tx) error {
		hook := &api.Trigger{Name: "hook", TriggerProvider: "webhook-trigger", Blueprint: "run-command", Params: resource.Params{"webhook-trigger/key": "s3cretkey"}}
		if err := api.Triggers.Create(tx, hook); err != nil {
			return err
		}
		return api.Triggers.Create(tx, &api.Trigger{Name: "cron", TriggerProvider: "cron-trigger", Blueprint: "run-command", Params: resource.Params{"webhook-trigger/key": "s3cretkey"}})
	}))
	stored, err := api.Triggers.Get(core.DB.View(), "hook")
	require.NoError(t, err)
	assert.NotEqual(t, "s3cretkey", stored.Params["webhook-trigger/key"])
	assert.Equal(t, "s3cretkey", d.webhookKey("hook"))
	assert.Empty(t, d.webhookKey("cron"))
	assert.Empty(t, d.webhookKey("nope"))
}
