package resource_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

// fleet is the size of the fleet in benchmarks; each pool has poolSize of it.
const (
	fleet    = 10_000
	poolSize = 100
)

func machineID(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

func openFleet(b *testing.B) *resource.DB { return openSize(b, fleet) }

func openSize(b *testing.B, size int) *resource.DB {
	b.Helper()
	db, err := resource.Open(b.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: api.Kinds()})
	require.NoError(b, err)
	for at := 0; at < size; at += 1000 {
		require.NoError(b, db.Update(b.Context(), func(tx *resource.Tx) error {
			for n := at; n < min(at+1000, size); n++ {
				m := &api.Machine{Name: fmt.Sprintf("m%05d", n), Uuid: machineID(n), Pool: fmt.Sprintf("pool-%d", n/poolSize),
					HardwareAddrs: []string{fmt.Sprintf("52:54:00:00:%02x:%02x", n>>8, n&255)}}
				if err := api.Machines.Create(tx, m); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	return db
}

// BenchmarkGet reads one machine of the fleet by its key.
func BenchmarkGet(b *testing.B) {
	db := openFleet(b)
	n := 0
	for b.Loop() {
		m, err := api.Machines.Get(db.View(), machineID(n%fleet))
		if err != nil || m.Name == "" {
			b.Fatal(err)
		}
		n += 7
	}
}

// BenchmarkIndexedList reads the 100 machines of one pool of the fleet.
func BenchmarkIndexedList(b *testing.B) {
	db := openFleet(b)
	for b.Loop() {
		n := 0
		for range api.Machines.By(db.View(), api.ByPool, "pool-42") {
			n++
		}
		if n != poolSize {
			b.Fatalf("%d machines", n)
		}
	}
}

// BenchmarkUpdate changes one machine of the fleet, stored and published: one
// caller after the other, and many at once, whose commits are grouped.
func BenchmarkUpdate(b *testing.B) {
	change := func(b *testing.B, db *resource.DB, n int) {
		err := db.Update(b.Context(), func(tx *resource.Tx) error {
			return api.Machines.Modify(tx, machineID(n%fleet), func(m *api.Machine) error {
				m.Runnable = !m.Runnable
				return nil
			})
		})
		if err != nil {
			b.Error(err)
		}
	}
	b.Run("alone", func(b *testing.B) {
		db, n := openFleet(b), 0
		for b.Loop() {
			change(b, db, n)
			n += 7
		}
	})
	b.Run("together", func(b *testing.B) {
		db := openFleet(b)
		b.SetParallelism(64)
		b.ResetTimer() // RunParallel, unlike Loop, counts what was before it
		b.RunParallel(func(pb *testing.PB) {
			for n := 0; pb.Next(); n += 7 {
				change(b, db, n)
			}
		})
	})
}

// BenchmarkUpdateBySize changes one machine of a small and of a large fleet:
// what a change costs must not grow with those that it does not touch.
func BenchmarkUpdateBySize(b *testing.B) {
	for _, size := range []int{100, fleet} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			db, n := openSize(b, size), 0
			b.ReportAllocs()
			for b.Loop() {
				n += 7
				if err := db.Update(b.Context(), func(tx *resource.Tx) error {
					return api.Machines.Modify(tx, machineID(n%size), func(m *api.Machine) error {
						m.Runnable = !m.Runnable
						return nil
					})
				}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkListAll walks a whole fleet; the unit is one machine.
func BenchmarkListAll(b *testing.B) {
	for _, size := range []int{100, fleet} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			db, n := openSize(b, size), 0
			for b.Loop() {
				for o := range api.Machines.Each(db.View()) {
					n += len(o.JSON)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size), "ns/machine")
		})
	}
}
