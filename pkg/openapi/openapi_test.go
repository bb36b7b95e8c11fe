package openapi

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const golden = "../../docs/openapi.json"

func TestGolden(t *testing.T) {
	d, _ := build(t)
	data, err := json.MarshalIndent(d, "", " ")
	require.NoError(t, err)
	data = append(data, '\n')
	if *update {
		require.NoError(t, os.WriteFile(golden, data, 0o644))
		return
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(data), "the API changed; if that is meant: go test ./pkg/openapi -update")
}
