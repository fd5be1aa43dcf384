package chaos

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"testing"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/test/chaos/wire"
	"prumo.dev/prumo/test/cluster/clustertest"
)

var passesFlag = flag.Int("passes", 240, "how many passes the simulated day has; one every 30 seconds makes 2880")

const (
	fleet = 60 // objects

	// What a day may add to what is held after its first quarter. A leak of one
	// goroutine or one object a pass is far above.
	moreGoroutines = 20
	moreHeap       = 4 << 20 // bytes
)

// TestDay lets a day pass over a fleet that stays as it is, with edits, commits,
// broken watches, errors and, now and then, an API server that restarts. What is
// held in memory at the end is what was held in the morning.
func TestDay(t *testing.T) {
	w, server := shared(t), clustertest.Shared(t)
	objects := func(n int) []core.Object {
		list := make([]core.Object, fleet)
		for i := range list {
			list[i] = w.configMap(fmt.Sprint("o", i), "1")
		}
		list[0] = w.configMap("o0", fmt.Sprint(n))
		return list
	}
	commit := func(n int) { // a history of one: what is old is not what is measured
		w.repo.history = append(w.repo.history[:0:0], rendering(objects(n)...))
	}
	commit(0)
	p := w.start(t, watched)
	p.settle(t, nil)
	requests := 0
	var morning runtime.MemStats
	goroutines := 0
	for n := range *passesFlag {
		switch {
		case n%500 == 499:
			if err := server.StopAPIServer(); err != nil {
				t.Fatal(err)
			}
			_, _ = p.pass(t)
			if err := server.StartAPIServer(context.Background()); err != nil {
				t.Fatal(err)
			}
		case n%20 == 7:
			p.wire.Cut()
		case n%20 == 13:
			p.wire.Set(wire.Faults{Refuse: 0.2, Rewind: 0.5})
		case n%20 == 16:
			p.wire.Set(wire.Faults{})
		case n%3 == 0:
			w.patch(t, objects(0)[n%fleet], fmt.Sprintf(`{"data":{"key":"edited-%d"}}`, n))
		}
		_, _ = p.pass(t)
		if n == *passesFlag/4 {
			requests = p.wire.Requests()
			goroutines = p.rest(t, &morning)
		}
	}
	requests += p.wire.Requests()
	var evening runtime.MemStats
	if now := p.rest(t, &evening); now > goroutines+moreGoroutines {
		t.Errorf("%d goroutines, %d in the morning", now, goroutines)
	}
	if evening.HeapAlloc > morning.HeapAlloc+moreHeap {
		t.Errorf("%d bytes of heap, %d in the morning", evening.HeapAlloc, morning.HeapAlloc)
	}
	t.Logf("%d passes, %d requests; heap %d KiB, %d KiB in the morning; goroutines %d, %d in the morning",
		*passesFlag, requests, evening.HeapAlloc>>10, morning.HeapAlloc>>10, runtime.NumGoroutine(), goroutines)
}

// rest lets all settle, forgets what the test itself keeps, and measures.
func (p *process) rest(t *testing.T, m *runtime.MemStats) (goroutines int) {
	t.Helper()
	p.wire.Set(wire.Faults{})
	p.settle(t, nil)
	p.wire.Forget()
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(m)
	return runtime.NumGoroutine()
}
