package blob

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// texts are all blobs of a folder with their contents.
func texts(t *testing.T, d *Dir) map[string]string {
	t.Helper()
	list, err := d.List(t.Context(), "")
	require.NoError(t, err)
	out := map[string]string{}
	for _, i := range list {
		f, err := d.Open(i.Path)
		require.NoError(t, err)
		data, err := io.ReadAll(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		out[i.Path] = string(data)
	}
	return out
}

// staged is a stage of three files, the second of which replaces another.
func staged(t *testing.T, d *Dir, names ...string) *Stage {
	t.Helper()
	s, err := d.NewStage()
	require.NoError(t, err)
	for _, name := range names {
		_, err := s.Put(t.Context(), name, strings.NewReader("new"), 10)
		require.NoError(t, err)
	}
	return s
}

func TestStage(t *testing.T) {
	t.Parallel()
	was := map[string]string{"a/old": "old", "kept": "kept"}
	for name, tc := range map[string]struct {
		names  []string
		failed string
		want   map[string]string
	}{
		"all":          {[]string{"a/old", "b/c/new"}, "", map[string]string{"a/old": "new", "b/c/new": "new", "kept": "kept"}},
		"a folder":     {[]string{"b/c/new", "a/old", "a"}, "a", was},
		"below a file": {[]string{"b/c/new", "a/old", "kept/x"}, "kept/x", was},
		"each other":   {[]string{"b/c/new", "b/c/new/x"}, "b/c/new/x", was},
		"nothing":      {nil, "", was},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, path := newDir(t)
			put(t, d, "a/old", "old")
			put(t, d, "kept", "kept")
			s := staged(t, d, tc.names...)
			assert.Equal(t, was, texts(t, d), "not yet")
			failed, err := s.Publish()
			assert.Equal(t, tc.failed, failed)
			assert.Equal(t, tc.failed != "", err != nil)
			require.NoError(t, s.Close())
			assert.Equal(t, tc.want, texts(t, d))
			assert.Empty(t, left(t, path))
			if tc.failed != "" {
				assert.NoDirExists(t, filepath.Join(path, "b"))
			}
		})
	}
}

func left(t *testing.T, path string) []os.DirEntry {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(path, stageDir))
	require.NoError(t, err)
	return list
}

// TestKilledStage opens the folder after a kill at each step of publishing.
func TestKilledStage(t *testing.T) {
	t.Parallel()
	names := []string{"b/c/new", "a/old", "d"}
	for step := range 8 {
		d, path := newDir(t)
		put(t, d, "a/old", "old")
		s := staged(t, d, names...)
		if step > 0 { // as Publish does, up to a kill
			require.NoError(t, os.WriteFile(filepath.Join(path, s.at, journal), []byte(`["b/c/new","a/old","d"]`), 0o600))
		}
		for i := range min(step/2, len(names)) {
			require.NoError(t, s.publish(i, names[i]))
		}
		if step == 3 || step == 5 { // killed between keeping what was there and replacing it
			_ = d.root.Link("a/old", s.saved(1))
		}
		if step == 7 {
			require.NoError(t, d.root.Remove(s.at+"/"+journal))
		}
		again := openDir(t, path)
		want := map[string]string{"a/old": "old"}
		if step == 7 {
			want = map[string]string{"a/old": "new", "b/c/new": "new", "d": "new"}
		}
		assert.Equal(t, want, texts(t, again), "step %d", step)
		assert.Empty(t, left(t, path))
		if step < 7 {
			assert.NoDirExists(t, filepath.Join(path, "b"))
		}
	}
}

func TestStageRefuses(t *testing.T) {
	t.Parallel()
	d, _ := newDir(t)
	s := staged(t, d)
	_, err := s.Put(t.Context(), "../x", strings.NewReader(""), 10)
	assert.ErrorIs(t, err, ErrBadName)
	_, err = s.Put(t.Context(), "x", strings.NewReader("12345678901"), 10)
	assert.ErrorIs(t, err, ErrTooLarge)
	require.NoError(t, s.Close())
	assert.Empty(t, texts(t, d))
}
