package render

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"prumo.dev/prumo/internal/core"
)

// A task is for any evaluator of a crew.
type task struct {
	do   func(context.Context, evaluator) (size int, err error) // in bytes, of what came of it
	pos  core.Pos                                               // of what is evaluated
	fail func(core.Problem)                                     // is told if that has a failure
}

const (
	// muchWork is how many tasks are worth one more worker: to load kinds costs as
	// much as some dozens of them.
	muchWork = 64

	// maxWorkers bounds memory: each worker has kinds and garbage of its own.
	maxWorkers = 4
)

// A crew evaluates for one rendering. Workers come when there is something to do,
// and others when it is much.
type crew struct {
	staff   staff
	basis   *basis
	limit   int64 // bytes of what all tasks come to
	said    atomic.Int64
	workers [maxWorkers]evaluator
}

// begin loads the basis, and returns the path of the repo's module or what is wrong.
func (c *crew) begin(ctx context.Context) (path string, problems []core.Problem, err error) {
	c.workers[0], path, problems, err = c.hire(ctx)
	return path, problems, err
}

// hire hires an evaluator that has loaded the basis. That it could not be loaded is a
// *treeFailure.
func (c *crew) hire(ctx context.Context) (e evaluator, path string, problems []core.Problem, err error) {
	err = twice(func() (err error) {
		e, path, problems, err = c.staff.hire(ctx, c.basis)
		return err
	})
	if f, ok := errors.AsType[*failure](err); ok {
		pos := core.Pos{File: siteFile, Line: 1}
		if len(c.basis.Kinds) > 0 {
			pos = core.Pos{File: kindsDir}
		}
		return nil, "", nil, &treeFailure{problem(pos, "%v", f)}
	}
	return e, path, problems, err
}

// twice asks once more if the evaluator died. A second death is a *failure of what
// was asked.
func twice(ask func() error) error {
	err := ask()
	if _, dead := errors.AsType[*death](err); dead {
		err = ask()
	}
	if d, dead := errors.AsType[*death](err); dead {
		return &failure{fmt.Sprintf("evaluation ended twice (%s); write it another way", d.how)}
	}
	return err
}

// do runs tasks, in no order, and waits for them. It is up to tasks to end when
// ctx does.
func (c *crew) do(ctx context.Context, tasks iter.Seq[task]) error {
	queue := make(chan task, maxWorkers)
	var wg sync.WaitGroup
	var errs [maxWorkers]error
	begun, n := 0, 0
	for t := range tasks {
		if n%muchWork == 0 && begun < min(maxWorkers, c.staff.most()) {
			i := begun
			wg.Go(func() { errs[i] = c.work(ctx, i, queue) })
			begun++
		}
		queue <- t
		n++
	}
	close(queue)
	wg.Wait()
	return errors.Join(append(errs[:], ctx.Err())...)
}

// work is what one worker does. Who sends tasks is never left waiting. No other
// goroutine looks at what c has for this worker.
func (c *crew) work(ctx context.Context, i int, queue <-chan task) error {
	defer func() {
		for range queue {
		}
	}()
	for t := range queue {
		var size int
		err := twice(func() (err error) {
			if err = c.replace(ctx, i); err != nil {
				return err
			}
			if size, err = t.do(ctx, c.workers[i]); err != nil {
				c.workers[i] = nil
			}
			return err
		})
		if c.said.Add(int64(size)) > c.limit {
			return &treeFailure{problem(core.Pos{}, "all files together come to more than %d MiB, which is the limit; split the repo", c.limit>>20)}
		}
		if err == nil {
			continue
		}
		f, ok := errors.AsType[*failure](err)
		if !ok {
			return err
		}
		t.fail(problem(t.pos, "%v", f))
	}
	return nil
}

// replace hires a worker where there is none.
func (c *crew) replace(ctx context.Context, i int) error {
	if c.workers[i] != nil {
		return nil
	}
	e, _, problems, err := c.hire(ctx)
	if err == nil && len(problems) > 0 {
		err = errors.New(problems[0].String())
	}
	if err != nil {
		return fmt.Errorf("load the kinds once more: %w", err)
	}
	c.workers[i] = e
	return nil
}

// end lets all go.
func (c *crew) end() {
	for _, e := range c.workers {
		if e != nil {
			c.staff.release(e)
		}
	}
}
