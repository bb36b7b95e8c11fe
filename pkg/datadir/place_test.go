package datadir

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"drpd/pkg/store/sqlite"
)

// made is the data directory of a server that has started once, and stopped.
func made(t *testing.T) Config {
	t.Helper()
	cfg := Config{Dir: filepath.Join(t.TempDir(), "data")}
	d, err := Begin(cfg)
	require.NoError(t, err)
	files := ours(t)
	files["blobs/files/a"] = []byte("a")
	for name, data := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(cfg.path(name)), 0o700))
		require.NoError(t, os.WriteFile(cfg.path(name), data, 0o600))
	}
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: cfg.At(PartDatabase)})
	require.NoError(t, err)
	_, err = d.Join(t.Context(), db, func() ([]string, error) { return []string{"ca"}, nil }, time.Now())
	require.NoError(t, err)
	require.NoError(t, db.Close())
	return cfg
}

// taken is a backup, and how to restore it.
func taken(t *testing.T) RestoreConfig {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	to := filepath.Join(t.TempDir(), "b")
	m, err := Backup(t.Context(), BackupConfig{Config: made(t), To: to, Seal: Seal{Recipient: id.Recipient().String()}, Now: time.Now()})
	require.NoError(t, err)
	return RestoreConfig{From: to, SignedBy: m.Authority, Seal: Seal{Identity: id.String()}, Now: time.Now()}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	out := []string{}
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

// whatRestoreMakes are the names in a directory that was restored.
var whatRestoreMakes = []string{"blobs", "drpd.db", "identity", "master.key", "pki", "token.key"}

func with(more ...string) []string {
	all := append(slices.Clone(whatRestoreMakes), more...)
	slices.Sort(all)
	return all
}

func mount(t *testing.T, source, dir, fstype string, flags uintptr) {
	t.Helper()
	if err := unix.Mount(source, dir, fstype, flags, ""); err != nil {
		t.Skipf("mounts are not allowed here: %v", err)
	}
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(dir, 0)) })
}

func TestRestoreInto(t *testing.T) {
	t.Parallel()
	mkdir := func(t *testing.T, path ...string) string {
		p := filepath.Join(path...)
		require.NoError(t, os.MkdirAll(p, 0o755))
		return p
	}
	for what, c := range map[string]struct {
		make func(t *testing.T, at string) string // at is an empty folder
		want []string
		err  string
	}{
		"absent":              {func(_ *testing.T, at string) string { return filepath.Join(at, "data") }, with(), ""},
		"below absent folder": {func(_ *testing.T, at string) string { return filepath.Join(at, "a", "b", "data") }, with(), ""},
		"empty":               {func(t *testing.T, at string) string { return mkdir(t, at, "data") }, with(), ""},
		"empty, with a slash": {func(t *testing.T, at string) string { return mkdir(t, at, "data") + "/" }, with(), ""},
		"a link to an empty one": {func(t *testing.T, at string) string {
			require.NoError(t, os.Symlink(mkdir(t, at, "real"), filepath.Join(at, "data")))
			return filepath.Join(at, "data")
		}, with(), ""},
		"a link to nowhere": {func(t *testing.T, at string) string {
			require.NoError(t, os.Symlink("nowhere", filepath.Join(at, "data")))
			return filepath.Join(at, "data")
		}, nil, "is a link to nowhere"},
		"a file": {func(t *testing.T, at string) string {
			require.NoError(t, os.WriteFile(filepath.Join(at, "data"), nil, 0o600))
			return filepath.Join(at, "data")
		}, nil, "is no directory"},
		"only lost+found": {func(t *testing.T, at string) string {
			mkdir(t, at, "data", "lost+found")
			return filepath.Join(at, "data")
		}, with("lost+found"), ""},
		"a lock of a start that was refused": {func(t *testing.T, at string) string {
			require.NoError(t, os.WriteFile(filepath.Join(mkdir(t, at, "data"), "drpd.db.lock"), nil, 0o600))
			return filepath.Join(at, "data")
		}, with("drpd.db.lock"), ""},
		"the root of a volume": {func(t *testing.T, at string) string {
			d := mkdir(t, at, "data")
			mount(t, "tmpfs", d, "tmpfs", 0)
			mkdir(t, d, "lost+found")
			return d
		}, with("lost+found"), ""},
		"a bind mount of the same volume": {func(t *testing.T, at string) string {
			d := mkdir(t, at, "data")
			mount(t, mkdir(t, at, "source"), d, "", unix.MS_BIND)
			return d
		}, with(), ""},
		"what a killed restore has filled": {func(t *testing.T, at string) string {
			mkdir(t, at, "data", ".restore-123", "pki")
			return filepath.Join(at, "data")
		}, with(), ""},
		"what a killed restore has moved": {func(t *testing.T, at string) string {
			mkdir(t, at, "data", "pki", "x")
			mkdir(t, at, "data", ".restore-moving", "blobs")
			mkdir(t, at, "data", ".restore-moving", PartIdentity)
			return filepath.Join(at, "data")
		}, with(), ""},
		"what a killed restore has moved, and more": {func(t *testing.T, at string) string {
			mkdir(t, at, "data", "pki")
			mkdir(t, at, "data", "mine")
			mkdir(t, at, "data", ".restore-moving", "blobs")
			mkdir(t, at, "data", ".restore-moving", PartIdentity)
			return filepath.Join(at, "data")
		}, nil, "is not empty (mine)"},
		"parts of a server": {func(t *testing.T, at string) string {
			mkdir(t, at, "data", "pki")
			return filepath.Join(at, "data")
		}, nil, "is not empty (pki): name an empty directory"},
		"many files": {func(t *testing.T, at string) string {
			for _, n := range strings.Fields("a b c d e f g") {
				mkdir(t, at, "data", n)
			}
			return filepath.Join(at, "data")
		}, nil, "is not empty (a, b, c, d, e and 2 more)"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			cfg := taken(t)
			cfg.Dir = c.make(t, t.TempDir())
			_, err := Restore(t.Context(), cfg)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.want, names(t, cfg.Dir))
			_, err = Begin(Config{Dir: cfg.Dir})
			assert.NoError(t, err, "a server starts on it")
			left, err := filepath.Glob(filepath.Join(filepath.Dir(cfg.Dir), ".restore-*"))
			require.NoError(t, err)
			assert.Empty(t, left)
			_, err = Restore(t.Context(), cfg)
			assert.ErrorContains(t, err, "is not empty (", "a second time")
		})
	}
}

// What is restored belongs to the owner of the directory, and only root or that
// user may put it there.
func TestRestoreKeepsTheOwner(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		user, owner int
		want        bool
	}{{0, 0, true}, {0, 1000, true}, {1000, 1000, true}, {1000, 0, false}, {1000, 1001, false}} {
		assert.Equal(t, c.want, mayGive(c.user, c.owner), "%d into a directory of %d", c.user, c.owner)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	cfg := taken(t)
	cfg.Dir = t.TempDir()
	require.NoError(t, os.Chown(cfg.Dir, 12345, 54321))
	_, err := Restore(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, filepath.WalkDir(cfg.Dir, func(path string, e fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := e.Info()
		require.NoError(t, err)
		st := info.Sys().(*syscall.Stat_t)
		assert.Equal(t, [2]uint32{12345, 54321}, [2]uint32{st.Uid, st.Gid}, path)
		assert.Zero(t, info.Mode().Perm()&0o077, path)
		return nil
	}))
}

// While the parts move, nothing starts on the directory and no second restore
// runs into it; another one after a kill makes it whole.
func TestRestoreKilledWhileItMoves(t *testing.T) {
	t.Parallel()
	cfg := taken(t)
	whole := filepath.Join(t.TempDir(), "whole")
	cfg.Dir = whole
	_, err := Restore(t.Context(), cfg)
	require.NoError(t, err)
	for n := range len(whatRestoreMakes) { // identity goes last
		dir := t.TempDir()
		require.NoError(t, os.CopyFS(filepath.Join(dir, moving), os.DirFS(whole)))
		order := slices.DeleteFunc(with(), func(s string) bool { return s == PartIdentity })
		for _, name := range order[:n] {
			require.NoError(t, os.Rename(filepath.Join(dir, moving, name), filepath.Join(dir, name)))
		}
		_, err := Begin(Config{Dir: dir})
		require.ErrorContains(t, err, "was cut short: run it again", n)
		require.ErrorContains(t, AcceptLoss(Config{Dir: dir}, []string{PartIdentity}, nil, "me", time.Now()), "was cut short", n)
		cfg.Dir = dir
		_, err = Restore(t.Context(), cfg)
		require.NoError(t, err, n)
		assert.Equal(t, with(), names(t, dir), n)
	}
}

// A restore that was killed when all parts had moved leaves its empty folder. A
// server that starts there and loses its identity later is no half restore.
func TestServerAfterAKilledRestore(t *testing.T) {
	t.Parallel()
	cfg := taken(t)
	cfg.Dir = t.TempDir()
	_, err := Restore(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(cfg.Dir, moving), 0o700))
	_, err = Begin(Config{Dir: cfg.Dir})
	require.NoError(t, err)
	later := filepath.Join(cfg.Dir, PartBlobs, "later")
	require.NoError(t, os.WriteFile(later, []byte("x"), 0o600))
	require.NoError(t, os.Remove(filepath.Join(cfg.Dir, PartIdentity)))
	_, err = Begin(Config{Dir: cfg.Dir})
	assert.True(t, Has(err, PartIdentity), err)
	_, err = Restore(t.Context(), cfg)
	assert.ErrorContains(t, err, "is not empty")
	assert.FileExists(t, later)
}

func TestOneRestoreAtATime(t *testing.T) {
	t.Parallel()
	cfg := taken(t)
	cfg.Dir = t.TempDir()
	first, err := openPlace(cfg.Dir)
	require.NoError(t, err)
	_, err = Restore(t.Context(), cfg)
	require.ErrorContains(t, err, "another drpd restore or backup is at work there")
	first.close()
	_, err = Restore(t.Context(), cfg)
	require.NoError(t, err)

	// Beside one that is not there: what is under way is left alone, what was
	// killed is removed.
	at := t.TempDir()
	p := &place{dir: filepath.Join(at, "data")}
	killed := filepath.Join(at, p.prefix()+"1")
	require.NoError(t, os.Mkdir(killed, 0o700))
	err = p.fill(t.Context(), func(_ context.Context, tmp string) error {
		assert.NoDirExists(t, killed)
		require.NoError(t, (&place{dir: p.dir}).clear())
		assert.DirExists(t, tmp)
		return os.Mkdir(p.dir, 0o700) // somebody was faster
	})
	assert.ErrorIs(t, err, fs.ErrExist)
	assert.Equal(t, []string{"data"}, names(t, at))
}

// TestNoBackupInItsOwnDirectory: neither by its name nor by a link to it.
func TestNoBackupInItsOwnDirectory(t *testing.T) {
	t.Parallel()
	cfg := made(t)
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(cfg.Dir, link))
	for _, dir := range []string{cfg.Dir, link, filepath.Join(cfg.Dir, PartBlobs), filepath.Join(link, PartBlobs)} {
		_, err := Backup(t.Context(), BackupConfig{Config: cfg, To: filepath.Join(dir, "b"), Seal: Seal{Passphrase: "a long passphrase"}, Now: time.Now()})
		assert.ErrorContains(t, err, "is in the data directory", dir)
	}
}
