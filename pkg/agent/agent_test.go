//go:build linux

package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/resource"
	"drpd/pkg/sim/machine"
)

const testMAC = "52:54:00:00:00:01"

func simulated() *machine.Machine {
	return machine.New(machine.Config{Serial: "SN1", UUID: "4c4c4544-0042-3510-8056-b4c04f333132", MAC: testMAC,
		Disks: map[string]int64{"DISK1": 4 << 20, "DISK2": 1 << 20}})
}

func image(t *testing.T) (packed, raw []byte, sum string) {
	t.Helper()
	raw = bytes.Repeat([]byte("an operating system "), 50000)
	z, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	packed = z.EncodeAll(raw, nil)
	h := sha256.Sum256(packed)
	return packed, raw, hex.EncodeToString(h[:])
}

func (s *server) complete() bool { return s.machine().WorkflowComplete }

func (s *server) edit(fn func(*api.Machine)) {
	id := s.machine().Uuid
	s.update(func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, id, func(m *api.Machine) error { fn(m); return nil })
	})
}

func (s *server) setWorkflow(name string) { s.edit(func(m *api.Machine) { m.Workflow = name }) }

// TestLife takes one machine from unknown through discovery and installation
// into its installed system.
func TestLife(t *testing.T) {
	t.Parallel()
	packed, raw, sum := image(t)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(packed) }))
	t.Cleanup(web.Close)
	s := newServer(t, map[string]string{
		"inventory": "op: inventory",
		"deploy": fmt.Sprintf(`op: deploy
disk: {serial: DISK1, wwn: ""}
image: %s/image
sha256: %s
rawSize: %d
protected: [DISK2]
personalize:
  label: root
  env: local
  files:
  - {path: /etc/hostname, mode: "0644", content: "n1\n"}
  - {path: /etc/drp-agent/config.json, mode: "0600", content: "@agent-config"}
`, web.URL, sum, len(raw)),
		"online": "#!/bin/sh\necho machine $RS_UUID in $PWD; test -n \"$RS_TOKEN\" && test -d \"$TMPDIR\"",
	})
	s.workflow("discover", []string{"discovery", "inventory"})
	s.workflow("install", []string{"discovery", "deploy"}, []string{"local", "online"})
	sim := simulated()
	first := s.agent("discovery", sim.Hardware(), t.TempDir())
	s.eventually("discovered", s.complete)
	m := s.machine()
	assert.Equal(t, "uefi", m.Params["detected-bios-mode"])
	assert.Equal(t, testMAC, m.Params["last-boot-macaddr"])
	assert.Equal(t, []string{testMAC}, m.HardwareAddrs)
	assert.Equal(t, "4c4c4544-0042-3510-8056-b4c04f333132", m.Fingerprint.SystemUUID)
	assert.Len(t, m.Params["inventory/data"].(map[string]any)["Disks"], 2)

	s.setWorkflow("install")
	<-first.done // without a BMC the agent reboots itself for the next task
	assert.Equal(t, []string{machine.Rebooted}, sim.Ends())
	d := sim.Disk("DISK1")
	assert.True(t, d.Bootable)
	assert.Equal(t, raw, d.Data[:len(raw)])
	assert.Equal(t, "n1\n", string(d.Files["/etc/hostname"].Content))
	conf := d.Files["/etc/drp-agent/config.json"]
	assert.Equal(t, os.FileMode(0o600), conf.Mode)
	var c Config
	require.NoError(t, json.Unmarshal(conf.Content, &c))
	assert.Equal(t, Config{Endpoint: "http://" + s.addr, Token: c.Token, Machine: m.Uuid, Env: "local"}, c)
	assert.NotEmpty(t, c.Token)
	assert.Equal(t, byte(0xaa), sim.Disk("DISK2").Data[0])
	assert.False(t, s.machine().Boot.Home)

	s.agent("local", sim.Hardware(), t.TempDir())
	s.eventually("installed", s.complete)
	online := s.jobs("online")
	require.Len(t, online, 1)
	assert.Contains(t, s.log(online[0].Uuid), "machine "+m.Uuid+" in ")
	assert.Contains(t, s.log(s.jobs("deploy")[0].Uuid), "deployed: /dev/sda (serial \"DISK1\"")
}

// TestFailureAndRepair: a failure stops the machine with its cause and log, and
// a new try goes on from there.
func TestFailureAndRepair(t *testing.T) {
	t.Parallel()
	good := filepath.Join(t.TempDir(), "good")
	s := newServer(t, map[string]string{
		"fails": "echo trying\necho 'no such luck' >&2\ntest -e " + good,
		"after": "echo after",
	})
	s.workflow("discover", []string{"local", "fails", "after"})
	s.agent("local", simulated().Hardware(), t.TempDir())
	s.eventually("failed", func() bool { j := s.jobs("fails"); return len(j) == 1 && j[0].State == api.JobFailed })
	j := s.jobs("fails")[0]
	assert.Equal(t, []string{"fails: exit code 1: no such luck"}, j.ResultErrors)
	assert.Equal(t, "failed", j.ExitState)
	// The two outputs come by two pipes, in either order.
	for _, line := range []string{"trying\n", "no such luck\n", "failed: fails: exit code 1: no such luck\n"} {
		assert.Contains(t, s.log(j.Uuid), line)
	}
	assert.False(t, s.machine().Runnable)
	assert.Empty(t, s.jobs("after"))

	require.NoError(t, os.WriteFile(good, nil, 0o600))
	s.edit(func(m *api.Machine) { m.Runnable = true })
	s.eventually("repaired", s.complete)
	assert.Len(t, s.jobs("fails"), 2)
}

func TestRestartsInMidTask(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	begun, release := filepath.Join(dir, "begun"), filepath.Join(dir, "release")
	script := fmt.Sprintf("echo one\ntouch %s\nuntil test -e %s; do sleep 0.05; done\necho two", begun, release)
	present := func() bool { _, err := os.Stat(begun); return err == nil }
	open := func(t *testing.T) { require.NoError(t, os.WriteFile(release, nil, 0o600)) }

	t.Run("agent", func(t *testing.T) {
		s := newServer(t, map[string]string{"long": script})
		s.workflow("discover", []string{"local", "long"})
		a := s.agent("local", simulated().Hardware(), t.TempDir())
		s.eventually("begun", present)
		a.stop()
		s.agent("local", simulated().Hardware(), t.TempDir())
		s.eventually("failed", func() bool { return s.jobs("long")[0].State == api.JobFailed })
		assert.Equal(t, []string{"the agent restarted while the task ran"}, s.jobs("long")[0].ResultErrors)
		s.eventually("stopped", func() bool { return !s.machine().Runnable })
	})
	require.NoError(t, os.Remove(begun))
	t.Run("server", func(t *testing.T) {
		s := newServer(t, map[string]string{"long": script})
		s.workflow("discover", []string{"local", "long"})
		s.agent("local", simulated().Hardware(), t.TempDir())
		s.eventually("begun", present)
		s.stop()
		open(t)
		s.start()
		s.eventually("complete", s.complete)
		require.Len(t, s.jobs("long"), 1)
		assert.Equal(t, "one\ntwo\n", s.log(s.jobs("long")[0].Uuid))
	})
}

// TestLostAnswers drops the answer, not the request, of each changing call once.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string]string{"task": "echo hello"})
	s.workflow("discover", []string{"local", "task"})
	var lost [3]atomic.Bool
	s.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		kind := -1
		switch {
		case r.Method == http.MethodPost && r.URL.Path == "/api/v3/jobs":
			kind = 0
		case r.Method == http.MethodPatch && strings.Contains(r.URL.Path, "/jobs/"):
			kind = 1
		case r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/log"):
			kind = 2
		}
		if kind < 0 || lost[kind].Swap(true) {
			return false
		}
		s.http.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	})
	s.agent("local", simulated().Hardware(), t.TempDir())
	s.eventually("complete", s.complete)
	for i := range lost {
		assert.True(t, lost[i].Load(), i)
	}
	require.Len(t, s.jobs("task"), 1)
	assert.Equal(t, "hello\n", s.log(s.jobs("task")[0].Uuid))
}

// TestBrokenDownload: the job fails, the disk stays unbootable, the next try works.
func TestBrokenDownload(t *testing.T) {
	t.Parallel()
	packed, raw, sum := image(t)
	var broken atomic.Bool
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(packed)))
		if !broken.Swap(true) {
			_, _ = w.Write(packed[:len(packed)/2])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(packed)
	}))
	t.Cleanup(web.Close)
	s := newServer(t, map[string]string{"deploy": fmt.Sprintf("op: deploy\ndisk: {serial: DISK1}\nimage: %s\nsha256: %s\nrawSize: %d\n", web.URL, sum, len(raw))})
	s.workflow("discover", []string{"local", "deploy"})
	sim := simulated()
	s.agent("local", sim.Hardware(), t.TempDir())
	s.eventually("failed", func() bool { j := s.jobs("deploy"); return len(j) == 1 && j[0].State == api.JobFailed })
	assert.Contains(t, s.jobs("deploy")[0].ResultErrors[0], "broke off after")
	assert.False(t, sim.Disk("DISK1").Bootable)
	s.edit(func(m *api.Machine) { m.Runnable = true })
	s.eventually("deployed", s.complete)
	assert.True(t, sim.Disk("DISK1").Bootable)
}

// TestDownloadIsContinued: a server that dies in the middle and comes back goes
// on where it was; the job never notices.
func TestDownloadIsContinued(t *testing.T) {
	t.Parallel()
	packed, raw, sum := image(t)
	var calls atomic.Int32
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch calls.Add(1) {
		case 1:
			w.Header().Set("Content-Length", fmt.Sprint(len(packed)))
			_, _ = w.Write(packed[:len(packed)/2])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case 2:
			panic(http.ErrAbortHandler)
		}
		http.ServeContent(w, r, "image", time.Time{}, bytes.NewReader(packed))
	}))
	t.Cleanup(web.Close)
	s := newServer(t, map[string]string{"deploy": fmt.Sprintf("op: deploy\ndisk: {serial: DISK1}\nimage: %s\nsha256: %s\nrawSize: %d\n", web.URL, sum, len(raw))})
	s.workflow("discover", []string{"local", "deploy"})
	sim := simulated()
	s.agent("local", sim.Hardware(), t.TempDir())
	s.eventually("deployed", s.complete)
	assert.True(t, sim.Disk("DISK1").Bootable)
	require.Len(t, s.jobs("deploy"), 1)
	assert.Equal(t, api.JobFinished, s.jobs("deploy")[0].State)
	assert.EqualValues(t, 3, calls.Load())
}

// TestCancelled: when the server ends the job, the script dies with its children.
func TestCancelled(t *testing.T) {
	t.Parallel()
	pid := filepath.Join(t.TempDir(), "pid")
	s := newServer(t, map[string]string{"long": "sleep 600 & echo $! > " + pid + ".new; mv " + pid + ".new " + pid + "; wait", "next": "true"})
	s.workflow("discover", []string{"local", "long"})
	s.workflow("other", []string{"local", "next"})
	s.agent("local", simulated().Hardware(), t.TempDir())
	s.eventually("begun", func() bool { _, err := os.Stat(pid); return err == nil })
	s.setWorkflow("other")
	s.eventually("complete", s.complete)
	assert.Equal(t, api.JobCancelled, s.jobs("long")[0].State)
	b, err := os.ReadFile(pid)
	require.NoError(t, err)
	s.eventually("child is dead", func() bool {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(b)) + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

func TestRebootOfTask(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "mark")
	s := newServer(t, map[string]string{"boots": "test -e " + mark + " || { touch " + mark + "; exit 192; }"})
	s.workflow("discover", []string{"local", "boots"})
	sim := simulated()
	<-s.agent("local", sim.Hardware(), t.TempDir()).done
	assert.Equal(t, api.JobIncomplete, s.jobs("boots")[0].State)
	assert.False(t, s.machine().Runnable)
	s.agent("local", sim.Hardware(), t.TempDir())
	s.eventually("complete", s.complete)
	assert.Len(t, s.jobs("boots"), 1)
}

func TestWorkOrder(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string]string{"task": "echo order", "fails": "exit 7"})
	s.workflow("discover", []string{"local", "task"})
	s.agent("local", simulated().Hardware(), t.TempDir())
	s.eventually("complete", s.complete)
	ids, id := map[string]string{}, s.machine().Uuid
	s.edit(func(m *api.Machine) { m.WorkOrderMode = true })
	s.update(func(tx *resource.Tx) error {
		for _, task := range []string{"fails", "task"} {
			if err := api.Blueprints.Create(tx, &api.Blueprint{Name: task, Tasks: []string{task}}); err != nil {
				return err
			}
			o := &api.WorkOrder{Blueprint: task, Machine: id}
			if err := api.WorkOrders.Create(tx, o); err != nil {
				return err
			}
			ids[task] = o.Uuid
		}
		return nil
	})
	state := func(task string) api.OrderState {
		o, err := api.WorkOrders.Get(s.db.View(), ids[task])
		require.NoError(t, err)
		return o.State
	}
	s.eventually("failed", func() bool { return state("fails") == api.OrderFailed })
	s.eventually("finished", func() bool { return state("task") == api.OrderFinished })
	assert.True(t, s.machine().Runnable)
}

// TestEventsWake: with its own token, the agent hears of changes of its machine.
func TestEventsWake(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	s.update(func(tx *resource.Tx) error { return api.Machines.Create(tx, &api.Machine{Name: "n1"}) })
	id := s.machine().Uuid
	token, err := s.auth.MachineToken(auth.Identity{}, id, time.Hour)
	require.NoError(t, err)
	c, err := newClient(Config{Endpoint: "http://" + s.addr, Token: token})
	require.NoError(t, err)
	a := &agent{api: c, bell: make(chan struct{}, 1)}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- a.follow(ctx, id) }()
	for _, change := range []func(){func() {}, func() { s.edit(func(m *api.Machine) { m.Description = "new" }) }} {
		change() // the first ring is that the stream has begun
		select {
		case <-a.bell:
		case <-ctx.Done():
			require.NoError(t, ctx.Err(), "nothing was heard")
		}
	}
	cancel()
	assert.ErrorIs(t, <-ended, context.Canceled)
}
