package cluster

import (
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"prumo.dev/prumo/internal/core"
)

// snagKept is how long a snag is remembered that no pass speaks of any more.
const snagKept = time.Hour

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
	since  time.Time // it was met, or something happened that may end it
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
		s = &snag{subject: subjectOf(o.Object), since: now, told: now}
		all := slices.Insert(m.snags[id], 0, s)
		m.snags[id] = all[:min(len(all), verdictsPerObject)]
	}
	s.found, s.live, s.gone, s.asked = o, digestOf(o.Live), false, now
	s.next = now.Add(m.pause(s))
	s.tries++
}

// baulked notes that a manifest could not be applied. Nothing that was said of the
// object is believed any more, but that the server refuses to create it.
func (m *memory) baulked(object core.Object, manifest map[string]any, err error) {
	for _, s := range m.snags[object.ID] {
		s.gone = true
	}
	why, refused := Refusal(err, object.ID)
	isNew := (&unstructured.Unstructured{Object: manifest}).GetUID() == ""
	if refused && isNew && !apierrors.IsConflict(err) {
		m.met(core.Observed{Object: object, Manifest: manifest, Blocked: why.Reason, ServerSays: why.ServerSays})
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
		p.patience.late[o.ID] = s != nil && s.gone
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
