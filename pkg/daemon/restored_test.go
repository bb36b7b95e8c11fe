package daemon_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/agent"
	"drpd/pkg/api"
	"drpd/pkg/client"
	"drpd/pkg/daemon"
	"drpd/pkg/datadir"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
	"drpd/pkg/restored"
	"drpd/pkg/sim/machine"
	"drpd/pkg/sim/redfish"
)

// soon waits for progress.
func soon(t *testing.T, what string, fn func() bool) {
	t.Helper()
	require.Eventually(t, fn, 20*time.Second, 10*time.Millisecond, what)
}

// bmc is a simulated BMC on a socket that counts who comes, over TCP as Redfish
// and over UDP as IPMI (where nobody answers).
type bmc struct {
	net.Listener
	udp     net.PacketConn
	came    atomic.Int64
	machine redfish.Memory
}

func (b *bmc) Accept() (net.Conn, error) {
	c, err := b.Listener.Accept()
	if err == nil {
		b.came.Add(1)
	}
	return c, err
}

func newBMC(t *testing.T) *bmc {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := &bmc{Listener: l}
	b.udp, err = net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	s, err := redfish.New(redfish.Config{User: "u", Password: "p", Machine: &b.machine, System: redfish.System{Name: "s", UUID: "7f3c2f5e-0000-4000-8000-000000000001"}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- s.Run(ctx, b) }()
	go func() {
		buf := make([]byte, 2048)
		for {
			if _, _, err := b.udp.ReadFrom(buf); err != nil {
				ended <- nil
				return
			}
			b.came.Add(1)
		}
	}()
	t.Cleanup(func() {
		cancel()
		b.udp.Close()
		assert.NoError(t, <-ended)
		assert.NoError(t, <-ended)
	})
	return b
}

// params are what a machine needs to be driven by it.
func (b *bmc) params(mode string) resource.Params {
	port := b.Addr().(*net.TCPAddr).Port
	if mode == "ipmitool" {
		port = b.udp.LocalAddr().(*net.UDPAddr).Port
	}
	return resource.Params{"ipmi/address": "127.0.0.1", "ipmi/mode": mode, "ipmi/port": port, "ipmi/username": "u", "ipmi/password": "p"}
}

var everyWant = []api.BMCWant{api.BMCOn, api.BMCOff, api.BMCCycle, api.BMCBootPXE, api.BMCBootDisk, api.BMCStatus}

// counter counts lines of the log.
type counter struct {
	slog.Handler
	what string
	n    *atomic.Int64
}

func (c counter) Enabled(context.Context, slog.Level) bool { return true }
func (c counter) WithAttrs([]slog.Attr) slog.Handler       { return c }
func (c counter) Handle(_ context.Context, r slog.Record) error {
	if r.Message == c.what {
		c.n.Add(1)
	}
	return nil
}

// halfDone is a data directory of a server with a machine in the middle of a boot
// by Redfish and one by IPMI, with every action of a BMC wanted, and the BMCs.
func halfDone(t *testing.T) (dir string, tcp, udp *bmc, ids []string) {
	t.Helper()
	tcp, udp = newBMC(t), newBMC(t)
	dir = filepath.Join(t.TempDir(), "data")
	_, c, stop := server(t, dir)
	for name, b := range map[string]*bmc{"redfish": tcp, "ipmitool": udp} {
		mac := map[string]string{"redfish": "52:54:00:00:00:01", "ipmitool": "52:54:00:00:00:02"}[name]
		m, err := client.Create(t.Context(), c, api.Machines, &api.Machine{Name: name, HardwareAddrs: []string{mac}, Params: b.params(name)})
		require.NoError(t, err)
		ids = append(ids, m.Uuid)
	}
	soon(t, "the server that is active drives the BMCs", func() bool { return len(tcp.machine.History()) > 0 && udp.came.Load() > 0 })
	stop()
	d, err := daemon.Open(t.Context(), daemon.Config{DataDir: dir, Offline: true})
	require.NoError(t, err)
	require.NoError(t, d.DB.Update(t.Context(), func(tx *resource.Tx) error {
		for _, id := range ids {
			for _, want := range everyWant {
				if err := api.BMCActions.Create(tx, &api.BMCAction{Machine: id, Want: want, Created: tx.Now(), Deadline: tx.Now().Add(time.Hour)}); err != nil {
					return err
				}
			}
		}
		return nil
	}))
	require.NoError(t, d.Close())
	return dir, tcp, udp, ids
}

// Not even its engine, were it to run, gets a restored server to call a BMC; and
// what was half done is not called for after the activation either.
func TestRestoredServerCallsNobody(t *testing.T) {
	t.Parallel()
	dir, tcp, udp, ids := halfDone(t)
	seal := ageSeal(t)
	to := elsewhere(t, dir, seal)
	came := func() int64 { return tcp.came.Load() + udp.came.Load() }
	before, history := came(), tcp.machine.History()
	var refused atomic.Int64
	port := freeUDP(t)
	d, _, _ := serverOf(t, daemon.Config{DataDir: to, Log: slog.New(counter{what: "action not recorded, tried again", n: &refused}),
		Interfaces: []string{"lo"}, DHCPPort: port, BINLPort: freeUDP(t), BestEffort: true})

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Engine.Run(ctx) }()
	soon(t, "every action was tried, and was refused", func() bool { return refused.Load() >= int64(2*len(everyWant)) })
	cancel()
	<-ended
	assert.Equal(t, before, came(), "connections to BMCs before the activation")
	assert.True(t, canListen(port), "DHCP is not answered")
	for _, mac := range []string{"52-54-00-00-00-01", "52-54-00-00-00-02"} {
		assert.Contains(t, body(t, d.FileURL("127.0.0.1")+"/"+mac+".ipxe"), "this machine boots its local disk", mac)
	}
	for _, id := range ids {
		m, err := api.Machines.Get(d.DB.View(), id)
		require.NoError(t, err)
		assert.Equal(t, "discovery", m.BootEnv, "nothing was written")
	}

	_, err := d.Activate(t.Context(), daemon.Activation{OldServerIsDead: true})
	require.NoError(t, err)
	new := newBMC(t)
	require.NoError(t, d.DB.Update(t.Context(), func(tx *resource.Tx) error {
		return api.Machines.Create(tx, &api.Machine{Name: "new", HardwareAddrs: []string{"52:54:00:00:00:03"}, Params: new.params("redfish")})
	}))
	soon(t, "what is wished for after the activation is done", func() bool { return len(new.machine.History()) > 0 })
	assert.Equal(t, before, came(), "connections to BMCs for what was half done")
	assert.Equal(t, history, tcp.machine.History())
	for a := range api.BMCActions.All(d.DB.View()) {
		m, err := api.Machines.Get(d.DB.View(), a.Machine)
		require.NoError(t, err)
		assert.True(t, m.Name == "new" || a.Over(), a.Want)
	}
	soon(t, "DHCP is answered", func() bool { return !canListen(port) })
}

func body(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(data)
}

func freeUDP(t *testing.T) int {
	t.Helper()
	l, err := net.ListenPacket("udp4", ":0")
	require.NoError(t, err)
	defer l.Close()
	return l.LocalAddr().(*net.UDPAddr).Port
}

func canListen(port int) bool {
	l, err := net.ListenUDP("udp4", &net.UDPAddr{Port: port})
	if err == nil {
		l.Close()
	}
	return err == nil
}

// While the old server answers the restored one is not activated. An agent that
// loses the old one finds the new one at its second address, by the authority
// that it pins, and goes on there when it is activated.
func TestTheOldServerIsAlive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old, c, stopOld := server(t, dir)
	m, err := client.Create(t.Context(), c, api.Machines, &api.Machine{Name: "m", HardwareAddrs: []string{"52:54:00:00:00:01"}})
	require.NoError(t, err)
	_, err = client.Create(t.Context(), c, api.Preferences, &api.Preference{Name: daemon.PrefEndpoints, Value: old.APIURL("127.0.0.1")})
	require.NoError(t, err)
	for _, err := range []error{
		create(t, c, api.Tasks, &api.Task{Name: "t", Templates: []api.TemplateInfo{{Name: "t", Contents: "#!/bin/sh\nexit 0\n"}}}),
		create(t, c, api.Stages, &api.Stage{Name: "s", Tasks: []string{"t"}}),
		create(t, c, api.Workflows, &api.Workflow{Name: "w", Stages: []string{"s"}}),
	} {
		require.NoError(t, err)
	}
	var join daemon.Admitted
	_, err = admin(t, old).Do(t.Context(), "POST", "join_tokens", nil, map[string]string{"Machine": m.Uuid}, &join)
	require.NoError(t, err)
	state := t.TempDir()
	hw := machine.New(machine.Config{MAC: "52:54:00:00:00:01", Serial: "m", Disks: map[string]int64{"d": 1 << 20}})
	disk := bytes.Clone(hw.Disk("d").Data)
	run := func(endpoints ...string) (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- agent.Run(ctx, agent.Config{Endpoint: endpoints[0], Endpoints: endpoints[1:], CAFingerprint: old.Fingerprint(), Token: join.Token,
				Machine: m.Uuid, Env: "local", StateDir: state, Hardware: hw.Hardware(), Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Poll: 100 * time.Millisecond})
		}()
		stop = sync.OnceFunc(func() { cancel(); <-ended })
		t.Cleanup(stop)
		return stop
	}
	boots := func(env string) { // in use; the backup will say other than it is
		require.NoError(t, old.DB.Update(t.Context(), func(tx *resource.Tx) error {
			return api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error {
				m.Moving, m.PoolStatus, m.BootEnv, m.Boot = true, api.InUse, env, &api.BootState{Intent: env, Env: env, Home: env == "local"}
				return nil
			})
		}))
	}
	boots("local")
	stopAgent := run(old.APIURL("127.0.0.1"))
	soon(t, "the agent has come to the old server", func() bool { return proof.Claims.Has(old.DB.View(), m.Uuid) })
	stopAgent()

	seal := ageSeal(t)
	boots("discovery")
	d, _, _ := server(t, elsewhere(t, dir, seal))
	boots("local")
	require.Equal(t, old.Fingerprint(), d.Fingerprint())
	run(old.APIURL("127.0.0.1"), d.APIURL("127.0.0.1"))
	for what, a := range map[string]daemon.Activation{"as it is": {}, "stated dead": {OldServerIsDead: true}, "dry": {DryRun: true}} {
		_, err := d.Activate(t.Context(), a)
		assert.ErrorContains(t, err, "the old server is alive at "+old.APIURL("127.0.0.1"), what)
	}
	assert.Nil(t, restored.Of(d.DB.View(), m.Uuid), "its agent is with the old server")
	stopOld()
	soon(t, "the agent has told the restored server what it runs", func() bool { return restored.Of(d.DB.View(), m.Uuid) != nil })
	assert.Equal(t, "local", restored.Of(d.DB.View(), m.Uuid).Reports.Env)

	// What takes connections there may be the old server, hanging.
	hung, err := net.Listen("tcp", strings.TrimPrefix(old.APIURL("127.0.0.1"), "https://"))
	require.NoError(t, err)
	go func() { // ends with its listener
		for {
			c, err := hung.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	_, err = d.Activate(t.Context(), daemon.Activation{OldServerIsDead: true})
	assert.ErrorContains(t, err, "something is there and gives no answer")
	require.NoError(t, hung.Close())
	lines, err := d.Activate(t.Context(), daemon.Activation{})
	require.NoError(t, err)
	text := strings.Join(lines, "\n")
	assert.Contains(t, text, "old server at "+old.APIURL("127.0.0.1")+": no answer")
	assert.Contains(t, text, "differs: machine m: has discovery in the backup and runs local")
	require.NoError(t, d.DB.Update(t.Context(), func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.Workflow, m.Runnable = "w", true; return nil })
	}))
	soon(t, "the agent goes on with it", func() bool {
		m, err := api.Machines.Get(d.DB.View(), m.Uuid)
		return err == nil && m.Workflow == "w" && m.WorkflowComplete
	})
	assert.Empty(t, hw.Ends(), "reboots")
	assert.True(t, bytes.Equal(disk, hw.Disk("d").Data), "bytes written")
}

func create[T any](t *testing.T, c *client.Client, k *resource.Kind[T], v *T) error {
	t.Helper()
	_, err := client.Create(t.Context(), c, k, v)
	return err
}

// A word activates it nevertheless, and the audit has it.
func TestActivatedDespiteTheOldServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old, c, _ := server(t, dir)
	_, err := client.Create(t.Context(), c, api.Preferences, &api.Preference{Name: daemon.PrefEndpoints, Value: old.APIURL("127.0.0.1")})
	require.NoError(t, err)
	m, err := client.Create(t.Context(), c, api.Machines, &api.Machine{Name: "silent"})
	require.NoError(t, err)
	seal := ageSeal(t)
	d, _, _ := server(t, elsewhere(t, dir, seal))
	r := d.Admin(t.Context(), "activate", nil)
	assert.Contains(t, r.Error, "say --despite-old-server")
	r = d.Admin(t.Context(), "activate", map[string]string{"despite-old-server": "true"})
	assert.Empty(t, r.Error)
	assert.Contains(t, r.Lines, "old server at "+old.APIURL("127.0.0.1")+": it answers with this server's certificate authority")
	r = d.Admin(t.Context(), "activate", map[string]string{"accept-unreported": "true", "dry-run": "true"})
	assert.Contains(t, r.Lines, "nothing was done")
	assert.Contains(t, r.Lines[0], "machine silent: would be taken for")
	assert.True(t, restored.Of(d.DB.View(), m.Uuid).Pending, "it is as it was")
	r = d.Admin(t.Context(), "activate", map[string]string{"accept-unreported": "true"})
	assert.Contains(t, r.Lines[0], "machine silent: taken for")
	assert.False(t, restored.Of(d.DB.View(), m.Uuid).Pending)
}

// elsewhere is where a backup of a directory was restored to.
func elsewhere(t *testing.T, dir string, seal datadir.Seal) string {
	t.Helper()
	file, by := backUp(t, dir, seal)
	return restoreTo(t, file, by, seal)
}

// authorityOf is the fingerprint of the authority in a directory.
func authorityOf(t *testing.T, dir string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "pki", "ca.pem"))
	require.NoError(t, err)
	block, _ := pem.Decode(data)
	require.NotNil(t, block)
	return fmt.Sprintf("%x", sha256.Sum256(block.Bytes))
}
