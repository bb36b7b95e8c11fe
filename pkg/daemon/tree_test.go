package daemon_test

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/client"
	"drpd/pkg/daemon"
	"drpd/pkg/resource"
)

func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(data)
}

// syntax has a shell read a script without running it.
func syntax(t *testing.T, script string) {
	t.Helper()
	at := filepath.Join(t.TempDir(), "script")
	require.NoError(t, os.WriteFile(at, []byte(script), 0o600))
	out, err := exec.Command("sh", "-n", at).CombinedOutput()
	assert.NoError(t, err, string(out))
}

// The scripts that make a running system a machine are served from the first
// start on, whatever unknown machines boot.
func TestScriptsToJoin(t *testing.T) {
	t.Parallel()
	d, c, _ := server(t, t.TempDir())
	require.NoError(t, d.DB.Update(t.Context(), func(tx *resource.Tx) error {
		return api.Preferences.Put(tx, &api.Preference{Name: "unknownBootEnv", Value: "ignore"})
	}))
	files := d.FileURL("127.0.0.1")
	code, join := fetch(t, files+"/machines/join-up.sh")
	require.Equal(t, 200, code, join)
	assert.Contains(t, join, `curl -fsS -o "$bin.new" "`+files+`/files/drpcli.$arch.linux"`)
	assert.Contains(t, join, `agent join --endpoint "`+d.APIURL("127.0.0.1")+`" --ca "`+d.Fingerprint()+`"`)
	syntax(t, join)
	m, err := client.Create(t.Context(), c, api.Machines, &api.Machine{Name: "n1", HardwareAddrs: []string{mac1}})
	require.NoError(t, err)
	code, _ = fetch(t, files+"/machines/"+m.Uuid+"/control.sh")
	assert.Equal(t, 404, code, "nothing shows that this host is n1")
	leased(t, d, mac1)
	code, control := fetch(t, files+"/machines/"+m.Uuid+"/control.sh")
	require.Equal(t, 200, code, control)
	assert.Contains(t, control, `"Machine": "`+m.Uuid+`", "Env": "local"}`)
	assert.Contains(t, control, `"CAFingerprint": "`+d.Fingerprint()+`"`)
	syntax(t, control)
	code, _ = fetch(t, files+"/machines/00000000-0000-4000-8000-000000000000/control.sh")
	assert.Equal(t, 404, code)
}

// The built-in packs are among the contents, without a warning.
func TestBuiltInPacks(t *testing.T) {
	t.Parallel()
	d, _, _ := server(t, t.TempDir())
	v := d.DB.View()
	for name, version := range map[string]string{"BasicStore": daemon.BasicVersion, "universal": "v0.1.0", "etcd": "v0.1.0"} {
		p, err := api.ContentPacks.Get(v, name)
		require.NoError(t, err)
		assert.Equal(t, version, p.Meta.Version)
		assert.Equal(t, []string{}, d.Packs.Warnings(v, p))
	}
	for kind, names := range map[string][]string{"bootenvs": {"local", "ignore"}, "stages": {"none", "local"}, "roles": {"superuser"}, "params": {"pxelinux-local-boot"}} {
		for _, name := range names {
			o, err := d.DB.Kind(kind).Lookup(v, name)
			require.NoError(t, err)
			c := d.DB.Kind(kind).CommonOf(o.Val)
			assert.Equal(t, []any{"BasicStore", true, true}, []any{c.Bundle, c.ReadOnly, c.Available}, name)
		}
	}
	global, err := api.Profiles.Get(v, "global")
	require.NoError(t, err)
	assert.False(t, global.ReadOnly, "params of profile global are the operator's")
}
