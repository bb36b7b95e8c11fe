//go:build linux

package agent

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An agent whose server does not answer turns to the next place that it knows,
// also after a restart, and keeps its token.
func TestAgentKnowsSeveralPlaces(t *testing.T) {
	t.Parallel()
	cfg := Config{Endpoint: "http://192.0.2.1:8092", Endpoints: []string{"http://192.0.2.2:8092"}, Token: "t", Env: "local", StateDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	a, err := newAgent(cfg)
	require.NoError(t, err)
	assert.Equal(t, []string{"http://192.0.2.1:8092", "http://192.0.2.2:8092"}, a.place().Endpoints)
	a.setToken("machine's own")
	a.elsewhere()
	assert.Equal(t, "http://192.0.2.2:8092", a.place().Endpoints[0])
	assert.Equal(t, "machine's own", a.client().Token())
	a.elsewhere()
	assert.Equal(t, "http://192.0.2.1:8092", a.place().Endpoints[0])
	assert.Empty(t, a.place().pin())
}
