//go:build linux

package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"drpd/pkg/api"
)

// pty is a terminal whose other end collects what is written.
type pty struct {
	master, slave *os.File
	mu            sync.Mutex // guards seen
	seen          bytes.Buffer
}

func newPTY(t *testing.T, width, height uint16) *pty {
	t.Helper()
	m, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	require.NoError(t, unix.IoctlSetPointerInt(int(m.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(m.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	s, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(int(m.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: height, Col: width}))
	p := &pty{master: m, slave: s}
	go p.collect()
	t.Cleanup(func() { s.Close(); m.Close() })
	return p
}

func (p *pty) collect() {
	buf := make([]byte, 4096)
	for {
		n, err := p.master.Read(buf)
		p.mu.Lock()
		p.seen.Write(buf[:n])
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (p *pty) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.String()
}

// shows waits until the terminal shows a text.
func (p *pty) shows(t *testing.T, text string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(p.text(), text) }, 20*time.Second, time.Millisecond, "terminal never showed %q", text)
}

func (r *rig) onTTY(t *testing.T, p *pty, typed string, args ...string) int {
	t.Helper()
	_, err := p.master.WriteString(typed)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return Config{Poll: 5 * time.Millisecond}.Main(ctx, args, r.env, p.slave, p.slave, p.slave)
}

func TestOnTerminal(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	r.stock(t)
	p := newPTY(t, 100, 30)
	require.Equal(t, 0, r.onTTY(t, p, "", "machines", "list"))
	p.shows(t, "Name  Pool")
	require.Equal(t, 0, r.onTTY(t, p, "", web...))
	p.shows(t, "\x1b[J")
	p.shows(t, "Ctrl-C stops watching, not the run")
	p.shows(t, "web  provision  live  2/2 members in service")
	assert.Equal(t, exitUsage, r.onTTY(t, p, "wep\n", "clusters", "destroy", "web"))
	p.shows(t, "\x1b[31mError:\x1b[0m destroy web: the name given is \"wep\"")
	require.Equal(t, 0, r.onTTY(t, p, "web\n", "clusters", "destroy", "web"))
	p.shows(t, `Type the name "web" to destroy it: `)
	p.shows(t, "web  destroy  defined")
	before := len(p.text())
	r.env = append(r.env, "TERM=dumb")
	require.Equal(t, 0, r.onTTY(t, p, "", "clusters", "restore", "web"))
	p.shows(t, "cluster=web state=live ready=2/2")
	assert.NotContains(t, p.text()[before:], "\x1b")
}

func TestLoginAsksOnTerminal(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	r.env = r.env[:2]
	p := newPTY(t, 80, 24)
	done := make(chan int)
	go func() { done <- r.onTTY(t, p, "", "login") }()
	p.shows(t, "User: ")
	_, err := p.master.WriteString("root\n")
	require.NoError(t, err)
	p.shows(t, "Password of root at ")
	_, err = p.master.WriteString(testPassword + "\n")
	require.NoError(t, err)
	require.Equal(t, 0, <-done)
	p.shows(t, "logged in at "+r.srv.URL+" as root")
	assert.NotContains(t, p.text(), testPassword)
}

// TestGuided: what is missing is asked for, "?" lists what there is, and
// --silent asks nothing.
func TestGuided(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	r.ok(t, "machines", "create", "m1")
	p := newPTY(t, 100, 30)
	done := make(chan int)
	answer := func(question, text string) {
		p.shows(t, question)
		_, err := p.master.WriteString(text + "\n")
		require.NoError(t, err)
	}
	go func() { done <- r.onTTY(t, p, "", "machines", "set") }()
	answer("id: ", "?")
	p.shows(t, "m1")
	answer("id: ", "m1")
	answer("param: ", "rack/unit")
	answer("value: ", "21")
	require.Equal(t, 0, <-done)
	assert.Equal(t, "21\n", r.ok(t, "machines", "get", "m1", "param", "rack/unit"))
	assert.Equal(t, exitUsage, r.onTTY(t, p, "", "machines", "show", "--silent"))
	p.shows(t, "missing: <id>")
	r.env = append(r.env, "RS_UUID=m1")
	require.Equal(t, 0, r.onTTY(t, p, "", "machines", "show", "-o", "name"))
}

// TestGuidedCluster asks for what the workflow requires and nothing gives.
func TestGuidedCluster(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	for _, p := range []string{`{"Name":"site/size","Schema":{"type":"string","enum":["small","big"]},"Description":"How big."}`,
		`{"Name":"site/color","Schema":{"type":"string","default":"blue"}}`, `{"Name":"site/key","Secure":true}`} {
		r.ok(t, "params", "create", p)
	}
	r.ok(t, "tasks", "create", `{"Name":"t1","RequiredParams":["site/size","site/color","site/key"]}`)
	r.ok(t, "stages", "create", "s1", "Tasks=t1")
	r.ok(t, "workflows", "create", "w1", "Stages=s1")
	p := newPTY(t, 100, 30)
	done := make(chan int)
	answer := func(question, text string) {
		p.shows(t, question)
		_, err := p.master.WriteString(text + "\n")
		require.NoError(t, err)
	}
	go func() {
		done <- r.onTTY(t, p, "", "clusters", "create", "web", "--workflow", "w1", "--detach", "--dry-run", "-o", "json")
	}()
	answer("site/size (small,big): ", "huge")
	p.shows(t, "site/size is one of small,big")
	answer("small,big\r\nsite/size (small,big): ", "big")
	answer("site/key (not shown): ", "hush")
	require.Equal(t, 0, <-done)
	p.shows(t, "drpcli clusters create web --silent site/size=big site/key=-")
	assert.NotContains(t, p.text(), "site/color")
	p.shows(t, "(not shown)\"")
}

func TestUploadShowsProgress(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	p := newPTY(t, 100, 30)
	now := time.Unix(0, 0)
	tick := func() time.Time { now = now.Add(time.Second); return now }
	file := filepath.Join(t.TempDir(), "x.iso")
	require.NoError(t, os.WriteFile(file, make([]byte, 3<<20), 0o600))
	cfg := Config{Now: tick, Poll: time.Millisecond}
	require.Equal(t, 0, cfg.Main(t.Context(), []string{"isos", "upload", file}, r.env, strings.NewReader(""), p.slave, p.slave))
	p.shows(t, "of 3.0 MiB  ")
	p.shows(t, "MiB/s\x1b[K")
	p.shows(t, "\r\x1b[KPath")
}

func TestDraw(t *testing.T) {
	t.Parallel()
	v := runView{Flow: flowProvision, Tasks: []string{"stage:gather", "action:cluster/gather", "action:cluster/wait-quorum", "stage:join", "action:cluster/join"}}
	v.Cluster = &api.Machine{Name: "web", Workflow: flowProvision, Runnable: true, CurrentTask: 2, Tasks: v.Tasks}
	v.Job = &api.Job{Task: "action:cluster/wait-quorum", State: api.JobRunning, Waiting: "1 of 3 members ready"}
	v.Members = []*api.Machine{
		{Name: "n1", PoolStatus: api.InUse, WorkflowComplete: true, Runnable: true},
		{Name: "n2", PoolStatus: api.Building, Runnable: true, Tasks: []string{"image-deploy"}},
		{Name: "n3", PoolStatus: api.HoldBuild, PoolHoldReason: "task image-deploy failed: the disk is gone", Tasks: []string{"image-deploy"}},
	}
	m := marksFor(map[string]string{"LANG": "C"})
	golden(t, "draw", strings.Join(v.draw(m, 80, 24, 61*time.Second), "\n")+"\n")
	for width := 30; width < 100; width += 7 {
		for _, l := range v.draw(m, width, 24, time.Second) {
			assert.Less(t, len(l), width)
		}
	}
	for range 50 {
		v.Members = append(v.Members, v.Members[1])
	}
	assert.LessOrEqual(t, len(v.draw(m, 80, 22, 0)), 22)
}

func TestPhases(t *testing.T) {
	t.Parallel()
	list := []string{"stage:a", "t1", "stage:b", "t2", "t3"}
	assert.Equal(t, []phase{{"a", 0, 2}, {"b", 0, 3}}, phasesOf(list, -1))
	assert.Equal(t, []phase{{"a", 2, 2}, {"b", 1, 3}}, phasesOf(list, 3))
	assert.Equal(t, []phase{{"a", 2, 2}, {"b", 3, 3}}, phasesOf(list, 5))
	assert.Equal(t, []phase{{"start", 1, 1}}, phasesOf([]string{"t1"}, 1))
	assert.Empty(t, phasesOf(nil, 0))
}
