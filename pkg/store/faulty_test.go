package store_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/store"
	"drpd/pkg/store/mem"
)

// outcomes commits n new records and returns "+" or "-" for each.
func outcomes(t *testing.T, s store.Store, n int) (got string) {
	for i := range n {
		_, err := s.Commit(t.Context(), []store.Op{{Kind: "machines", Key: fmt.Sprint(i), Data: []byte("x")}})
		if err == nil {
			got += "+"
			continue
		}
		require.ErrorIs(t, err, store.ErrInjected)
		got += "-"
	}
	return got
}

func count(t *testing.T, s store.Store) (n int) {
	_, err := s.Load(t.Context(), func(store.Record) error { n++; return nil })
	require.NoError(t, err)
	return n
}

func TestFaulty(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		faults store.Faults
		want   string
		kept   int
	}{
		{store.Faults{}, "++++++", 6},
		{store.Faults{Every: 3}, "++-++-", 4},
		{store.Faults{After: 2}, "++----", 2},
		{store.Faults{After: 2, Lost: true}, "++----", 6},
	} {
		s := store.NewFaulty(mem.New(mem.Config{}), c.faults)
		assert.Equal(t, c.want, outcomes(t, s, 6), "%+v", c.faults)
		assert.Equal(t, c.kept, count(t, s), "%+v", c.faults)
	}
}

func TestFaultyBlocks(t *testing.T) {
	t.Parallel()
	block := make(chan struct{})
	s := store.NewFaulty(mem.New(mem.Config{}), store.Faults{Block: block})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Commit(ctx, []store.Op{{Kind: "machines", Key: "a", Data: []byte("x")}})
	require.ErrorIs(t, err, context.Canceled)
	assert.Zero(t, count(t, s))
	close(block)
	assert.Equal(t, "+", outcomes(t, s, 1))
	s.Set(store.Faults{Every: 1})
	assert.Equal(t, "--", outcomes(t, s, 2))
}

func TestMeteredAndLogged(t *testing.T) {
	t.Parallel()
	var seen []string
	var log bytes.Buffer
	inner := store.Logged{
		Store: mem.New(mem.Config{}),
		Log:   slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	s := store.Metered{Store: inner, Observe: func(ops int, took time.Duration, err error) {
		assert.GreaterOrEqual(t, took, time.Duration(0))
		seen = append(seen, fmt.Sprint(ops, " ", err))
	}}
	ops := []store.Op{{Kind: "machines", Key: "a", Data: []byte("secret")}}
	_, err := s.Commit(t.Context(), ops)
	require.NoError(t, err)
	_, err = s.Commit(t.Context(), ops)
	require.ErrorIs(t, err, store.ErrConflict)
	assert.Equal(t, []string{"1 <nil>", "1 commit: conflict on machines/a: want no record, have revision 1"}, seen)
	assert.Contains(t, log.String(), "ops=1 rev=1 err=<nil>")
	assert.NotContains(t, log.String(), "secret")
}
