package render

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"sync"

	"prumo.dev/prumo/internal/core"
)

// A task evaluates something with the kinds of the worker that runs it.
type task struct {
	do   func(*shared)
	pos  core.Pos           // of what is evaluated
	fail func(core.Problem) // is told what became of do, if that panics
}

const (
	// muchWork is how many tasks are worth one more worker: to load kinds costs as
	// much as some dozens of them.
	muchWork = 64

	// maxWorkers bounds memory: each worker has kinds and garbage of its own.
	maxWorkers = 4
)

// A crew evaluates for one rendering. Values that pass through an import race when
// goroutines share them (cuelang.org/go v0.17.1), so every worker has kinds that it
// loaded itself. The first has those of the renderer; others come when there is
// much to do, and are gone after the rendering.
type crew struct {
	workers [maxWorkers]*shared
}

// do runs tasks, in no order, and waits for them. It is up to tasks to end when
// ctx does.
func (c *crew) do(ctx context.Context, tasks iter.Seq[task]) error {
	queue := make(chan task, maxWorkers)
	var wg sync.WaitGroup
	var errs [maxWorkers]error
	origin := c.workers[0] // the first worker may get others
	begin := func(i int) {
		wg.Go(func() { errs[i] = c.work(i, origin, queue) })
	}
	begin(0)
	begun, n := 1, 0
	for t := range tasks {
		queue <- t
		if n++; n%muchWork == 0 && begun < min(maxWorkers, runtime.GOMAXPROCS(0)) {
			begin(begun)
			begun++
		}
	}
	close(queue)
	wg.Wait()
	return errors.Join(append(errs[:], ctx.Err())...)
}

// work is what one worker does. Who sends tasks is never left waiting. No other
// goroutine looks at what c has for this worker.
func (c *crew) work(i int, origin *shared, queue <-chan task) error {
	defer func() {
		for range queue {
		}
	}()
	if c.workers[i] == nil {
		if err := c.reload(i, origin); err != nil {
			return err
		}
	}
	for t := range queue {
		cause := survive(func() { t.do(c.workers[i]) })
		if cause == nil {
			continue
		}
		t.fail(panicked(t.pos, cause))
		if err := c.reload(i, origin); err != nil { // what CUE left half done is not used again
			return err
		}
	}
	return nil
}

// reload gives a worker kinds that nobody has used yet.
func (c *crew) reload(i int, origin *shared) error {
	twin, err := origin.twin()
	if err != nil {
		return fmt.Errorf("load the kinds once more: %w", err)
	}
	c.workers[i] = twin
	return nil
}
