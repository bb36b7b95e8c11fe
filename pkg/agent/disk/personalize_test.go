//go:build linux

package disk

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWriteFiles(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "victim")
	require.NoError(t, os.WriteFile(outside, []byte("safe"), 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "link")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "old"), []byte("old and long"), 0o644))
	require.NoError(t, writeFiles(dir, []File{
		{Path: "/etc/deep/new", Mode: 0o600, Content: []byte("n")},
		{Path: "old", Mode: 0o666, Content: []byte("short")},
		{Path: "link", Mode: 0o644, Content: []byte("replaced")},
	}))
	for name, want := range map[string]struct {
		text string
		mode fs.FileMode
	}{"etc/deep/new": {"n", 0o600}, "old": {"short", 0o666}, "link": {"replaced", 0o644}} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, want.text, string(b))
		st, err := os.Lstat(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, want.mode, st.Mode(), name)
	}
	b, err := os.ReadFile(outside)
	require.NoError(t, err)
	assert.Equal(t, "safe", string(b))
}

func TestWriteFilesStaysInside(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "out")))
	err := writeFiles(dir, []File{{Path: "out/file", Mode: 0o644}})
	require.ErrorContains(t, err, "write out/file")
	found, err := os.ReadDir(outside)
	require.NoError(t, err)
	assert.Empty(t, found)
}

func TestPersonalizeRefuses(t *testing.T) {
	t.Parallel()
	many := make([]File, MaxFiles+1)
	for name, tc := range map[string]struct {
		files []File
		err   string
	}{
		"parent":    {[]File{{Path: "../x"}}, `path "../x" is not a clean path`},
		"inner":     {[]File{{Path: "/a/../../x"}}, "is not a clean path"},
		"empty":     {[]File{{Path: ""}}, "is not a clean path"},
		"top":       {[]File{{Path: "/"}}, "is not a clean path"},
		"directory": {[]File{{Path: "a/"}}, "is not a clean path"},
		"setuid":    {[]File{{Path: "a", Mode: fs.ModeSetuid | 0o755}}, "only permission bits"},
		"many":      {many, "257 files, at most 256"},
		"large":     {[]File{{Path: "a", Content: make([]byte, MaxFileBytes+1)}}, "at most 16777216 are allowed"},
		"protected": {nil, `disk vda is protected by "A"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, fileDevice{}, testDisk{name: "vda", serial: "A", size: mib})
			err := h.Personalize(t.Context(), Personalize{Want: Want{Serial: "A"}, Label: "root", Files: tc.files, Protected: []string{"A"}})
			require.ErrorContains(t, err, tc.err)
			assert.True(t, IsRefusal(err))
		})
	}
}

func TestFindLabelListsWhatIsThere(t *testing.T) {
	t.Parallel()
	h := newHost(t, fileDevice{}, testDisk{name: "vda", serial: "A", size: mib})
	dir := filepath.Join(h.Sys, "block/vda")
	for part, label := range map[string]string{"vda1": "boot", "vda2": "root"} {
		writeAttrs(t, dir, map[string]string{part + "/partition": "1"})
		sb := make([]byte, 4096)
		copy(sb[1024+56:], "\x53\xef")
		copy(sb[1024+120:], label)
		require.NoError(t, os.WriteFile(filepath.Join(h.Dev, part), sb, 0o600))
	}
	d, err := Find([]Disk{{Name: "vda", Path: filepath.Join(h.Dev, "vda"), Serial: "A"}}, Want{Serial: "A"})
	require.NoError(t, err)
	node, err := h.findLabel(t.Context(), d, "root")
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(h.Dev, "vda2"), node)
	_, err = h.findLabel(t.Context(), d, "data")
	require.ErrorContains(t, err, `0 ext4 file systems with label "data" on vda; present: `)
	assert.ErrorContains(t, err, `vda1 "boot"`)
}
