package daemon

import (
	"os"
	"runtime/debug"
)

// heapGrowth is how much of what is live the heap may grow between two garbage
// collections, in percent. Go's default is 100; what a fleet keeps in memory
// hardly changes, so less costs little CPU and keeps the peak near the rest.
const heapGrowth = 70

// TuneMemory sets the garbage collector for a server, unless GOGC is set.
func TuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
}
