package daemon

import (
	"context"
	"os"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"time"
)

// collectOften keeps memory near what is held, unless the environment says how much
// may lie around: a daemon idles nearly always, and thousands of rendered objects
// that live for days need not lie there twice.
func collectOften(ctx context.Context) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(40)
		go giveBack(ctx)
	}
}

const (
	lookEvery = 10 * time.Second
	worthIt   = 8 << 20 // bytes that are worth a collection, which takes some 50 ms of CPU time
)

// giveBack returns what lies around to the system, until ctx ends. Go itself keeps
// what a pass took for the next one, and what lies between the objects of a heap that
// was larger once.
func giveBack(ctx context.Context) {
	around := []runtimemetrics.Sample{
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/live:bytes"},
	}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		runtimemetrics.Read(around)
		free, objects, live := around[0].Value.Uint64(), around[1].Value.Uint64(), around[2].Value.Uint64()
		if free+objects > live+worthIt {
			debug.FreeOSMemory()
		}
	}
}
