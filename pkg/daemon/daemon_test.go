package daemon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/client"
	"drpd/pkg/daemon"
	"drpd/pkg/diskplan"
	"drpd/pkg/render"
	"drpd/pkg/resource"
	"drpd/pkg/workflow"
)

// server is a drpd on free loopback ports over dir, until the test ends or
// stop is called.
func server(t *testing.T, dir string) (d *daemon.Daemon, c *client.Client, stop func()) {
	t.Helper()
	return serverOf(t, daemon.Config{DataDir: dir})
}

// serverOf is server with a configuration; its ports are chosen here.
func serverOf(t *testing.T, cfg daemon.Config) (d *daemon.Daemon, c *client.Client, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cfg.APIAddr, cfg.FileAddr, cfg.TFTPAddr = "127.0.0.1:0", "127.0.0.1:0", "off"
	cfg.CallOut = append(cfg.CallOut, "127.0.0.1") // where these tests have their BMCs
	d, err := daemon.Open(ctx, cfg)
	require.NoError(t, err)
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- d.Run(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("drpd ended: %v", err)
	}
	var once bool
	stop = func() {
		if !once {
			once = true
			cancel()
			assert.NoError(t, <-ended)
			assert.NoError(t, d.Close())
		}
	}
	t.Cleanup(stop)
	c, err = client.New(client.Config{Endpoint: d.APIURL("127.0.0.1"), CAFingerprint: d.Fingerprint(), User: "rocketskates", Password: d.FirstPassword})
	require.NoError(t, err)
	return d, c, stop
}

func TestFirstStartAndRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, c, stop := server(t, dir)
	assert.GreaterOrEqual(t, len(d.FirstPassword), 12)
	m, err := client.Create(t.Context(), c, api.Machines, &api.Machine{Name: "n1", Params: resource.Params{"ipmi/password": "planted-secret"}})
	require.NoError(t, err)
	assert.Equal(t, "universal-discover", m.Workflow)
	assert.Equal(t, "discovery", m.BootEnv)
	stop()

	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue // a directory
		}
		assert.NotContains(t, string(data), "planted-secret", "secret in %s", f)
	}
	again, _, _ := server(t, dir)
	assert.Empty(t, again.FirstPassword, "the first user exists")
	assert.Equal(t, d.Fingerprint(), again.Fingerprint())
	got, err := api.Machines.Get(again.DB.View(), m.Uuid)
	require.NoError(t, err)
	assert.Equal(t, "n1", got.Name)
}

func TestMachineThatSimplyBootsIsDiscovered(t *testing.T) {
	t.Parallel()
	d, _, _ := server(t, t.TempDir())
	boot := bootClient(t, d)
	leased(t, d, "52:54:00:00:00:09")
	who, err := boot.WhoAmI(t.Context(), client.WhoAmIRequest{MacAddrs: []string{"5254.0000.0009"}, Env: "discovery"})
	require.NoError(t, err)
	m, err := api.Machines.Get(d.DB.View(), who.Uuid)
	require.NoError(t, err)
	assert.Equal(t, "d52-54-00-00-00-09", m.Name)
	assert.Equal(t, "universal-discover", m.Workflow)
	assert.True(t, m.Boot.Home)
	assert.True(t, m.Runnable)

	own := boot.WithToken(who.Token)
	_, err = client.Get(t.Context(), own, api.Machines, who.Uuid)
	assert.NoError(t, err)
	other, err := client.Create(t.Context(), admin(t, d), api.Machines, &api.Machine{Name: "other"})
	require.NoError(t, err)
	_, err = client.Get(t.Context(), own, api.Machines, other.Uuid)
	assert.Equal(t, 404, client.Status(err), "a machine's token shows nothing of other machines")
	_, err = client.Patch(t.Context(), own, api.Machines, other.Uuid, client.Set("/Runnable", false))
	assert.Equal(t, 404, client.Status(err), "nor can it change them")
}

// bootClient has what an unknown machine has: the token of its boot script.
func bootClient(t *testing.T, d *daemon.Daemon) *client.Client {
	t.Helper()
	text, err := d.BootToken(time.Minute)
	require.NoError(t, err)
	c, err := client.New(client.Config{Endpoint: d.APIURL("127.0.0.1"), CAFingerprint: d.Fingerprint(), Token: text})
	require.NoError(t, err)
	return c
}

func admin(t *testing.T, d *daemon.Daemon) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Endpoint: d.APIURL("127.0.0.1"), CAFingerprint: d.Fingerprint(), User: "rocketskates", Password: d.FirstPassword})
	require.NoError(t, err)
	return c
}

func TestImageWithAWrongChecksumNeverBecomesBootable(t *testing.T) {
	t.Parallel()
	_, c, _ := server(t, t.TempDir())
	ctx := t.Context()
	const right = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // of "hello"
	env := &api.BootEnv{Name: "img", OS: api.OsInfo{IsoFile: "img.zst", IsoSha256: right}}
	env.Meta = map[string]string{"raw-size": "5"}
	made, err := client.Create(ctx, c, api.BootEnvs, env)
	require.NoError(t, err)
	assert.False(t, made.Available)
	assert.Equal(t, []string{`file "isos/img.zst" does not exist`}, made.Errors)

	_, err = c.UploadFile(ctx, client.Upload{Area: "isos", Path: "img.zst", Body: strings.NewReader("wrong"), Size: 5, SHA256: right})
	assert.Error(t, err, "the upload names another checksum")
	_, err = c.UploadFile(ctx, client.Upload{Area: "isos", Path: "img.zst", Body: strings.NewReader("wrong"), Size: 5})
	require.NoError(t, err)
	got, err := client.Get(ctx, c, api.BootEnvs, "img")
	require.NoError(t, err)
	assert.False(t, got.Available)
	assert.Contains(t, strings.Join(got.Errors, " "), "wanted "+right)

	_, err = c.UploadFile(ctx, client.Upload{Area: "isos", Path: "img.zst", Body: bytes.NewReader([]byte("hello")), Size: 5})
	require.NoError(t, err)
	got, err = client.Get(ctx, c, api.BootEnvs, "img")
	require.NoError(t, err)
	assert.True(t, got.Available, got.Errors)
}

func TestJobIsRenderedForItsMachine(t *testing.T) {
	t.Parallel()
	d, c, _ := server(t, t.TempDir())
	ctx := t.Context()
	for _, f := range []string{"discovery/vmlinuz", "discovery/initrd.zst"} {
		_, err := c.UploadFile(ctx, client.Upload{Area: "files", Path: f, Body: strings.NewReader("x"), Size: 1})
		require.NoError(t, err)
	}
	m, err := client.Create(ctx, c, api.Machines, &api.Machine{Name: "n1", HardwareAddrs: []string{"52:54:00:00:00:01"}, Workflow: "universal-local",
		Params: resource.Params{"hostname": "web1"}})
	require.NoError(t, err)
	require.NoError(t, d.DB.Update(ctx, func(tx *resource.Tx) error { return workflow.Home(tx, m.Uuid, "local") }))
	job, _, reason, err := c.NextJob(ctx, m.Uuid, "")
	require.NoError(t, err)
	require.NotNil(t, job, reason)
	actions, err := c.JobActions(ctx, job.Uuid)
	require.NoError(t, err)
	require.Len(t, actions, 1)
	assert.Contains(t, actions[0].Content, "systemctl is-active drp-agent.service")
	var why struct{ Says []string }
	_, err = c.Do(ctx, "GET", "why/machines/"+m.Uuid, nil, nil, &why)
	require.NoError(t, err)
	assert.Contains(t, strings.Join(why.Says, " "), "os-online")
}

// Every template of the built-in tasks that work on disks renders with a plan as
// the server makes it, also one with nothing but zeros in it.
func TestDiskTasksRenderWithAnyPlan(t *testing.T) {
	t.Parallel()
	d, _, _ := server(t, t.TempDir())
	plain := func(v any) (out any) {
		data, err := json.Marshal(v)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, &out))
		return out
	}
	v := d.DB.View()
	for _, plan := range []diskplan.Install{{}, {Serial: "S1", WWN: "0x1", Check: true, Content: []string{"ext4 at 0"}}} {
		m := &api.Machine{Name: "n1", Params: resource.Params{"hostname": "n1", "disk-plan/install": plain(plan), "disk-plan/wipe": plain([]diskplan.Disk{{}})}}
		for _, name := range []string{"image-deploy", "disk-wipe", "disk-verify-blank", "inventory"} {
			task, err := api.Tasks.Get(v, name)
			require.NoError(t, err)
			out, err := render.Actions(render.Context{Reader: v, Machine: m, Task: task}, task.Templates)
			if assert.NoError(t, err, name) {
				assert.NotContains(t, out[0].Content, "no value", name)
			}
		}
	}
}
