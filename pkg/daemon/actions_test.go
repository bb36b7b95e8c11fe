package daemon_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/client"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
)

func TestActionsAndInfo(t *testing.T) {
	t.Parallel()
	_, c, _ := server(t, t.TempDir())
	do := func(method, path string, in, out any) error {
		_, err := c.Do(t.Context(), method, path, nil, in, out)
		return err
	}
	get := func(path string, out any) {
		t.Helper()
		require.NoError(t, do("GET", path, nil, out), path)
	}
	for name, params := range map[string]resource.Params{
		"bare": {},
		"half": {"ipmi/address": "192.0.2.9", "ipmi/username": "u"},
		"full": {"ipmi/address": "192.0.2.9", "ipmi/username": "u", "ipmi/password": "p"},
		"off":  {"ipmi/address": "192.0.2.9", "ipmi/username": "u", "ipmi/password": "p", "ipmi/enabled": false},
	} {
		_, err := client.Create(t.Context(), c, api.Machines, &api.Machine{Name: name, Params: params})
		require.NoError(t, err)
	}
	for name, want := range map[string]int{"bare": 0, "half": 0, "full": 6, "off": 0} {
		var list []api.AvailableAction
		get("/machines/Name:"+name+"/actions", &list)
		assert.Len(t, list, want, name)
	}
	var one api.AvailableAction
	get("/machines/Name:full/actions/poweron", &one)
	assert.Equal(t, api.AvailableAction{Provider: "ipmi", Model: "machines", Command: "poweron",
		RequiredParams: []string{"ipmi/address", "ipmi/username", "ipmi/password"}, OptionalParams: []string{"ipmi/mode", "ipmi/port"}}, one)
	var done api.BMCAction
	require.NoError(t, do("POST", "/machines/Name:full/actions/poweron", map[string]any{}, &done))
	assert.Equal(t, api.BMCOn, done.Want)
	assert.ErrorContains(t, do("POST", "/machines/Name:bare/actions/poweron", map[string]any{}, nil), "has no BMC")
	assert.ErrorContains(t, do("POST", "/machines/Name:full/actions/fly", map[string]any{}, nil), `no action "fly"`)

	var info rest.Info
	get("/info", &info)
	assert.Equal(t, []rest.Stat{{Name: "machines.count", Count: 4}, {Name: "subnets.count"}, {Name: "contexts.count", Count: 1}}, info.Stats)
	assert.Equal(t, []any{true, "Up", false, true, false}, []any{info.HAIsActive, info.HAStatus, info.HAEnabled, info.ProvEnabled, info.TFTPEnabled})
	assert.Contains(t, info.Features, "secure-params")
	assert.Contains(t, info.Scopes["machines"], "getSecure")
	var state rest.HAState
	get("/system/consensus/state", &state)
	assert.Equal(t, info.ClusterState.Nodes[0].NodeHA, state.NodeHA)
	assert.False(t, state.Enabled)
	var lines []rest.LogLine
	get("/logs", &lines)
	require.NotEmpty(t, lines)
	assert.Equal(t, "rocketskates", lines[len(lines)-1].Principal)
	var key []byte
	get("/machines/Name:full/pubkey", &key)
	assert.Len(t, key, 32)
}
