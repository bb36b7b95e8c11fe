package daemon

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

func TestLogRing(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	ring := newLogRing(3)
	log := slog.New(ring.handler(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn})))
	says := func() (all []string) {
		for _, l := range ring.Lines() {
			all = append(all, l.Service+" "+l.Level+" "+l.Message)
		}
		return all
	}
	log.Debug("unseen")
	log.Info("one", "actor", "ann", "n", 1)
	require.Equal(t, []string{"drpd info one"}, says())
	line := ring.Lines()[0]
	assert.Equal(t, []any{"actor", "ann", "n", "1"}, line.Data)
	assert.Equal(t, []any{int64(1), "ann", "daemon/logs_test.go"}, []any{line.Seq, line.Principal, line.File})
	assert.Empty(t, out.String(), "the server's own output keeps its level")
	log.Warn("two")
	log.Warn("three")
	log.With("service", "dhcp").WithGroup("g").Warn("four", "k", "v")
	assert.Equal(t, []string{"drpd warn two", "drpd warn three", "dhcp warn four"}, says(), "the oldest goes")
	assert.Equal(t, []any{"g.k", "v"}, ring.Lines()[2].Data)
	assert.Contains(t, out.String(), "four")

	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: api.Kinds(), Ring: 64})
	require.NoError(t, err)
	require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
		if err := api.Preferences.Put(tx, &api.Preference{Name: "debugDhcp", Value: "trace"}); err != nil {
			return err
		}
		return api.Preferences.Put(tx, &api.Preference{Name: "logLevel", Value: "error"})
	}))
	wanted := false
	ring.follow(db, func(resource.Event) bool { return wanted })
	log.Warn("too little")
	log.With("service", "dhcp").Debug("five")
	log.With("service", "frontend").Error("nobody hears this")
	wanted = true
	log.With("service", "frontend").Error("six")
	assert.Equal(t, []string{"dhcp debug five", "frontend error nobody hears this", "frontend error six"}, says())
	seen, _, err := db.Since(0)
	require.NoError(t, err)
	last := seen[len(seen)-1]
	assert.NotContains(t, string(seen[len(seen)-2].Object), "nobody hears")
	assert.Equal(t, []string{"log", "error", "frontend"}, []string{last.Type, last.Action, last.Key}, "details are no events")
	assert.Contains(t, string(last.Object), `"Message":"six"`)
}

func TestLevelOf(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]slog.Level{"0": slog.LevelWarn, "1": slog.LevelInfo, "2": slog.LevelDebug, " Trace ": slog.LevelDebug, "error": slog.LevelError} {
		got, ok := levelOf(text)
		assert.True(t, ok, text)
		assert.Equal(t, want, got, text)
	}
	_, ok := levelOf("loud")
	assert.False(t, ok)
}
