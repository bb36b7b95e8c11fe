package mem_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"drpd/pkg/store"
	"drpd/pkg/store/mem"
	"drpd/pkg/store/storetest"
)

func open(t testing.TB, logRows int) store.Store {
	s := mem.New(mem.Config{LogRows: logRows})
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Backend{Open: open})
}

func TestCommitKeepsItsOwnCopy(t *testing.T) {
	t.Parallel()
	s := mem.New(mem.Config{})
	data := []byte("before")
	_, err := s.Commit(t.Context(), []store.Op{{Kind: "machines", Key: "a", Data: data}})
	assert.NoError(t, err)
	copy(data, "after!")
	_, err = s.Load(t.Context(), func(r store.Record) error {
		assert.Equal(t, "before", string(r.Data))
		return nil
	})
	assert.NoError(t, err)
}

func BenchmarkCommit(b *testing.B) { storetest.Bench(b, open) }
