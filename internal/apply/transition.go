package apply

import (
	"reflect"
	"slices"

	"prumo.dev/prumo/internal/core"
)

// A transition is the step from what was in force to what shall be.
type transition struct {
	refs          map[core.SpecID][]core.SpecID // in either
	before, after map[core.SpecID]bool          // the specs of each
	was, is       map[core.ObjectID]*core.Object
}

func newTransition(before, after core.Rendering) *transition {
	s := &transition{
		refs:   refsOf(before, after),
		before: map[core.SpecID]bool{}, after: map[core.SpecID]bool{},
		was: byID(before.Objects), is: byID(after.Objects),
	}
	for _, spec := range before.Specs {
		s.before[spec.ID] = true
	}
	for _, spec := range after.Specs {
		s.after[spec.ID] = true
	}
	return s
}

func byID(objects []core.Object) map[core.ObjectID]*core.Object {
	m := make(map[core.ObjectID]*core.Object, len(objects))
	for i := range objects {
		m[objects[i].ID] = &objects[i]
	}
	return m
}

// mayNeed reports whether an object that is not as it should be may still need one
// that goes, or is what comes in its place:
//
//   - an object of the same spec: the spec is whole, or stays as it was;
//   - an object of a spec that refers to it, or did before;
//   - in the same namespace, an object that these very commits ask for;
//   - an object of a spec that is new, where one of the same kind goes: it may
//     have been renamed.
func (s *transition) mayNeed(o core.Object, going core.Change) bool {
	switch {
	case o.Spec == going.Spec, slices.Contains(s.refs[o.Spec], going.Spec):
		return true
	case s.isAsked(o.ID) && o.ID.Namespace != "" && (o.ID.Namespace == going.ID.Namespace || isNamespaceOf(going.ID, o.ID)):
		return true
	}
	return !s.before[o.Spec] && !s.after[going.Spec] && o.Spec.Kind == going.Spec.Kind
}

// isAsked reports whether an object is wanted anew, or in another way than before.
func (s *transition) isAsked(id core.ObjectID) bool {
	was, is := s.was[id], s.is[id]
	return was == nil || is == nil || !reflect.DeepEqual(was.Fields, is.Fields)
}

func isNamespaceOf(id, inner core.ObjectID) bool {
	return id.Group == "" && id.Kind == "Namespace" && id.Name == inner.Namespace
}

// refsOf are what the specs of renderings refer to.
func refsOf(renderings ...core.Rendering) map[core.SpecID][]core.SpecID {
	refs := map[core.SpecID][]core.SpecID{}
	for _, r := range renderings {
		for _, s := range r.Specs {
			refs[s.ID] = slices.Concat(refs[s.ID], s.Refs)
		}
	}
	return refs
}
