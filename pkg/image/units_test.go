package image

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLeftOutHasReasonsAndNoUnitTwice(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, g := range append(maskedUnits(), maskedGenerators()...) {
		assert.NotEmpty(t, g.reason, g.names)
		for _, name := range g.names {
			assert.False(t, seen[name], "%s is listed twice", name)
			seen[name] = true
		}
	}
	// What the first boot and the agent stand on.
	for _, name := range []string{
		"systemd-networkd.service", "systemd-udevd.service", "systemd-repart.service", "systemd-machine-id-commit.service",
		"systemd-fsck-root.service", "systemd-fstab-generator", "systemd-getty-generator",
	} {
		assert.False(t, seen[name], "%s must start", name)
	}
}

func TestLinkToNull(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "etc", "systemd", "system-generators", "old-generator")
	require.NoError(t, linkToNull(name))
	target, err := os.Readlink(name)
	require.NoError(t, err)
	assert.Equal(t, "/dev/null", target)
}
