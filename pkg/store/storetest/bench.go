package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"drpd/pkg/store"
)

// Bench measures updates in commits of 1 and of 64 ops with 1 KiB of data each.
func Bench(b *testing.B, open func(testing.TB, int) store.Store) {
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprintf("ops=%d", n), func(b *testing.B) {
			s := open(b, 0)
			ops := make([]store.Op, n)
			for i := range ops {
				ops[i] = store.Op{Kind: "machines", Key: keyN(i), Data: make([]byte, 1024)}
			}
			b.ReportAllocs()
			for b.Loop() {
				rev, err := s.Commit(context.Background(), ops)
				require.NoError(b, err)
				for i := range ops {
					ops[i].If = rev
				}
			}
		})
	}
}
