package render_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/render"
	"drpd/pkg/resource"
	"drpd/pkg/seal"
	"drpd/pkg/store/mem"
)

// A secure param of a profile is opened for a task that has the Vault, and
// stays sealed for any other text.
func TestSecureParam(t *testing.T) {
	t.Parallel()
	ctx, vault := context.Background(), param.NewVault(seal.NewMaster(seal.Key{7}))
	kinds := append(api.Kinds(), param.ObjectKeys)
	db, err := resource.Open(ctx, resource.Config{Store: mem.New(mem.Config{}), Kinds: kinds, Hooks: vault.Hooks(kinds)})
	require.NoError(t, err)
	m := &api.Machine{Name: "web1", Profiles: []string{"p"}}
	require.NoError(t, db.Update(ctx, func(tx *resource.Tx) error {
		require.NoError(t, api.ParamDefs.Create(tx, &api.Param{Name: "pw", Secure: true}))
		require.NoError(t, api.Profiles.Create(tx, &api.Profile{Name: "p", Params: resource.Params{"pw": "hunter2"}}))
		return api.Machines.Create(tx, m)
	}))
	c := render.Context{Reader: db.View(), Machine: m, Vault: vault}
	got, err := render.Text(c, "test", `{{.Param "pw"}} {{.ComposeParam "pw"}}`)
	require.NoError(t, err)
	assert.Equal(t, "hunter2 hunter2", got)

	c.Vault = nil
	got, err = render.Text(c, "test", `{{range $k, $v := .Param "pw"}}{{$k}} {{end}}`)
	require.NoError(t, err)
	assert.Equal(t, "Key Nonce Payload ", got)
	got, err = render.Text(c, "test", `{{.ParamExists "pw"}} {{len (.ParamExpand "pw")}}`)
	require.NoError(t, err)
	assert.Equal(t, "true 3", got)
}
