//go:build linux

package keeper_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"drpd/pkg/child"
	"drpd/pkg/keeper"
)

// TestMain lets the test's own program be the first process of a cell, the
// runner in it, a keeper and its server.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == keeper.StageCmd:
		fmt.Fprintln(os.Stderr, "error:", keeper.Stage(os.Args[2:]))
		os.Exit(1)
	case len(os.Args) > 1 && os.Args[1] == "context-runner":
		attack(os.Getenv("ATTACK"))
	case len(os.Args) > 1 && os.Args[1] == "serve":
		serve(os.Args)
	}
	os.Exit(m.Run())
}

func root(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can confine processes")
	}
}

// run has a shell script run as a plugin's program would, and returns what it
// printed.
func run(t *testing.T, k child.Keeper, script string, env ...string) (string, error) {
	t.Helper()
	cell, err := k.Open()
	require.NoError(t, err)
	defer func() { assert.NoError(t, k.Close(cell)) }()
	path := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/bash\nexec 2>&1\n"+script), 0o755))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	out := &bytes.Buffer{}
	ended, err := child.Start(k, cell, child.Program{File: f, Args: []string{"program"}, Env: append(env, "PATH="+child.Path)}, out, nil)
	require.NoError(t, err)
	select {
	case err = <-ended:
	case <-time.After(30 * time.Second):
		child.End(k, cell, ended)
		require.Fail(t, "the program did not end", out)
	}
	return strings.TrimSpace(out.String()), err
}

func direct(t *testing.T, hide ...string) *keeper.Direct {
	t.Helper()
	root(t)
	k := keeper.NewDirect(keeper.Config{Hide: hide})
	t.Cleanup(k.CloseAll)
	return k
}

func TestWhatACellCannot(t *testing.T) {
	t.Parallel()
	data, err := os.MkdirTemp("/opt", "drpd-test-") // not below what is covered anyway
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(data) })
	require.NoError(t, os.Chmod(data, 0o777))
	require.NoError(t, os.WriteFile(filepath.Join(data, "token.key"), []byte("secret"), 0o666))
	k := direct(t, data)
	// Whoever started the server may have left a file open, of any number.
	left, err := unix.Open(filepath.Join(data, "token.key"), unix.O_RDONLY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(left) })
	for name, c := range map[string]struct{ script, want string }{
		"find open files":              {"ls /proc/self/fd | xargs", "0 1 2 3"}, // 3 is what ls reads
		"read the data directory":      {"cat " + data + "/token.key", "Permission denied"},
		"look into it":                 {"ls " + data, "Permission denied"},
		"write into it":                {"touch " + data + "/x", "Permission denied"},
		"see other processes":          {"[ $(ls -d /proc/[0-9]* | wc -l) -lt 8 ] && echo few", "few"},
		"see the server's":             {fmt.Sprintf("cat /proc/%d/environ", os.Getpid()), "No such file"},
		"look into the first process":  {"cat /proc/1/environ", "Permission denied"},
		"take its files":               {"ls /proc/1/fd", "Permission denied"},
		"signal the first process":     {"kill -9 1; sleep 0.1; echo $?", "0"},
		"read files of root":           {"cat /etc/shadow", "Permission denied"},
		"write elsewhere":              {"touch /var/tmp/x", "Read-only file system"},
		"write elsewhere as anybody":   {"touch " + filepath.Dir(data) + "/x", "Read-only file system"},
		"change the kernel's settings": {"echo 1 > /proc/sys/kernel/panic", "Permission denied"},
		"see the system's services":    {"ls /run/drpd", "No such file"},
		"see devices":                  {"ls /dev | xargs", "fd full null random shm stderr stdin stdout urandom zero"},
		"have capabilities":            {"grep -hE 'Cap|NoNewPrivs|Seccomp:' /proc/self/status /proc/1/status | tr -d '\\t' | sort -u | xargs", "CapAmb:0000000000000000 CapBnd:0000000000000000 CapEff:0000000000000000 CapInh:0000000000000000 CapPrm:0000000000000000 NoNewPrivs:1 Seccomp:2"},
		"have groups":                  {"[ $(id -u) = $(id -G) ] && id -u | head -c 2", "86"},
		"be asked for more by ulimit":  {"ulimit -n 5000; ulimit -n; ulimit -u; ulimit -d; ulimit -c", "4096\n1024\n2097152\n0"},
		"mount":                        {"mount -t tmpfs x /tmp", "must be superuser"},
		"leave its namespaces":         {"unshare -U true; unshare -r true; nsenter -t 1 -m true", "Operation not permitted"},
		"become root by a program":     {"su -c id </dev/null", "u"},
		"have the environment":         {"unset PWD SHLVL _ OLDPWD; env", "PATH=" + child.Path},
		"find others' files":           {"ls -A /tmp; echo nothing", "nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, _ := run(t, k, c.script)
			assert.Contains(t, out, c.want)
			assert.NotContains(t, out, "secret")
		})
	}
	assert.NoFileExists(t, filepath.Join(data, "x"))
}

// attack is what a runner's own program tries by system calls.
func attack(what string) {
	var errno syscall.Errno
	call := func(nr uintptr, args ...uintptr) {
		args = append(args, 0, 0, 0, 0, 0, 0)
		_, _, errno = syscall.RawSyscall6(nr, args[0], args[1], args[2], args[3], args[4], args[5])
	}
	switch what {
	case "ptrace":
		call(unix.SYS_PTRACE, unix.PTRACE_TRACEME)
	case "clone":
		call(unix.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD))
	case "clone3":
		call(unix.SYS_CLONE3)
	case "setns":
		call(unix.SYS_SETNS)
	case "bpf":
		call(unix.SYS_BPF)
	case "packet":
		call(unix.SYS_SOCKET, unix.AF_PACKET, unix.SOCK_RAW)
	case "vsock":
		call(unix.SYS_SOCKET, unix.AF_VSOCK, unix.SOCK_STREAM)
	case "raw":
		call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)
	case "uring":
		call(unix.SYS_IO_URING_SETUP, 1)
	case "fsopen":
		call(unix.SYS_FSOPEN)
	case "handle":
		call(unix.SYS_OPEN_BY_HANDLE_AT)
	case "keyctl":
		call(unix.SYS_KEYCTL)
	case "bomb":
		n := 0
		for ; n < 3000; n++ {
			if _, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "60"}, nil); err != nil {
				break
			}
		}
		fmt.Println(n < 1100)
		os.Exit(0)
	case "inherited":
		list, err := os.ReadDir("/proc/self/fd")
		for _, e := range list {
			if to, _ := os.Readlink("/proc/self/fd/" + e.Name()); strings.Contains(to, "inherited-") {
				fmt.Println(e.Name(), to)
			}
		}
		fmt.Println("read", len(list) > 0, err)
		os.Exit(0)
	case "fill":
		f, _ := os.Create("/tmp/big")
		n, err := int64(0), error(nil)
		for chunk := make([]byte, 16<<20); err == nil && n < 2<<30; n += int64(len(chunk)) {
			_, err = f.Write(chunk)
		}
		fmt.Println(err != nil)
		os.Exit(0)
	}
	fmt.Println(errno)
	os.Exit(0)
}

func TestSystemCallsThatAreRefused(t *testing.T) {
	t.Parallel()
	k := direct(t)
	const no, unknown = "operation not permitted", "function not implemented"
	for what, want := range map[string]string{"ptrace": no, "clone": no, "clone3": unknown, "setns": no, "bpf": no, "raw": no, "fsopen": no, "handle": no, "keyctl": no,
		"uring": unknown, "packet": "address family not supported by protocol", "vsock": "address family not supported by protocol", "bomb": "true"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			cell, err := k.Open()
			require.NoError(t, err)
			defer func() { assert.NoError(t, k.Close(cell)) }()
			out := &bytes.Buffer{}
			ended, err := child.Start(k, cell, child.Program{Env: []string{"ATTACK=" + what}}, out, nil)
			require.NoError(t, err)
			require.NoError(t, <-ended, out)
			assert.Equal(t, want+"\n", out.String())
		})
	}
}

// TestCellsDoNotShare: neither user nor files, and what one left ends with it.
func TestCellsDoNotShare(t *testing.T) {
	t.Parallel()
	k := direct(t)
	a, err := k.Open()
	require.NoError(t, err)
	b, err := k.Open()
	require.NoError(t, err)
	assert.NotEqual(t, a.User, b.User)
	require.NoError(t, os.WriteFile(a.Path("secret"), []byte("x"), 0o666))
	assert.NoFileExists(t, b.Path("secret"))
	require.NoError(t, k.Close(b))
	require.NoError(t, k.Close(a))
	const mark = "60062.5"
	_, err = run(t, k, "setsid sleep "+mark+" & disown; exit 3")
	require.EqualError(t, err, "exit status 3")
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range all {
		line, _ := os.ReadFile(p)
		assert.NotEqual(t, "sleep\x00"+mark+"\x00", string(line))
	}
}

// leave opens a file that only root may read like a shell does before it starts
// a program: at a number that stages use, and at others.
func leave(t *testing.T) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "inherited-secret")
	require.NoError(t, os.WriteFile(path, []byte("secret"), 0o600))
	for range 8 {
		fd, err := syscall.Open(path, syscall.O_RDONLY, 0) // no O_CLOEXEC
		require.NoError(t, err)
		t.Cleanup(func() { syscall.Close(fd) })
	}
}

const listInherited = "for f in /proc/self/fd/*; do readlink $f; done | grep inherited-; for i in {4..60}; do cat <&$i; done 2>/dev/null | grep -a secret; echo done"

// TestInheritedDescriptors: what was open in whoever started us is open in no cell.
func TestInheritedDescriptors(t *testing.T) {
	k := direct(t)
	leave(t)
	out, err := run(t, k, listInherited)
	require.NoError(t, err)
	assert.Equal(t, "done", out, "a plugin")
	cell, err := k.Open()
	require.NoError(t, err)
	defer func() { assert.NoError(t, k.Close(cell)) }()
	said := &bytes.Buffer{}
	ended, err := child.Start(k, cell, child.Program{Env: []string{"ATTACK=inherited"}}, said, nil)
	require.NoError(t, err)
	require.NoError(t, <-ended)
	assert.Equal(t, "read true <nil>\n", said.String(), "a runner")
}

// TestServerInheritsNothing: the keeper's starter may have been root; the server is not.
func TestServerInheritsNothing(t *testing.T) {
	root(t)
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.Mkdir(dir, 0o755))
	for up := filepath.Dir(dir); strings.Contains(up, "Test"); up = filepath.Dir(up) {
		require.NoError(t, os.Chmod(up, 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "program"), []byte("#!/bin/bash\n"+listInherited+"; sleep 600"), 0o755))
	secret := filepath.Join(t.TempDir(), "inherited-secret")
	require.NoError(t, os.WriteFile(secret, []byte("secret"), 0o600))
	test, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command("/bin/bash", "-c", `exec 9<"$2"; exec "$0" serve "$1"`, test, dir, secret)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	buf := make([]byte, 256)
	n, err := out.Read(buf)
	require.NoError(t, err)
	assert.Equal(t, "done\n", string(buf[:n]))
	server := childOf(t, cmd.Process.Pid)
	all, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", server))
	require.NoError(t, err)
	require.NotEmpty(t, all)
	for _, p := range all {
		to, _ := os.Readlink(p)
		assert.NotContains(t, to, "inherited-")
	}
}

// serve is a server with its keeper above: it has one cell run and tells of it.
func serve(args []string) {
	k, err := keeper.Kept()
	if k == nil && err == nil {
		code, err := keeper.Run(keeper.ServerConfig{Args: args, DataDir: args[2], Ours: func(string) error { return nil }, Caps: []uintptr{unix.CAP_NET_BIND_SERVICE}, Log: slog.New(slog.DiscardHandler)})
		fmt.Println("keeper ends", code, err)
		os.Exit(code)
	}
	cell, err := k.Open()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	program, err := os.Open(filepath.Join(args[2], "program"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if _, err = child.Start(k, cell, child.Program{File: program, Args: []string{"program"}, Env: []string{"PATH=" + child.Path}}, os.Stdout, nil); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	select {} // it does not look whether its keeper is there
}

func TestKeeperAndServerEndTogether(t *testing.T) {
	t.Parallel()
	root(t)
	for _, victim := range []string{"keeper", "server"} {
		t.Run(victim, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			require.NoError(t, os.Mkdir(dir, 0o755))
			for up := filepath.Dir(dir); up != "/"; up = filepath.Dir(up) {
				if strings.Contains(up, "Test") {
					require.NoError(t, os.Chmod(up, 0o755))
				}
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, "program"), []byte("#!/bin/bash\nid -u; sleep 600"), 0o755))
			out, w, err := os.Pipe()
			require.NoError(t, err)
			cmd := exec.Command("/proc/self/exe", "serve", dir)
			cmd.Stdout, cmd.Stderr = w, w
			require.NoError(t, cmd.Start())
			require.NoError(t, w.Close())
			require.NoError(t, out.SetReadDeadline(time.Now().Add(30*time.Second)))
			buf := make([]byte, 256)
			n, err := out.Read(buf)
			require.NoError(t, err)
			require.Regexp(t, "^86[0-9]{3}\n$", string(buf[:n]))
			server := childOf(t, cmd.Process.Pid)
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", server))
			require.NoError(t, err)
			for _, want := range []string{"CapEff:\t0000000000000400\n", "CapBnd:\t0000000000000400\n", "NoNewPrivs:\t1\n", "Groups:\t \n"} {
				assert.Contains(t, string(status), want)
			}
			pid := map[string]int{"keeper": cmd.Process.Pid, "server": server}[victim]
			require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
			said := &bytes.Buffer{}
			_, err = said.ReadFrom(out)
			require.NoError(t, err, "all writers are gone: keeper, server, and what ran in the cell")
			err = cmd.Wait()
			if victim == "server" {
				assert.EqualError(t, err, "exit status 137")
			}
		})
	}
}

func childOf(t *testing.T, pid int) int {
	t.Helper()
	all, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, p := range all {
		data, _ := os.ReadFile(p)
		for _, f := range strings.Fields(string(data)) {
			if line, _ := os.ReadFile("/proc/" + f + "/cmdline"); bytes.Contains(line, []byte("serve")) {
				n, err := strconv.Atoi(f)
				require.NoError(t, err)
				return n
			}
		}
	}
	require.Fail(t, "no server")
	return 0
}

func TestNobodyConfines(t *testing.T) {
	t.Parallel()
	_, err := child.None{}.Open()
	assert.ErrorIs(t, err, child.ErrRefused)
	k, err := keeper.Kept()
	assert.NoError(t, err)
	assert.Nil(t, k)
}

// TestOwnFollowsNothing: links stay whose they are.
func TestOwnFollowsNothing(t *testing.T) {
	t.Parallel()
	root(t)
	dir := t.TempDir()
	in, out, other := filepath.Join(dir, "in"), filepath.Join(dir, "out"), filepath.Join(dir, "other")
	require.NoError(t, os.MkdirAll(filepath.Join(in, "sub"), 0o755))
	for _, p := range []string{out, other, filepath.Join(in, "sub", "file")} {
		require.NoError(t, os.WriteFile(p, nil, 0o600))
	}
	require.NoError(t, os.Symlink(other, filepath.Join(in, "soft")))
	require.NoError(t, os.Link(out, filepath.Join(in, "hard")))
	require.NoError(t, keeper.Own(in, keeper.Account{UID: 86000, GID: 86000}))
	for path, want := range map[string]int{out: 0, other: 0, in: 86000, filepath.Join(in, "sub", "file"): 86000} {
		who, err := keeper.OwnerOf(path)
		require.NoError(t, err)
		assert.Equal(t, want, who.UID, path)
	}
}

// TestADirectoryOfOthersIsLeft: what is refused keeps its owner and its mode.
func TestADirectoryOfOthersIsLeft(t *testing.T) {
	t.Parallel()
	root(t)
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))
	as := keeper.Account{UID: 86000, GID: 86000}
	for _, path := range []string{dir, link} {
		_, err := keeper.Prepare(path, as, func(got string) error {
			assert.Equal(t, dir, got)
			return errors.New("of others")
		})
		assert.ErrorContains(t, err, "of others")
	}
	info, err := os.Stat(dir)
	require.NoError(t, err)
	who, err := keeper.OwnerOf(dir)
	require.NoError(t, err)
	assert.Equal(t, 0, who.UID)
	assert.Equal(t, fs.FileMode(0o755), info.Mode().Perm())
}

// TestNothingIsTakenFromOthers: an empty directory is no server's, but may be
// somebody's, or everybody's.
func TestNothingIsTakenFromOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("root is needed")
	}
	const server, somebody = 4321, 1000
	free := func(string) error { return nil }
	for name, c := range map[string]struct {
		owner int
		mode  fs.FileMode
		as    int
		err   string
	}{
		"root's":                  {0, 0o755, server, ""},
		"the server's":            {server, 0o700, server, ""},
		"of before it had a name": {keeper.ServerUser, 0o700, server, ""},
		"a user's":                {somebody, 0o755, server, "belongs to user 1000"},
		"a user's, for root":      {somebody, 0o755, 0, ""},
		"everybody's":             {0, 0o777 | fs.ModeSticky, server, "is one that users share"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.Chown(dir, c.owner, c.owner))
			require.NoError(t, os.Chmod(dir, c.mode))
			_, err := keeper.Prepare(dir, keeper.Account{Name: "drpd", UID: c.as, GID: c.as}, free)
			if c.err == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.err)
			who, err := keeper.OwnerOf(dir)
			require.NoError(t, err)
			assert.Equal(t, c.owner, who.UID)
			info, err := os.Stat(dir)
			require.NoError(t, err)
			assert.Equal(t, c.mode, info.Mode()&(fs.ModePerm|fs.ModeSticky))
		})
	}
}
