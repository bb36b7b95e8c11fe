package resource

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/store"
	"drpd/pkg/store/mem"
)

func TestIdle(t *testing.T) {
	t.Parallel()
	r := open(t, mem.New(mem.Config{}), nil)
	require.NoError(t, r.Update(t.Context(), func(tx *Tx) error { return r.parts.Create(tx, &part{Name: "a"}) }))
	before, seq := r.View(), r.Seq()
	for name, c := range map[string]struct {
		fn   func(tx *Tx) error
		idle bool
	}{
		"reads":            {func(tx *Tx) error { _, err := r.parts.Get(tx, "a"); return err }, true},
		"fails":            {func(*Tx) error { return errors.New("no") }, false},
		"creates":          {func(tx *Tx) error { return r.parts.Create(tx, &part{Name: "b"}) }, false},
		"puts":             {func(tx *Tx) error { return r.parts.Put(tx, &part{Name: "a", Count: 1}) }, false},
		"modifies":         {func(tx *Tx) error { return r.parts.Modify(tx, "a", func(p *part) error { p.Count++; return nil }) }, false},
		"deletes":          {func(tx *Tx) error { return r.parts.Delete(tx, "a") }, false},
		"hides its writes": {func(tx *Tx) error { _ = r.parts.Delete(tx, "a"); return nil }, false},
		"does it later":    {func(tx *Tx) error { tx.After(func() error { return nil }); return nil }, false},
		"looks in vain":    {func(tx *Tx) error { _, err := r.parts.Get(tx, "none"); return err }, false},
	} {
		assert.Equal(t, c.idle, r.Idle(c.fn), name)
	}
	assert.Equal(t, before, r.View(), "nothing was written")
	assert.Equal(t, seq, r.Seq())
}

// TestIdleSeesWhatIsDurable: it neither waits for a commit in hand nor sees it.
func TestIdleSeesWhatIsDurable(t *testing.T) {
	t.Parallel()
	block := make(chan struct{})
	r := open(t, store.NewFaulty(mem.New(mem.Config{}), store.Faults{Block: block}), nil)
	var wg sync.WaitGroup
	staged := make(chan struct{})
	wg.Go(func() {
		assert.NoError(t, r.Update(context.Background(), func(tx *Tx) error {
			defer close(staged)
			return r.parts.Create(tx, &part{Name: "a"})
		}))
	})
	<-staged
	has := func() (has bool) {
		assert.True(t, r.Idle(func(tx *Tx) error { has = r.parts.Has(tx, "a"); return nil }))
		return has
	}
	assert.False(t, has(), "not durable yet")
	close(block)
	wg.Wait()
	assert.True(t, has())
}
