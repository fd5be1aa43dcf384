package cluster

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"prumo.dev/prumo/internal/core"
)

// A record is what is known of one live object from a watch.
type record struct {
	version string
	digest  digest
	full    map[string]any // nil: in sync, so that nobody needs to look at it
	seen    bool           // full was read live, not taken from the watch
}

// A sighting is what is kept of one event. Its name is what stores know it by.
type sighting struct {
	metav1.ObjectMeta
	record
	id     core.ObjectID
	agreed *verdict // it is as it is wanted, which could be told without asking
}

// look keeps of a live object what is needed: nothing but a digest, if it is as the
// last pass wanted it.
func (t *watch) look(u *unstructured.Unstructured) *sighting {
	s := &sighting{
		ObjectMeta: metav1.ObjectMeta{Namespace: u.GetNamespace(), Name: u.GetName()},
		id:         idOf(u.Object), record: record{version: u.GetResourceVersion(), full: u.Object},
	}
	if t.key.scope == scopeAll {
		unstructured.RemoveNestedField(s.full, "status", "images") // of a Node: by far the most of it
		s.digest = statedDigest(s.full)
		return s
	}
	s.digest = digestOf(s.full)
	t.w.mu.Lock()
	known, wish := t.w.memory.knows(s.id, s.digest), t.w.memory.wishes[s.id]
	t.w.mu.Unlock()
	if known || wish == nil || !t.w.c.Owns(s.full) {
		return s
	}
	if sent, giveUp := manifest(*wish, s.full, t.w.c.instance); len(giveUp) == 0 && agrees(sent, s.full) {
		s.agreed, s.full = t.w.memory.verdict(*wish, s.digest), nil
	}
	return s
}

// put takes in one object as it is now. The lock is held.
func (t *watch) put(obj any) {
	t.w.events++
	s, ok := obj.(*sighting)
	switch {
	case t.key.scope == scopeKinds:
		if t.synced {
			t.w.kindsChanged()
			t.w.poke()
		}
		return
	case !ok:
		return
	}
	r, old := s.record, t.records[s.id]
	if s.agreed != nil {
		t.w.memory.add(s.id, s.agreed)
	}
	if t.key.scope == scopeOurs {
		r.seen = old != nil && old.seen && old.digest == r.digest
		if !r.seen && t.w.memory.knows(s.id, r.digest) {
			r.full = nil
		}
	}
	t.records[s.id] = &r
	if t.synced && (old == nil || old.digest != r.digest) {
		t.w.stir(s.id)
		if r.full != nil && !t.w.resting[s.id] {
			t.w.poke()
		}
	}
}
