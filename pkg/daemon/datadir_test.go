package daemon_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/client"
	"drpd/pkg/daemon"
	"drpd/pkg/datadir"
	"drpd/pkg/resource"
	"drpd/pkg/store"
	"drpd/pkg/store/sqlite"
)

// settled is a data directory with something in it, of a server that has ended.
func settled(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	_, c, stop := server(t, dir)
	_, err := client.Create(t.Context(), c, api.Machines, &api.Machine{Name: "n1"})
	require.NoError(t, err)
	_, err = c.UploadFile(t.Context(), client.Upload{Area: "files", Path: "a", Body: strings.NewReader("x"), Size: 1})
	require.NoError(t, err)
	stop()
	return dir
}

// tree is every file below dir with its content, but for those that any start
// may touch.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || strings.HasSuffix(path, ".lock") || strings.HasSuffix(path, "-shm") || strings.HasSuffix(path, "-wal") {
			return err
		}
		data, err := os.ReadFile(path)
		out[path] = string(data)
		return err
	}))
	return out
}

// copyTree copies a directory as cp -a does.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	require.NoError(t, os.CopyFS(to, os.DirFS(from)))
	require.NoError(t, filepath.WalkDir(to, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			err = os.Chmod(path, 0o600)
		}
		return err
	}))
}

func refused(t *testing.T, dir string) error {
	t.Helper()
	before := tree(t, dir)
	d, err := daemon.Open(t.Context(), daemon.Config{DataDir: dir})
	if !assert.Error(t, err) {
		require.NoError(t, d.Close())
		return nil
	}
	assert.Equal(t, before, tree(t, dir), "a start that is refused changes nothing")
	return err
}

var parts = []string{"identity", "drpd.db", "master.key", "token.key", "pki", "blobs"}

// damages are what can happen to a part; other is the directory of another
// server, and older one of this server from before its keys were rotated.
func damages(other string) map[string]func(t *testing.T, path, part string) {
	gone := func(t *testing.T, path string) {
		require.NoError(t, os.RemoveAll(path))
		for _, s := range []string{"-wal", "-shm"} {
			require.NoError(t, os.RemoveAll(path+s))
		}
	}
	return map[string]func(t *testing.T, path, part string){
		"missing": func(t *testing.T, path, _ string) { gone(t, path) },
		"empty": func(t *testing.T, path, part string) {
			gone(t, path)
			if part == "pki" || part == "blobs" {
				require.NoError(t, os.Mkdir(path, 0o700))
				return
			}
			require.NoError(t, os.WriteFile(path, nil, 0o600))
		},
		"foreign": func(t *testing.T, path, part string) {
			gone(t, path)
			from := filepath.Join(other, part)
			if part == "pki" || part == "blobs" {
				copyTree(t, from, path)
				return
			}
			data, err := os.ReadFile(from)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, data, 0o600))
		},
		"of the other type": func(t *testing.T, path, part string) {
			gone(t, path)
			if part == "pki" || part == "blobs" {
				require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
				return
			}
			require.NoError(t, os.Mkdir(path, 0o700))
		},
		"a link to nowhere": func(t *testing.T, path, _ string) {
			gone(t, path)
			require.NoError(t, os.Symlink("/nowhere/at/all", path))
		},
		"a bare key or folder": func(t *testing.T, path, part string) {
			gone(t, path)
			switch part {
			case "pki", "blobs":
				require.NoError(t, os.Mkdir(path, 0o700))
				require.NoError(t, os.WriteFile(filepath.Join(path, "x"), nil, 0o600))
			default:
				require.NoError(t, os.WriteFile(path, make([]byte, 32), 0o600))
			}
		},
	}
}

func TestAStartWithAPartThatIsNotRightIsRefused(t *testing.T) {
	t.Parallel()
	whole, other := settled(t), settled(t)
	for what, damage := range damages(other) {
		for _, part := range parts {
			t.Run(part+" "+what, func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(t.TempDir(), "data")
				copyTree(t, whole, dir)
				damage(t, filepath.Join(dir, part), part)
				err := refused(t, dir)
				require.Error(t, err)
				assert.ErrorContains(t, err, filepath.Join(dir, part), "the path")
				assert.True(t, datadir.Has(err, part), err)
				assert.ErrorContains(t, err, "drpd restore")
				assert.ErrorContains(t, err, "--accept-loss="+part)
			})
		}
	}
}

// TestALogThatIsNotTheDatabases: SQLite lays the pages of any log over any file.
func TestALogThatIsNotTheDatabases(t *testing.T) {
	t.Parallel()
	dir, killed := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "killed")
	_, _, stop := server(t, dir)
	stop()
	assert.NoFileExists(t, filepath.Join(dir, "drpd.db-wal"), "a stop leaves one file")
	older, err := os.ReadFile(filepath.Join(dir, "drpd.db"))
	require.NoError(t, err)
	// Two lives, so that the log of the second lies over pages of the first.
	for i := range 2 {
		d, _, stop := server(t, dir)
		for n := range 40 {
			m := &api.Machine{Name: fmt.Sprintf("n%d-%d", i, n)}
			require.NoError(t, d.DB.Update(t.Context(), func(tx *resource.Tx) error { return api.Machines.Create(tx, m) }))
		}
		if i == 1 {
			require.NoError(t, os.Remove(filepath.Join(dir, "admin.sock"))) // no file to copy
			copyTree(t, dir, killed)
		}
		stop()
	}
	strange, err := os.ReadFile(filepath.Join(settled(t), "drpd.db"))
	require.NoError(t, err)
	for name, data := range map[string][]byte{"older": older, "of another server": strange} {
		at := filepath.Join(t.TempDir(), "data")
		copyTree(t, killed, at)
		require.NoError(t, os.WriteFile(filepath.Join(at, "drpd.db"), data, 0o600))
		before, err := os.ReadFile(filepath.Join(at, "drpd.db-wal"))
		require.NoError(t, err)
		err = refused(t, at)
		assert.True(t, datadir.Has(err, "drpd.db"), "%s: %v", name, err)
		after, err := os.ReadFile(filepath.Join(at, "drpd.db-wal"))
		require.NoError(t, err)
		assert.Equal(t, before, after, "%s: the log is not laid over a file that is not its own", name)
	}
	d, _, stop := server(t, killed)
	assert.Equal(t, 80, api.Machines.Len(d.DB.View()), "after a kill all is there")
	stop()
}

func TestTwoPartsAtOnce(t *testing.T) {
	t.Parallel()
	whole := settled(t)
	for i, one := range parts {
		for _, two := range parts[i+1:] {
			dir := filepath.Join(t.TempDir(), "data")
			copyTree(t, whole, dir)
			for _, p := range []string{one, two} {
				require.NoError(t, os.RemoveAll(filepath.Join(dir, p)))
			}
			err := refused(t, dir)
			require.Error(t, err)
			assert.True(t, datadir.Has(err, one) && datadir.Has(err, two), "%s and %s: %v", one, two, err)
		}
	}
}

func TestOnlyAnEmptyDirectoryIsAFirstStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600))
	err := refused(t, dir)
	assert.ErrorContains(t, err, "holds notes.txt and no server: a first start wants an empty directory")
	require.NoError(t, os.Remove(filepath.Join(dir, "notes.txt")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "lost+found"), 0o700))
	require.NoError(t, os.Chmod(dir, 0o755))
	_, _, stop := server(t, dir)
	stop()
	info, err := os.Stat(dir)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "also if it was there before")
}

// unmark makes of a directory one of before there were identities.
func unmark(t *testing.T, dir string) {
	t.Helper()
	for _, p := range []string{"identity", "pki/server.id", "blobs/.blob/server"} {
		require.NoError(t, os.Remove(filepath.Join(dir, p)))
	}
	for _, p := range []string{"master.key", "token.key"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, p), bare(t, filepath.Join(dir, p)), 0o600))
	}
	unmarkDatabase(t, filepath.Join(dir, "drpd.db"))
}

func bare(t *testing.T, path string) []byte {
	t.Helper()
	var f datadir.KeyFile
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &f))
	return f.Keys[0].Key
}

func unmarkDatabase(t *testing.T, path string) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	require.NoError(t, err)
	r, _, err := s.Get(t.Context(), datadir.Servers.Name, datadir.Self)
	require.NoError(t, err)
	_, err = s.Commit(t.Context(), []store.Op{{Kind: r.Kind, Key: r.Key, If: r.Rev}})
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

func TestAnOldDirectoryIsAdoptedOnce(t *testing.T) {
	t.Parallel()
	dir := settled(t)
	unmark(t, dir)
	half := filepath.Join(t.TempDir(), "half")
	copyTree(t, dir, half)
	require.NoError(t, os.Remove(filepath.Join(half, "token.key")))
	assert.True(t, datadir.Has(refused(t, half), "token.key"), "an old directory that is not whole")

	d, _, stop := server(t, dir)
	assert.Equal(t, 1, api.Machines.Len(d.DB.View()))
	stop()
	require.NoError(t, os.Remove(filepath.Join(dir, "token.key")))
	assert.True(t, datadir.Has(refused(t, dir), "token.key"), "it is marked now")
}

func TestAnOlderDatabaseIsKnown(t *testing.T) {
	t.Parallel()
	dir := settled(t)
	older := filepath.Join(t.TempDir(), "older")
	copyTree(t, dir, older)
	d, _, stop := server(t, dir)
	require.NoError(t, d.DB.Update(t.Context(), func(tx *resource.Tx) error { return api.Machines.Create(tx, &api.Machine{Name: "n2"}) }))
	stop()
	for _, f := range []string{"drpd.db", "drpd.db-wal", "drpd.db-shm"} {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, f)))
		if data, err := os.ReadFile(filepath.Join(older, f)); err == nil {
			require.NoError(t, os.WriteFile(filepath.Join(dir, f), data, 0o600))
		}
	}
	err := refused(t, dir)
	assert.ErrorContains(t, err, "is an older copy")
	assert.ErrorContains(t, err, "--accept-loss=newer-changes")
}

func TestAcceptedLosses(t *testing.T) {
	t.Parallel()
	whole := settled(t)
	for _, part := range parts {
		dir := filepath.Join(t.TempDir(), "data")
		copyTree(t, whole, dir)
		require.NoError(t, os.RemoveAll(filepath.Join(dir, part)))
		refused(t, dir)
		err := daemon.AcceptLoss(t.Context(), daemon.Config{DataDir: dir}, []string{part}, "root")
		require.NoError(t, err, part)
		d, _, stop := server(t, dir)
		if part != "drpd.db" {
			assert.Equal(t, 1, api.Machines.Len(d.DB.View()), part)
		}
		stop()
		_, _, stop = server(t, dir)
		stop() // the acceptance holds once
		require.NoError(t, os.RemoveAll(filepath.Join(dir, part)))
		refused(t, dir)
	}
}

// TestNothingLostNothingAccepted: a part that the server can start with is not
// given up, nor one of a server that runs.
func TestNothingLostNothingAccepted(t *testing.T) {
	t.Parallel()
	whole := settled(t)
	accept := func(dir string, parts ...string) error {
		return daemon.AcceptLoss(t.Context(), daemon.Config{DataDir: dir}, parts, "root")
	}
	assert.ErrorContains(t, accept(whole, "disk"), `"disk" is no part of a data directory`)
	before, err := os.ReadFile(filepath.Join(whole, "identity"))
	require.NoError(t, err)
	for _, part := range append(datadir.Parts(), datadir.PartNewer) {
		assert.ErrorContains(t, accept(whole, part), "--accept-loss="+part+": it is whole", part)
	}
	lacking := filepath.Join(t.TempDir(), "lacking")
	copyTree(t, whole, lacking)
	require.NoError(t, os.Remove(filepath.Join(lacking, "token.key")))
	assert.ErrorContains(t, accept(lacking, "token.key", "drpd.db"), "--accept-loss=drpd.db: it is whole")
	assert.NoError(t, accept(lacking, "token.key"))
	assert.NoError(t, accept(lacking, "token.key"), "again, before it starts")

	require.NoError(t, os.WriteFile(filepath.Join(whole, "identity"), []byte("{"), 0o600))
	require.NoError(t, os.Remove(filepath.Join(whole, "master.key")))
	assert.NoError(t, accept(whole, "identity", "master.key"), "two losses at once")
	require.NoError(t, os.WriteFile(filepath.Join(whole, "identity"), before, 0o600))

	running := settled(t)
	_, _, stop := server(t, running)
	assert.ErrorContains(t, accept(running, "token.key"), "in use")
	stop()
}

// TestADirectoryOfOthersIsLeft: a wrong --data-dir costs nothing, no owner and no
// mode is changed.
func TestADirectoryOfOthersIsLeft(t *testing.T) {
	t.Parallel()
	for name, files := range map[string][]string{
		"of a user":             {"notes.txt"},
		"of a system":           {"passwd", "pki/tls/cert.pem", "audit/rules.d/a.rules", "identity/x"},
		"with folders by names": {"blobs/x", "pki/x", "audit/x"},
		"with an empty file":    {"identity.d/x", "token.key"},
	} {
		for _, cfg := range []daemon.Config{{}, {Database: daemon.InMemory}, {Offline: true}} {
			dir := t.TempDir()
			for _, f := range files {
				require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, f)), 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(dir, f), nil, 0o644))
			}
			require.NoError(t, os.Chmod(dir, 0o755))
			was := listing(t, dir)
			cfg.DataDir = dir
			_, err := daemon.Open(t.Context(), cfg)
			assert.Error(t, err, name)
			assert.Equal(t, was, listing(t, dir), "%s: %+v", name, cfg)
			assert.Error(t, datadir.Ours(datadir.Config{Dir: dir, InMemory: cfg.Database == daemon.InMemory}), name)
		}
	}
}

// listing is a directory with all modes.
func listing(t *testing.T, dir string) (out []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := e.Info()
		require.NoError(t, err)
		out = append(out, strings.TrimPrefix(path, dir)+" "+info.Mode().String())
		return nil
	}))
	return out
}
