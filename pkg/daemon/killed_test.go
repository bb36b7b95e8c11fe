package daemon_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"drpd/pkg/api"
	"drpd/pkg/client"
	"drpd/pkg/daemon"
	"drpd/pkg/datadir"
	"drpd/pkg/resource"
)

// childEnv tells a process of this test binary what to do until it is killed.
const childEnv = "DRPD_TEST_CHILD"

type childTask struct {
	Do       string // backup, restore, rotate
	Dir, At  string // the data directory; the file of the backup
	Age, Key string // recipient and identity
	By       string // whose backup
}

// TestChild is not a test but what is killed by those below.
func TestChild(t *testing.T) {
	data := os.Getenv(childEnv)
	if data == "" {
		t.Skip("only as a child of other tests")
	}
	var c childTask
	require.NoError(t, json.Unmarshal([]byte(data), &c))
	var do func() error
	switch c.Do {
	case "backup":
		do = func() error {
			_, err := datadir.Backup(t.Context(), datadir.BackupConfig{Config: datadir.Config{Dir: c.Dir}, To: c.At, Seal: datadir.Seal{Recipient: c.Age}, Now: time.Now()})
			return err
		}
	case "restore":
		do = func() error {
			_, err := datadir.Restore(t.Context(), datadir.RestoreConfig{From: c.At, Dir: c.Dir, SignedBy: c.By, Seal: datadir.Seal{Identity: c.Key}, Now: time.Now()})
			return err
		}
	case "rotate":
		d, err := daemon.Open(t.Context(), daemon.Config{DataDir: c.Dir, Offline: true})
		require.NoError(t, err)
		defer d.Close()
		do = func() error { return rotateAll(t, d) }
	}
	os.Stdout.WriteString("ready\n")
	_, err := os.Stdin.Read(make([]byte, 1))
	require.NoError(t, err)
	require.NoError(t, do())
}

func rotateAll(t *testing.T, d *daemon.Daemon) error {
	for _, what := range []string{"master-key", "token-key", "ca"} {
		if r := d.Admin(t.Context(), "rotate", map[string]string{"what": what}); r.Error != "" && !strings.Contains(r.Error, "is accepted until") {
			return errors.New(what + ": " + r.Error)
		}
	}
	return nil
}

// killAt has a child do it and kills it when so many things have happened to
// files below the folders; never if n is 0. It returns how many did happen, and whether it came to no end.
func killAt(t *testing.T, c childTask, n int, folders ...string) (seen int, killed bool) {
	t.Helper()
	data, err := json.Marshal(c)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.count=1")
	cmd.Env = append(os.Environ(), childEnv+"="+string(data))
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, _ := bufio.NewReader(out).ReadString('\n')
	require.Equal(t, "ready\n", line)
	w := watch(t, folders, func(seen int) {
		if seen == n {
			_ = cmd.Process.Kill()
		}
	})
	_, err = in.Write([]byte("\n"))
	require.NoError(t, err)
	err = cmd.Wait()
	if n == 0 {
		require.NoError(t, err)
	}
	return w(), err != nil
}

// watch calls fn after each event below the folders with their number so far,
// and returns what ends it and tells the number.
func watch(t *testing.T, folders []string, fn func(seen int)) func() int {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	require.NoError(t, err)
	f := os.NewFile(uintptr(fd), "inotify")
	const all = unix.IN_CREATE | unix.IN_MODIFY | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_DELETE | unix.IN_CLOSE_WRITE | unix.IN_ATTRIB
	var mu sync.Mutex
	add := func(root string) {
		_ = filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				_, _ = unix.InotifyAddWatch(fd, path, all)
			}
			return nil // it may be gone again
		})
	}
	for _, d := range folders {
		add(d)
	}
	seen, ended := 0, make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 64<<10)
		for {
			size, err := f.Read(buf)
			if err != nil {
				return
			}
			for at := 0; at+unix.SizeofInotifyEvent <= size; {
				length := int(buf[at+12]) | int(buf[at+13])<<8
				dir := buf[at+7]&(unix.IN_ISDIR>>24) != 0
				at += unix.SizeofInotifyEvent + length
				if dir {
					for _, d := range folders {
						add(d)
					}
				}
				mu.Lock()
				seen++
				fn(seen)
				mu.Unlock()
			}
		}
	}()
	return func() int {
		f.Close()
		<-ended
		return seen
	}
}

// spread are n numbers from 1 to most.
func spread(n, most int) []int {
	var out []int
	for i := range min(n, most) {
		out = append(out, 1+i*(most-1)/max(min(n, most)-1, 1))
	}
	return out
}

// each kills a child at so many instants, a few at a time; fn says whether it was.
func each(t *testing.T, n, most int, fn func(t *testing.T, at int) (killed bool)) {
	t.Helper()
	var g sync.WaitGroup
	var killed atomic.Int64
	slots := make(chan struct{}, 3)
	for _, at := range spread(n, most) {
		g.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if fn(t, at) {
				killed.Add(1)
			}
		})
	}
	g.Wait()
	t.Logf("%d of %d children were killed in the middle, of %d events", killed.Load(), n, most)
	assert.Greater(t, killed.Load(), int64(1), "the others were done before")
}

const kills = 10 // of each kind

// A backup that is killed is there whole or not at all, the server is untouched,
// and the next one removes what was left.
func TestKilledBackup(t *testing.T) {
	t.Parallel()
	dir, seal := settled(t), ageSeal(t)
	task := childTask{Do: "backup", Dir: dir, At: filepath.Join(t.TempDir(), "b"), Age: seal.Recipient}
	most, _ := killAt(t, task, 0, filepath.Dir(task.At))
	require.Greater(t, most, 5)
	each(t, kills, most, func(t *testing.T, at int) bool {
		to := t.TempDir()
		mine := task
		mine.At = filepath.Join(to, "b")
		_, killed := killAt(t, mine, at, to)
		if _, err := os.Stat(mine.At); err == nil {
			opens(t, restoreTo(t, mine.At, authorityOf(t, mine.Dir), seal))
		}
		left, err := filepath.Glob(filepath.Join(to, ".drpd-backup-*"))
		require.NoError(t, err)
		for _, l := range left { // whole, but for its name, or refused
			where := filepath.Join(t.TempDir(), "x")
			if _, err := datadir.Restore(t.Context(), datadir.RestoreConfig{From: l, Dir: where, SignedBy: authorityOf(t, mine.Dir), Seal: datadir.Seal{Identity: seal.Identity}, Now: time.Now()}); err == nil {
				opens(t, where)
			} else {
				assert.NoDirExists(t, where)
			}
		}
		mine.At += "2"
		killAt(t, mine, 0)
		opens(t, restoreTo(t, mine.At, authorityOf(t, mine.Dir), seal))
		left, err = filepath.Glob(filepath.Join(to, ".drpd-backup-*"))
		require.NoError(t, err)
		assert.Empty(t, left, "killed at %d of %d", at, most)
		return killed
	})
}

// opens says that a restored directory is whole.
func opens(t *testing.T, dir string) {
	t.Helper()
	d, err := daemon.Open(t.Context(), daemon.Config{DataDir: dir, Offline: true})
	if !assert.NoError(t, err) {
		return
	}
	defer d.Close()
	assert.NotNil(t, api.Machines.One(d.DB.View(), api.ByName, "n1"))
	assert.True(t, api.Files.Has(d.DB.View(), "files/a"))
	s, err := datadir.Servers.Get(d.DB.View(), datadir.Self)
	assert.NoError(t, err)
	assert.NotNil(t, s.Restored, "it is not active")
}

// A restore that is killed leaves nothing on which a server starts, or all of it.
func TestKilledRestore(t *testing.T) {
	t.Parallel()
	seal := ageSeal(t)
	dir := settled(t)
	for i := range 40 {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "blobs", "files", "more"+strconv.Itoa(i)), make([]byte, 4096), 0o600))
	}
	file, by := backUp(t, dir, seal)
	task := childTask{Do: "restore", At: file, By: by, Key: seal.Identity}
	for what, there := range map[string]bool{"absent": false, "empty": true} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			place := func(t *testing.T) (childTask, string) {
				mine, parent := task, t.TempDir()
				if mine.Dir = filepath.Join(parent, "data"); there {
					require.NoError(t, os.Mkdir(mine.Dir, 0o700))
				}
				return mine, parent
			}
			first, parent := place(t)
			most, _ := killAt(t, first, 0, parent)
			opens(t, first.Dir)
			require.Greater(t, most, 20)
			each(t, kills, most, func(t *testing.T, at int) bool {
				mine, parent := place(t)
				_, killed := killAt(t, mine, at, parent)
				_, err := os.Stat(filepath.Join(mine.Dir, datadir.PartIdentity))
				if whole := err == nil; !whole {
					if list, _ := os.ReadDir(mine.Dir); len(list) > 0 {
						_, err := datadir.Begin(datadir.Config{Dir: mine.Dir})
						assert.Error(t, err, "killed at %d of %d", at, most)
					}
					killAt(t, mine, 0)
				}
				opens(t, mine.Dir)
				left, err := filepath.Glob(filepath.Join(parent, ".restore-*"))
				require.NoError(t, err)
				assert.Empty(t, left, "killed at %d of %d", at, most)
				return killed
			})
		})
	}
}

// A rotation that is killed goes on at the next start; nobody who holds what was
// good before is cut off, and every secret is readable.
func TestKilledRotation(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	d, c, stop := server(t, dir)
	withSecret(t, c)
	password, old := d.FirstPassword, d.Fingerprint()
	token, err := c.GrantToken(t.Context(), "users", "rocketskates", "1h")
	require.NoError(t, err)
	for i := range 20 { // a few more keys to encrypt anew
		_, err := client.Create(t.Context(), c, api.Profiles, &api.Profile{Name: "p" + string(rune('a'+i)), Params: resource.Params{"ipmi/password": "x"}})
		require.NoError(t, err)
	}
	stop()
	run := func(at int) (string, int, bool) {
		mine := childTask{Do: "rotate", Dir: filepath.Join(t.TempDir(), "data")}
		copyTree(t, dir, mine.Dir)
		seen, killed := killAt(t, mine, at, mine.Dir)
		return mine.Dir, seen, killed
	}
	_, most, _ := run(0)
	require.Greater(t, most, 10)
	each(t, kills, most, func(t *testing.T, at int) bool {
		is, _, killed := run(at)
		d, _, stop := server(t, is)
		defer stop()
		assert.Equal(t, 1, daemon.MasterKeys(d), "killed at %d of %d", at, most)
		for _, cfg := range []client.Config{{CAFingerprint: old, Token: token}, {CAFingerprint: d.Fingerprint(), User: "rocketskates", Password: password}} {
			cfg.Endpoint, cfg.AnyName, cfg.Retries = d.APIURL("127.0.0.1"), true, -1
			n, err := client.New(cfg)
			require.NoError(t, err)
			assert.Equal(t, "planted", secretOf(t, n), "killed at %d of %d", at, most)
			n.Close()
		}
		assert.NoError(t, rotateAll(t, d))
		return killed
	})
}
