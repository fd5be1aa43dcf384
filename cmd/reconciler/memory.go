package main

import (
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// thrifty is how much memory, in bytes, a command that renders once may hold before
// garbage is worth collecting. With the program itself that is under 200 MB.
const thrifty = 128 << 20

// collectLess lets a command that ends soon spend memory instead of time: most of
// what an evaluation allocates is garbage at once. A repo that needs most of that
// memory for what is no garbage goes back to the usual. Who sets GOGC or GOMEMLIMIT
// knows better.
func collectLess() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetGCPercent(300)
	debug.SetMemoryLimit(thrifty)
	go func() {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		for range time.Tick(50 * time.Millisecond) {
			if metrics.Read(live); live[0].Value.Uint64() > thrifty*3/4 {
				debug.SetGCPercent(100)
				debug.SetMemoryLimit(math.MaxInt64)
				return
			}
		}
	}()
}
