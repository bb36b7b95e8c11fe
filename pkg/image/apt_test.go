package image

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writeSources makes two source files, of which one offers bookworm.
func writeSources(t *testing.T) (debian, other string) {
	t.Helper()
	dir := t.TempDir()
	debian, other = filepath.Join(dir, "debian.sources"), filepath.Join(dir, "other.list")
	require.NoError(t, os.WriteFile(debian, []byte("Types: deb\nSuites: bookworm bookworm-updates\n"), 0o644))
	require.NoError(t, os.WriteFile(other, []byte("deb https://tools.invalid stable main\n"), 0o644))
	return debian, other
}

func TestAptSources(t *testing.T) {
	t.Parallel()
	debian, other := writeSources(t)
	tests := map[string]struct {
		from Packages
		want map[string]string
		err  string
	}{
		"only files that name the suite": {
			from: Packages{Suite: "bookworm", Sources: []string{debian, other}},
			want: map[string]string{"debian.sources": "Types: deb\nSuites: bookworm bookworm-updates\n"},
		},
		"none": {
			from: Packages{Suite: "bookworm", Sources: []string{other}},
			err:  "no apt source of this machine names Debian's bookworm: set DEBIAN_MIRROR to the URL of a Debian mirror, the directory that holds dists and pool",
		},
		"a mirror takes the place of all files": {
			from: Packages{Suite: "bookworm", Mirror: "http://mirror.invalid/debian", Sources: []string{debian}},
			want: map[string]string{"debian.list": "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.invalid/debian bookworm main\n"},
		},
		"mirror with a password": {
			from: Packages{Suite: "bookworm", Mirror: "http://me:secret@mirror.invalid/debian"},
			err:  "debian mirror http://me:xxxxx@mirror.invalid/debian: want a plain URL, http or https, without user and spaces",
		},
		"mirror without a scheme": {
			from: Packages{Suite: "bookworm", Mirror: "mirror.invalid/debian"},
			err:  "debian mirror mirror.invalid/debian: want a plain URL, http or https, without user and spaces",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := aptSources(tc.from)
			if tc.err != "" {
				require.EqualError(t, err, tc.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tc.want, got)
		})
	}
}

func TestAptSetupForgetsEarlierSources(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	debian, other := writeSources(t)
	_, err := newAptSetup(cache, Packages{Suite: "stable", Sources: []string{other}})
	require.NoError(t, err)
	apt, err := newAptSetup(cache, Packages{Sources: []string{debian}})
	require.NoError(t, err)

	assert.Equal(t, []string{filepath.Join(cache, "apt", "sources", "debian.sources")}, apt.sources)
	config, err := os.ReadFile(filepath.Join(cache, "apt", "apt.conf"))
	require.NoError(t, err)
	for _, want := range []string{
		`Dir::State::lists "` + cache + `/apt/lists";`, `Dir::State::status "` + cache + `/apt/status";`,
		`Dir::Etc::sourcelist "/dev/null";`, `Dir::Etc::sourceparts "` + cache + `/apt/sources";`,
	} {
		assert.Contains(t, string(config), want)
	}
}
