package daemon_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/client"
	"drpd/pkg/daemon"
	"drpd/pkg/datadir"
	"drpd/pkg/resource"
)

// ageSeal seals to a key that is quick to open.
func ageSeal(t *testing.T) datadir.Seal {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return datadir.Seal{Recipient: id.Recipient().String(), Identity: id.String()}
}

func backUp(t *testing.T, dir string, seal datadir.Seal) (file, signedBy string) {
	t.Helper()
	to := filepath.Join(t.TempDir(), "backup")
	m, err := datadir.Backup(t.Context(), datadir.BackupConfig{Config: datadir.Config{Dir: dir}, To: to, Seal: datadir.Seal{Recipient: seal.Recipient}, Now: time.Now()})
	require.NoError(t, err)
	return to, m.Authority
}

func restoreTo(t *testing.T, from, signedBy string, seal datadir.Seal) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "elsewhere")
	m, err := datadir.Restore(t.Context(), datadir.RestoreConfig{From: from, Dir: dir, Seal: datadir.Seal{Identity: seal.Identity}, SignedBy: signedBy, Now: time.Now()})
	require.NoError(t, err)
	assert.Equal(t, signedBy, m.Authority)
	return dir
}

// Under load, every write that was acknowledged before the backup began is in it.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, c, stop := server(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	acked := map[string]bool{}
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				name := fmt.Sprintf("p%d-%d", w, i)
				if _, err := client.Create(ctx, c, api.Profiles, &api.Profile{Name: name, Params: resource.Params{"ipmi/password": name}}); err != nil {
					return
				}
				if _, err := c.UploadFile(ctx, client.Upload{Area: "files", Path: name, Body: strings.NewReader(name), Size: int64(len(name))}); err != nil {
					return
				}
				mu.Lock()
				acked[name] = true
				mu.Unlock()
			}
		})
	}
	require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(acked) > 50 }, 30*time.Second, 10*time.Millisecond)
	mu.Lock()
	var before []string
	for name := range acked {
		before = append(before, name)
	}
	mu.Unlock()
	seal := ageSeal(t)
	file, by := backUp(t, dir, seal)
	cancel()
	writers.Wait()
	stop()
	d, err := daemon.Open(t.Context(), daemon.Config{DataDir: restoreTo(t, file, by, seal)})
	require.NoError(t, err)
	defer d.Close()
	for _, name := range before {
		assert.True(t, api.Profiles.Has(d.DB.View(), name), name)
		assert.True(t, api.Files.Has(d.DB.View(), "files/"+name), name)
	}
}

// unpacked is a backup without its compression, nil if it cannot be read.
func unpacked(t *testing.T, data []byte) []byte {
	t.Helper()
	z, err := zstd.NewReader(nil)
	require.NoError(t, err)
	defer z.Close()
	plain, _ := z.DecodeAll(data, nil)
	return plain
}

// A backup that is cut short or changed at any place is refused before anything
// is written.
func TestDamagedBackupIsRefused(t *testing.T) {
	t.Parallel()
	seal := ageSeal(t)
	intact, by := backUp(t, settled(t), seal)
	whole, err := os.ReadFile(intact)
	require.NoError(t, err)
	try := func(what string, data []byte, s datadir.Seal) {
		at := t.TempDir()
		file, dir := filepath.Join(at, "b"), filepath.Join(at, "data")
		require.NoError(t, os.WriteFile(file, data, 0o600))
		_, err := datadir.Restore(t.Context(), datadir.RestoreConfig{From: file, Dir: dir, Seal: datadir.Seal{Identity: s.Identity}, SignedBy: by, Now: time.Now()})
		assert.ErrorContains(t, err, "nothing was written", what)
		assert.NoFileExists(t, dir, what)
		left, err := os.ReadDir(at)
		require.NoError(t, err)
		assert.Len(t, left, 1, what)
	}
	for i := 1; i < 20; i++ {
		at := len(whole) * i / 20
		try(fmt.Sprintf("cut at %d", at), whole[:at], seal)
		flipped := append([]byte{}, whole...)
		flipped[at] ^= 4
		if bytes.Equal(unpacked(t, whole), unpacked(t, flipped)) {
			continue // a bit that the compression does not read: nothing was changed
		}
		try(fmt.Sprintf("flipped at %d", at), flipped, seal)
	}
	try("another key", whole, ageSeal(t))
	full := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(full, "x"), nil, 0o600))
	_, err = datadir.Restore(t.Context(), datadir.RestoreConfig{From: "none", Dir: full, Seal: seal})
	assert.ErrorContains(t, err, "is not empty (x)")
}

// A restored server does nothing to machines before it is activated, and nothing
// that the backup left half done afterwards.
func TestRestoredServerDoesNothing(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	bmc := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.Error(w, "busy", http.StatusServiceUnavailable)
	}))
	t.Cleanup(bmc.Close)
	host, port, _ := strings.Cut(strings.TrimPrefix(bmc.URL, "https://"), ":")
	dir := t.TempDir()
	_, c, stop := server(t, dir)
	var portNumber int
	_, err := fmt.Sscan(port, &portNumber)
	require.NoError(t, err)
	booting, err := client.Create(t.Context(), c, api.Machines, &api.Machine{Name: "booting", HardwareAddrs: []string{"52:54:00:00:00:01"},
		Params: resource.Params{"ipmi/address": host, "ipmi/mode": "redfish", "ipmi/port": portNumber, "ipmi/username": "u", "ipmi/password": "p"}})
	require.NoError(t, err)
	moved, err := client.Create(t.Context(), c, api.Machines, &api.Machine{Name: "moved", HardwareAddrs: []string{"52:54:00:00:00:02"}})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return asked.Load() > 0 }, 20*time.Second, 10*time.Millisecond, "the server that is active asks the BMC")
	seal := ageSeal(t)
	file, by := backUp(t, dir, seal)
	stop()

	d, _, _ := server(t, restoreTo(t, file, by, seal))
	seen := asked.Load()
	own, err := d.MachineToken(moved.Uuid)
	require.NoError(t, err)
	agent, err := client.New(client.Config{Endpoint: d.APIURL("127.0.0.1"), CAFingerprint: d.Fingerprint(), Token: own, Retries: -1})
	require.NoError(t, err)
	_, err = agent.WhoAmI(t.Context(), client.WhoAmIRequest{MacAddrs: []string{"52:54:00:00:00:02"}, Env: "local"})
	assert.Equal(t, 503, client.Status(err), "noted, and told to wait")
	_, err = client.Get(t.Context(), agent, api.Machines, moved.Uuid)
	assert.Equal(t, 503, client.Status(err), "an agent is told nothing that it could act on")
	err = d.DB.Update(t.Context(), func(tx *resource.Tx) error { return api.Profiles.Create(tx, &api.Profile{Name: "x"}) })
	assert.ErrorContains(t, err, "is not active", "whoever writes, by whatever way")
	resp, err := http.Get(d.FileURL("127.0.0.1") + "/52-54-00-00-00-01.ipxe")
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, 200, resp.StatusCode)
	assert.Equal(t, seen, asked.Load(), "requests to the BMC before the activation")

	lines, err := d.Activate(t.Context(), daemon.Activation{OldServerIsDead: true})
	require.NoError(t, err)
	text := strings.Join(lines, "\n")
	assert.Contains(t, text, "set aside: machine booting: boot into discovery")
	assert.Contains(t, text, "differs: machine moved: has discovery in the backup and runs local")
	assert.Contains(t, text, "held: machine moved")
	require.NoError(t, d.DB.Update(t.Context(), func(tx *resource.Tx) error {
		return api.Machines.Create(tx, &api.Machine{Name: "new", HardwareAddrs: []string{"52:54:00:00:00:03"}})
	}))
	soon(t, "the engine has gone through all machines, the last one too", func() bool {
		m := api.Machines.One(d.DB.View(), api.ByName, "new")
		return len(d.Engine.Reasons("machines", m.Uuid)) > 0
	})
	assert.Equal(t, seen, asked.Load(), "nor after it, for what the backup left half done")
	v := d.DB.View()
	m, err := api.Machines.Get(v, booting.Uuid)
	require.NoError(t, err)
	assert.False(t, m.Runnable)
	assert.NotEqual(t, api.Free, m.PoolStatus)
	for a := range api.BMCActions.All(v) {
		assert.True(t, a.Over(), a.Want)
	}
	m, err = api.Machines.Get(v, moved.Uuid)
	require.NoError(t, err)
	assert.Equal(t, "local", m.BootEnv, "adopted as what it runs")
	third, err := d.MachineToken(booting.Uuid)
	require.NoError(t, err)
	_, err = client.Get(t.Context(), agent.WithToken(third), api.Machines, booting.Uuid)
	assert.Equal(t, 503, client.Status(err), "an agent that has not said what it runs")
	_, err = client.Get(t.Context(), agent, api.Machines, moved.Uuid)
	assert.NoError(t, err)
}
