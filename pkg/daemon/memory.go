package daemon

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// How much the heap may grow between two garbage collections: heapGrowth
// percent of what is live, since what a fleet keeps in memory hardly changes,
// so that the peak stays near the rest; but heapRoom bytes at least, since a
// small heap would otherwise be collected many times a second under load.
const (
	heapGrowth = 70
	heapRoom   = 64 << 20
)

// TuneMemory sets the garbage collector for a server, anew after each
// collection, unless GOGC is set.
func TuneMemory() {
	if os.Getenv("GOGC") == "" {
		tuneAndWait()
	}
}

// tuneAndWait comes back when the next collection has ended: it finds an object
// that nobody holds.
func tuneAndWait() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	debug.SetGCPercent(growth(live[0].Value.Uint64()))
	runtime.AddCleanup(new(*int), func(struct{}) { tuneAndWait() }, struct{}{})
}

// growth is the percentage for a heap with that many live bytes.
func growth(live uint64) int {
	return int(max(heapGrowth, min(100*heapRoom/max(live, 1), 1000)))
}
