package cluster

import (
	"context"
	"slices"
	"time"

	"prumo.dev/prumo/internal/core"
)

const (
	// firstRetry is when the server is asked again about what it has refused; then
	// after twice as long each time, up to soonRetry for a while, and lastRetry.
	firstRetry = time.Second
	soonRetry  = 10 * time.Second
	lastRetry  = 5 * time.Minute

	// retryShare is the part of its age that the pause before a try may grow to, and
	// retryGap the least time between two tries of all snags together, once each of
	// them has come to that.
	retryShare = 30
	retryGap   = 50 * time.Millisecond
)

// pause is how long to wait with the next try. What a person mends is mended within
// minutes mostly, and what nobody has mended for hours can wait for minutes.
func (m *memory) pause(s *snag) time.Duration {
	calm := max(soonRetry, s.asked.Sub(s.since)/retryShare, time.Duration(len(m.snags))*retryGap)
	return min(firstRetry<<min(s.tries, 16), calm, lastRetry)
}

// stir has soon asked about again what may go on now that something happened to an
// object: what lies in its namespace or, if it lies in none, everything. The lock is
// held.
func (w *Watched) stir(id core.ObjectID) {
	if len(w.memory.snags) == 0 {
		return
	}
	for other, all := range w.memory.snags {
		if id.Namespace != "" && other.Namespace != id.Namespace {
			continue
		}
		for _, s := range all {
			s.tries, s.since = 0, time.Now()
			if soon := s.asked.Add(firstRetry); soon.Before(s.next) {
				s.next = soon
			}
		}
	}
	w.hurry()
}

// hurry has looked at what is due.
func (w *Watched) hurry() {
	select {
	case w.stirred <- struct{}{}:
	default:
	}
}

// retry asks again about snags as they fall due, until the watches end.
func (w *Watched) retry() {
	slots := make(chan struct{}, concurrency)
	for {
		due, pause := w.dueSnags()
		for _, s := range due {
			select {
			case <-w.ctx.Done():
				return
			case slots <- struct{}{}:
			}
			w.running.Go(func() {
				w.askAgain(s)
				<-slots
			})
		}
		select {
		case <-w.ctx.Done():
			return
		case <-w.stirred:
		case <-time.After(pause):
		}
	}
}

// dueSnags returns the snags to ask about now, those that wait for longest first,
// and how long it is until there are others.
func (w *Watched) dueSnags() (due []*snag, pause time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	pause = lastRetry
	for _, all := range w.memory.snags {
		for _, s := range all {
			switch {
			case s.gone || s.asking:
			case s.next.After(now):
				pause = min(pause, s.next.Sub(now))
			default:
				s.asking = true
				due = append(due, s)
			}
		}
	}
	slices.SortFunc(due, func(a, b *snag) int { return a.next.Compare(b.next) })
	return due, pause
}

// askAgain asks about one snag. What a pass should know of wakes the loop.
func (w *Watched) askAgain(s *snag) {
	w.mu.Lock()
	o, spec := s.found.Object, s.found.Spec
	w.mu.Unlock()
	now, err := w.c.lookAt(w.ctx, o, spec)
	w.mu.Lock()
	defer w.mu.Unlock()
	s.asking = false
	if err != nil {
		now = s.found // passes tell what is wrong with the server
	}
	switch {
	case s.gone || w.memory.snag(o) != s: // settled meanwhile
	case isSnag(now):
		if now.Blocked != s.found.Blocked {
			w.poke()
		}
		w.memory.met(now)
	default:
		s.gone = true
		w.poke()
	}
	w.events++
	w.hurry()
}

// lookAt reads one object and asks about it.
func (c *Cluster) lookAt(ctx context.Context, o core.Object, spec core.Spec) (core.Observed, error) {
	p := newPass(c, core.Rendering{Objects: []core.Object{o}, Specs: []core.Spec{spec}})
	for _, step := range []func(context.Context) error{p.discover, p.fetch} {
		if err := step(ctx); err != nil {
			return core.Observed{}, err
		}
	}
	seen, err := p.predict(ctx)
	if err != nil {
		return core.Observed{}, err
	}
	return seen[0], nil
}
