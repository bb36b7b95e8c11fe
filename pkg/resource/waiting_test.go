package resource

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/store"
	"drpd/pkg/store/mem"
)

// TestAReadThatWaitsRestampsNothing queues an update that only reads what is
// not durable yet together with one that writes something else: the revision
// of what was read must stay the one that the store has.
func TestAReadThatWaitsRestampsNothing(t *testing.T) {
	t.Parallel()
	block := make(chan struct{})
	faulty := store.NewFaulty(mem.New(mem.Config{}), store.Faults{Block: block})
	r := open(t, faulty, nil)
	var wg sync.WaitGroup
	queue := func(fn func(tx *Tx) error) {
		staged := make(chan struct{})
		wg.Go(func() {
			assert.NoError(t, r.Update(context.Background(), func(tx *Tx) error {
				defer close(staged)
				return fn(tx)
			}))
		})
		<-staged
	}
	queue(func(tx *Tx) error { return r.parts.Create(tx, &part{Name: "first"}) })
	queue(func(tx *Tx) error { _, err := r.parts.Get(tx, "first"); return err })
	queue(func(tx *Tx) error { return r.parts.Create(tx, &part{Name: "second"}) })
	close(block)
	wg.Wait()
	require.NoError(t, r.Update(t.Context(), func(tx *Tx) error {
		return r.parts.Modify(tx, "first", func(p *part) error { p.Count++; return nil })
	}))
}
