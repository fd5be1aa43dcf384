package render

import (
	"hash/maphash"
	"maps"
	"reflect"
	"slices"

	"prumo.dev/prumo/internal/core"
)

// An interner keeps one of each value. Objects say the same things again and again
// (security contexts, selectors, rules for DNS), and small maps are what they take
// most memory for.
type interner struct {
	seed  maphash.Seed
	kept  map[uint64]any // maps and lists, by hash; of two that share one the first
	texts map[string]string
}

func newInterner() *interner {
	return &interner{seed: maphash.MakeSeed(), kept: map[uint64]any{}, texts: map[string]string{}}
}

// text returns the string of these bytes.
func (in *interner) text(b []byte) string {
	s, ok := in.texts[string(b)]
	if !ok {
		s = string(b)
		in.texts[s] = s
	}
	return s
}

// names interns what an object and its spec are called.
func (in *interner) names(o *core.Object) {
	for _, s := range []*string{&o.ID.Group, &o.ID.Kind, &o.ID.Namespace, &o.ID.Name, &o.Spec.Kind, &o.Spec.Name, &o.Pos.File} {
		*s = in.text([]byte(*s))
	}
}

// fields interns what is below the fields of an object, which itself is like no
// other. What it returns is never to be written to.
func (in *interner) fields(m map[string]any) map[string]any {
	for k, v := range m {
		m[k], _ = in.value(v)
	}
	return m
}

// value returns a value like v, in JSON's shape, and its hash.
func (in *interner) value(v any) (any, uint64) {
	switch v := v.(type) {
	case map[string]any:
		sum := uint64(1)
		for k, e := range v {
			kept, h := in.value(e)
			v[k] = kept
			sum += maphash.Comparable(in.seed, entry{k, h}) // in any order
		}
		return in.keep(v, sum), sum
	case []any:
		sum := uint64(2)
		for i, e := range v {
			kept, h := in.value(e)
			v[i] = kept
			sum = maphash.Comparable(in.seed, [2]uint64{sum, h})
		}
		return in.keep(v, sum), sum
	}
	return v, maphash.Comparable(in.seed, v)
}

type entry struct {
	key  string
	hash uint64
}

// keep returns the value that is kept for v, or v.
func (in *interner) keep(v any, sum uint64) any {
	kept, ok := in.kept[sum]
	if !ok {
		in.kept[sum] = v
		return v
	}
	if same(kept, v) {
		return kept
	}
	return v
}

// same reports whether two values are alike whose parts are interned.
func same(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, identical)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, identical)
	}
	return false
}

// identical reports whether two interned values are one.
func identical(a, b any) bool {
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	if va.Kind() != reflect.Map && va.Kind() != reflect.Slice {
		return va.Kind() == vb.Kind() && a == b
	}
	return va.Kind() == vb.Kind() && va.Len() == vb.Len() && va.UnsafePointer() == vb.UnsafePointer()
}
