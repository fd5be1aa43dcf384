package apply

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"
)

// A walk makes the changes of a graph, each as soon as all that comes before it
// is made. So many are under way at once, whatever they belong to: one that takes
// long holds up its own dependents and nobody else.
type walk struct {
	p     *pass
	ctx   context.Context
	group *errgroup.Group
	do    func(context.Context, int) error
	queue chan task

	mu   sync.Mutex
	left int // steps that have not ended
}

// A task is one change of a step.
type task struct {
	step   *step
	change int
}

// walk goes through a graph, up to the first fault.
func (p *pass) walk(ctx context.Context, g *graph, do func(context.Context, int) error) error {
	w := &walk{p: p, do: do, queue: make(chan task, len(p.changes)), left: len(g.steps)}
	w.group, w.ctx = errgroup.WithContext(ctx)
	var first []*step
	for _, s := range g.steps {
		if s.waits == 0 {
			first = append(first, s)
		}
	}
	w.mu.Lock()
	for _, s := range first {
		w.begin(s)
	}
	w.mu.Unlock()
	if len(g.steps) > 0 {
		for range concurrency {
			w.group.Go(w.work)
		}
	}
	return w.group.Wait()
}

// work makes changes until there are none left.
func (w *walk) work() error {
	for {
		select {
		case <-w.ctx.Done():
			return context.Cause(w.ctx)
		case t, more := <-w.queue:
			if !more {
				return nil
			}
			if err := w.p.try(w.ctx, t.change, w.do); err != nil {
				return err
			}
			w.made(t.step)
		}
	}
}

// try makes one change, if it was not said already why not.
func (p *pass) try(ctx context.Context, i int, do func(context.Context, int) error) error {
	if p.outcomes[i].Status != "" {
		return nil
	}
	return p.settle(ctx, i, do(ctx, i))
}

func (w *walk) made(s *step) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.open--; s.open == 0 {
		w.finish(s)
	}
}

// begin, finish and end are what happens to a step, under the lock.
func (w *walk) begin(s *step) {
	if s.enter != nil {
		s.enter()
	}
	s.open = len(s.changes)
	for _, i := range s.changes {
		w.queue <- task{s, i} // there is room for all
	}
	if s.open == 0 {
		w.finish(s)
	}
}

func (w *walk) finish(s *step) {
	if s.leave == nil {
		w.end(s)
		return
	}
	w.group.Go(func() error {
		err := s.leave(w.ctx)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.end(s)
		return err
	})
}

func (w *walk) end(s *step) {
	for _, n := range s.next {
		if n.waits--; n.waits == 0 {
			w.begin(n)
		}
	}
	if w.left--; w.left == 0 {
		close(w.queue)
	}
}
