package main

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCommittedFilesAreTheGenerated fails when the generator was changed and
// not run, when a generated file was edited, and when one is left behind.
func TestCommittedFilesAreTheGenerated(t *testing.T) {
	t.Parallel()
	want, err := files()
	require.NoError(t, err)
	pack := os.DirFS("../universal")
	for name, text := range want {
		got, err := fs.ReadFile(pack, name)
		require.NoError(t, err, "run go generate ./content")
		assert.Equal(t, string(text), string(got), "%s: run go generate ./content", name)
	}
	require.NoError(t, fs.WalkDir(pack, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := fs.ReadFile(pack, path)
		if strings.HasPrefix(string(text), header) {
			assert.Contains(t, want, path, "left behind: delete it")
		}
		return err
	}))
}

func TestFrame(t *testing.T) {
	t.Parallel()
	list, err := files()
	require.NoError(t, err)
	assert.Equal(t, header+`Description: Discovers a machine and leaves it free and switched off
Name: universal-discover
Stages:
- universal-discover-start-callback
- universal-discover-pre-classification
- universal-discover-pre-flexiflow
- discover
- universal-discover-post-flexiflow
- universal-discover-classification
- universal-discover-post-validation
- universal-discover-complete-callback
- universal-chain-workflow
- idle
- complete
`, string(list["workflows/universal-discover.yaml"]))
}
