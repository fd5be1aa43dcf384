package render

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Equal values become one, others stay what they are.
func TestIntern(t *testing.T) {
	object := func(n int64, name string) map[string]any {
		return map[string]any{
			"kind":     "A",
			"metadata": map[string]any{"name": name},
			"spec":     map[string]any{"n": n, "list": []any{map[string]any{"x": "y"}, 1.5, nil, true}, "none": map[string]any{}, "empty": []any{}},
		}
	}
	in := newInterner()
	a, b, c := in.fields(object(1, "a")), in.fields(object(1, "b")), in.fields(object(2, "c"))
	for i, pair := range [][2]map[string]any{{a, object(1, "a")}, {b, object(1, "b")}, {c, object(2, "c")}} {
		if diff := cmp.Diff(pair[1], pair[0]); diff != "" {
			t.Errorf("object %d changed (-want +got):\n%s", i, diff)
		}
	}
	one := func(a, b any) bool {
		return reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer()
	}
	list := func(o map[string]any) any { return o["spec"].(map[string]any)["list"] }
	switch {
	case one(a, b):
		t.Error("objects are one, want each on its own")
	case !one(a["spec"], b["spec"]):
		t.Error("equal specs are two")
	case one(a["spec"], c["spec"]):
		t.Error("other specs are one")
	case !one(list(a), list(c)):
		t.Error("equal lists in other specs are two")
	}
}

// Values whose hashes clash are not taken for one another.
func TestInternClash(t *testing.T) {
	in := newInterner()
	for _, pair := range [][2]any{
		{map[string]any{"a": int64(1)}, map[string]any{"a": int64(2)}},
		{map[string]any{"a": int64(1)}, map[string]any{"a": 1.0}},
		{map[string]any{"a": "1"}, map[string]any{"b": "1"}},
		{map[string]any{}, []any{}},
		{[]any{"a"}, []any{"a", "b"}},
		{[]any{"a"}, []any{[]any{}}},
	} {
		clear(in.kept)
		in.keep(pair[0], 7)
		if got := in.keep(pair[1], 7); !cmp.Equal(got, pair[1]) {
			t.Errorf("%v became %v", pair[1], got)
		}
	}
}
