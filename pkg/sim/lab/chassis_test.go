package lab

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestChassis(t *testing.T) {
	t.Parallel()
	n := bareNode(t, nil)
	steps := []struct {
		args string
		want string
		boot Boot
	}{
		{"get power", "power:0\n", Boot{}},
		{"set boot pxe", "", Boot{BootPXE, true}},
		{"get power boot", "power:0\nboot:pxe\n", Boot{BootPXE, true}},
		{"set identify 15 0", "", Boot{BootPXE, true}},
		{"set boot disk", "", Boot{BootDisk, true}},
		{"get boot", "boot:default\n", Boot{BootDisk, true}},
		{"set boot default", "", Boot{}},
		{"set power 0 boot pxe", "", Boot{BootPXE, true}},
		{"set boot none", "", Boot{}},
		{"set reset 1", "", Boot{}},    // off stays off
		{"set shutdown 1", "", Boot{}}, // likewise
	}
	for _, step := range steps {
		var out strings.Builder
		require.NoError(t, n.Chassis(t.Context(), strings.Fields(step.args), &out), step.args)
		assert.Equal(t, step.want, out.String(), step.args)
		boot, err := n.Boot()
		require.NoError(t, err)
		assert.Equal(t, step.boot, boot, step.args)
		assert.Equal(t, Off, n.Power())
	}
}

func TestChassisRefuses(t *testing.T) {
	t.Parallel()
	n := bareNode(t, nil)
	for args, want := range map[string]string{
		"":                   "want get NAME or set NAME VALUE",
		"get":                "want get NAME",
		"put power":          `chassis command "put": use get or set`,
		"get fan":            `chassis get "fan": use power or boot`,
		"set power":          "chassis set power: a value is missing",
		"set power 2":        `chassis set power "2": not simulated`,
		"set boot cdrom":     `chassis set boot "cdrom": not simulated`,
		"set boot pxe power": "chassis set power: a value is missing",
	} {
		assert.ErrorContains(t, n.Chassis(t.Context(), strings.Fields(args), &strings.Builder{}), want, args)
	}
	assert.ErrorContains(t, n.SetBoot(t.Context(), Boot{Device: "cd"}), `device "cd"`)
}

func TestLockExcludes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lockFile(t.Context(), path)
	require.NoError(t, err)
	short, cancel := context.WithTimeout(t.Context(), 3*pollEvery)
	defer cancel()
	_, err = lockFile(short, path)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	unlock()
	unlock, err = lockFile(t.Context(), path)
	require.NoError(t, err)
	unlock()
}

func TestProcess(t *testing.T) {
	t.Parallel()
	rack := &Rack{Config{Dir: t.TempDir()}}
	require.NoError(t, os.Mkdir(rack.path("run"), 0o755))
	log := rack.path("log")
	start := func() error {
		return rack.StartProcess("job", exec.CommandContext(t.Context(), "sh", "-c", "echo started; exec sleep 1000"), log)
	}
	require.NoError(t, start())
	t.Cleanup(func() { _ = rack.KillProcess(context.Background(), "job", syscall.SIGKILL) })
	require.ErrorContains(t, start(), "it runs already")

	require.NoError(t, rack.KillProcess(t.Context(), "job", syscall.SIGSTOP))
	p, running := rack.running("job")
	require.True(t, running, "a stopped process is still there")
	require.NoError(t, rack.KillProcess(t.Context(), "job", syscall.SIGKILL))
	assert.False(t, p.alive())
	require.NoError(t, rack.KillProcess(t.Context(), "job", syscall.SIGTERM), "gone already")

	p.PID, p.Start = os.Getpid(), 1
	assert.False(t, p.alive(), "a pid that was used again is not ours")

	require.ErrorContains(t, rack.StartProcess("../x", exec.Command("true"), log), "start process")
	require.ErrorContains(t, rack.StartProcess("none", exec.Command("/no/such/program"), log), "start process none")
	require.NoError(t, start())
	require.NoError(t, rack.stopProcesses(t.Context()))
	_, running = rack.running("job")
	assert.False(t, running)
}

func TestWaitSerial(t *testing.T) {
	t.Parallel()
	n := bareNode(t, nil)
	assert.Zero(t, n.SerialEnd())
	re := regexp.MustCompile(`ready \d\n`)
	require.NoError(t, os.WriteFile(n.SerialLog(), []byte("ready 1\n"+strings.Repeat("noise\n", consoleWindow)+"ready 2\n"), 0o600))

	match, next, err := n.WaitSerial(t.Context(), 0, re)
	require.NoError(t, err)
	assert.Equal(t, "ready 1\n", match)
	match, next, err = n.WaitSerial(t.Context(), next, re)
	require.NoError(t, err)
	assert.Equal(t, "ready 2\n", match)
	assert.Equal(t, n.SerialEnd(), next)

	short, cancel := context.WithTimeout(t.Context(), 2*pollEvery)
	defer cancel()
	_, _, err = n.WaitSerial(short, next-3, re)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, `last output: "2"`)
}

func TestQMP(t *testing.T) {
	t.Parallel()
	n := bareNode(t, nil)
	socket := filepath.Join(t.TempDir(), "q")
	ln, err := net.Listen("unix", socket)
	require.NoError(t, err)
	defer ln.Close()
	got := make(chan []string, 1)
	go func() { got <- fakeQEMU(ln) }()

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	require.NoError(t, qmp(ctx, socket, setProperty("/machine/x", "bootindex", -1)))
	err = qmp(ctx, socket, qmpCommand{Execute: "bad"})
	require.ErrorContains(t, err, "QEMU command bad: GenericError: no such thing")
	assert.Equal(t, []string{
		`{"execute":"qmp_capabilities"}`,
		`{"execute":"qom-set","arguments":{"path":"/machine/x","property":"bootindex","value":-1}}`,
		`{"execute":"qmp_capabilities"}`,
		`{"execute":"bad"}`,
	}, <-got)
	_, err = n.CPUSeconds()
	assert.ErrorContains(t, err, "it is off")
}

// fakeQEMU serves two connections and returns the lines it was sent.
func fakeQEMU(ln net.Listener) (lines []string) {
	for range 2 {
		conn, err := ln.Accept()
		if err != nil {
			return lines
		}
		fmt.Fprintln(conn, `{"QMP": {"version": {}, "capabilities": []}}`)
		for in := bufio.NewScanner(conn); in.Scan(); {
			lines = append(lines, in.Text())
			fmt.Fprintln(conn, `{"event": "RESUME", "timestamp": {}}`)
			if strings.Contains(in.Text(), "bad") {
				fmt.Fprintln(conn, `{"error": {"class": "GenericError", "desc": "no such thing"}}`)
				continue
			}
			fmt.Fprintln(conn, `{"return": {}}`)
		}
		conn.Close()
	}
	return lines
}

func TestSocketTableAddress(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "C97CA8C0:026F", socketTableAddress(netip.MustParseAddr("192.168.124.201"), 623), "on little-endian hosts")
}

func FuzzParseStat(f *testing.F) {
	f.Add("42 (a) b) S 1 1 1 0 -1 0 0 0 0 0 250 50 0 0 20 0 1 0 777 0 0")
	f.Add("42 (x) S 1")
	f.Add("")
	f.Fuzz(func(t *testing.T, line string) {
		stat, err := parseStat(line)
		if err == nil {
			assert.NotZero(t, stat.state)
		}
	})
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	stat, err := parseStat("42 (a) b) S 1 1 1 0 -1 0 0 0 0 0 250 50 0 0 20 0 1 0 777 0 0")
	require.NoError(t, err)
	assert.Equal(t, procStat{state: 'S', cpu: 300, start: 777}, stat)
}
