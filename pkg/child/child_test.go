//go:build linux

package child_test

import (
	"bufio"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/child"
)

func start(t *testing.T, script string) (*exec.Cmd, <-chan error, *child.Tail) {
	t.Helper()
	tail := &child.Tail{}
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Dir, cmd.Stderr = "/", tail
	child.Confine(cmd, 65534)
	ended, err := child.Start(cmd)
	require.NoError(t, err)
	return cmd, ended, tail
}

func TestAProcessHasItsOwnSessionAndNoRights(t *testing.T) {
	t.Parallel()
	cmd, ended, tail := start(t, `id -u >&2; exit 3`)
	require.EqualError(t, <-ended, "exit status 3")
	want := strconv.Itoa(os.Geteuid())
	if want == "0" {
		want = "65534"
	}
	assert.Equal(t, want, tail.String())
	assert.NotZero(t, cmd.Process.Pid)
}

func TestWhatAProcessLeavesIsKilled(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	cmd := exec.Command("/bin/sh", "-c", `sleep 600 & echo $!; exec 1>&-; sleep 600`)
	cmd.Dir, cmd.Stdout = "/", w
	child.Confine(cmd, 65534)
	ended, err := child.Start(cmd)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	buf := make([]byte, 16)
	n, err := r.Read(buf)
	require.NoError(t, err)
	left, err := strconv.Atoi(strings.TrimSpace(string(buf[:n])))
	require.NoError(t, err)
	child.End(cmd.Process, ended)
	child.Reap(cmd.Process.Pid)
	_, err = r.Read(buf) // the last writer of the pipe is gone
	assert.Error(t, err)
	assert.NotEqual(t, os.Getpid(), left)
}

func TestSweepRemovesWhatDeadServersLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mine, err := child.TempDir(dir, "x-")
	require.NoError(t, err)
	dead := filepath.Join(dir, "x-"+strconv.Itoa(1<<22+1)+"-a") // above the largest process id
	require.NoError(t, os.Mkdir(dead, 0o700))
	require.ErrorIs(t, syscall.Kill(1<<22+1, 0), syscall.ESRCH)
	child.Sweep(dir, "x-", slog.New(slog.DiscardHandler))
	assert.DirExists(t, mine)
	assert.NoDirExists(t, dead)
}

func TestTailIsTheLastLine(t *testing.T) {
	t.Parallel()
	tail := &child.Tail{}
	_, _ = tail.Write([]byte(strings.Repeat("x", 5000) + "\nthe end\n\n"))
	assert.Equal(t, "the end", tail.String())
}

// privs is what the kernel says of a process's or thread's new privileges.
func privs(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(data), "NoNewPrivs:")
	require.True(t, found, path)
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

// TestNobodyGainsPrivileges: neither the process nor what it starts, whatever
// their threads; the server itself goes on as it was, and so do its others.
func TestNobodyGainsPrivileges(t *testing.T) {
	t.Parallel()
	was := privs(t, "/proc/self/status")
	for range 8 {
		cmd := exec.Command("/bin/sh", "-c", `sleep 600 & echo $!; wait`)
		out, w, err := os.Pipe()
		require.NoError(t, err)
		cmd.Dir, cmd.Stdout = "/", w
		child.Confine(cmd, 65534)
		ended, err := child.Start(cmd)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		script, err := bufio.NewReader(out).ReadString('\n')
		require.NoError(t, err)
		for _, pid := range []string{strconv.Itoa(cmd.Process.Pid), strings.TrimSpace(script)} {
			assert.Equal(t, "1", privs(t, "/proc/"+pid+"/status"))
		}
		child.End(cmd.Process, ended)
		child.Reap(cmd.Process.Pid)
		other, err := exec.Command("/bin/grep", "NoNewPrivs", "/proc/self/status").Output()
		require.NoError(t, err)
		assert.Equal(t, "NoNewPrivs:\t"+was+"\n", string(other))
	}
}
