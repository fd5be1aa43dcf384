package cluster

import (
	"time"

	"prumo.dev/prumo/internal/core"
)

// A still is an observation that asked for nothing: of each object it was known that
// it is in sync, or what stands in its way. While the same is wanted and the watches
// tell nothing, the next one is the same: a pass over 10,000 objects need not look at
// each.
type still struct {
	of      core.Rendering
	toApply bool
	events  uint64    // Watched.events, when it was made
	until   time.Time // something is due to be verified, or searched for
	seen    core.Observation
}

// unchanged returns what was seen last, if it would be seen again.
func (w *Watched) unchanged(r core.Rendering, toApply bool) (core.Observation, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.still
	if s == nil || w.renewed || s.toApply != toApply || s.events != w.events || time.Now().After(s.until) ||
		!identical(s.of.Specs, r.Specs) || !identical(s.of.Objects, r.Objects) || !identical(s.of.Expects, r.Expects) {
		w.still = nil
		return core.Observation{}, false
	}
	return s.seen, true
}

// keepStill keeps what a pass saw, if it may stand for the next. Events are those
// that were counted when it began.
func (w *Watched) keepStill(p *pass, events uint64, seen core.Observation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.inSync+p.snagged < len(p.r.Objects) || p.told < len(p.r.Expects) || len(seen.Orphans) > 0 || w.events != events {
		return
	}
	for _, t := range w.watches {
		if !t.listens() {
			return
		}
	}
	until := w.nextScan
	if p.inSync > 0 && p.due.Before(until) {
		until = p.due
	}
	w.still = &still{p.r, p.toApply, events, until, seen}
}

// identical reports whether two slices of a rendering are one: a rendering is never
// changed.
func identical[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
