package cluster

import (
	"context"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"prumo.dev/prumo/internal/core"
)

const (
	// firstRetry is when the server is asked again about what it has refused; then
	// after twice as long each time, up to lastRetry.
	firstRetry = time.Second
	lastRetry  = 5 * time.Minute

	// snagKept is how long a snag is remembered that no pass speaks of any more.
	snagKept = time.Hour
)

// A snag is what stands in the way of an object: the server refuses it, or others
// hold fields of what is not ours yet. What it is lies elsewhere, and nothing tells
// for sure when it goes. So the server is asked again, later each time, and beside the
// passes: none of them waits for an answer that a webhook may take half a minute for.
// Snags are guarded by the lock of their Watched.
type snag struct {
	subject
	found  core.Observed // by who asked last; what passes are told
	live   digest        // of what was live then
	tries  int
	asked  time.Time // last
	next   time.Time // when it is asked about again
	told   time.Time // to a pass, last
	asking bool
	gone   bool // the server has nothing against it now: the next pass asks for itself
}

// isSnag reports whether an answer of the server is one that more than we can end.
func isSnag(o core.Observed) bool { return o.Blocked != "" || !o.Ours && len(o.Conflicts) > 0 }

// snag is what stands in the way of what o wants, or nil.
func (m *memory) snag(o core.Object) *snag {
	for _, s := range m.snags[o.ID] {
		if s.about(o) {
			return s
		}
	}
	return nil
}

// holds reports whether a snag may still be as it was found, for all that is known of
// the live object from a watch, which tells of ours alone.
func (s *snag) holds(r *record) bool {
	if r == nil {
		return !s.found.Ours
	}
	return r.digest == s.live
}

// met notes a snag, again or for the first time.
func (m *memory) met(o core.Observed) {
	id, now := o.Object.ID, time.Now()
	s := m.snag(o.Object)
	if s == nil {
		s = &snag{subject: subjectOf(o.Object), told: now}
		all := slices.Insert(m.snags[id], 0, s)
		m.snags[id] = all[:min(len(all), verdictsPerObject)]
	}
	s.found, s.live, s.gone, s.asked = o, digestOf(o.Live), false, now
	s.next = now.Add(min(firstRetry<<min(s.tries, 16), lastRetry))
	s.tries++
}

// baulked notes that a manifest could not be applied. Nothing that was said of the
// object is believed any more, but that the server refuses to create it.
func (m *memory) baulked(object core.Object, manifest map[string]any, err error) {
	for _, s := range m.snags[object.ID] {
		s.gone = true
	}
	reason, refused := Refusal(err, object.ID)
	isNew := (&unstructured.Unstructured{Object: manifest}).GetUID() == ""
	if refused && isNew && !apierrors.IsConflict(err) {
		m.met(core.Observed{Object: object, Manifest: manifest, Blocked: reason})
	}
}

// forget drops what no pass has spoken of for long.
func (m *memory) forget() {
	for id, all := range m.snags {
		m.snags[id] = slices.DeleteFunc(all, func(s *snag) bool { return time.Since(s.told) > snagKept })
	}
	maps.DeleteFunc(m.snags, func(_ core.ObjectID, all []*snag) bool { return len(all) == 0 })
}

// recallSnag tells a pass what stands in the way of an object, and reports whether
// something does.
func (w *Watched) recallSnag(p *pass, o core.Object) bool {
	s := w.memory.snag(o)
	if s == nil || s.gone || !s.holds(w.record(o)) || !p.api.has(o) {
		return false
	}
	s.told = time.Now()
	known := s.found
	known.Object, known.Spec, known.RetryAt = o, p.specs[o.Spec], s.next
	p.known[o.ID] = known
	p.snagged++
	if isNamespace(o) && known.Live != nil {
		p.live[o.ID] = known.Live
	}
	return true
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
			s.tries = 0
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
