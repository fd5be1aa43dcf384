package render

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

// What is packed comes out as it went in, each number of its own type.
func TestPack(t *testing.T) {
	for _, v := range []any{
		nil, true, false, "", "text", "ü\x00", strings.Repeat("long", 100),
		int64(0), int64(-1), int64(1), int64(math.MinInt64), int64(math.MaxInt64), 0.5, 1.0, -1e300,
		[]any{}, map[string]any{},
		[]any{nil, int64(1), 1.0, "1", []any{true}, map[string]any{"": nil}},
		map[string]any{"a": map[string]any{"b": []any{"c", int64(2)}}, "d": false, "e": 2.5},
	} {
		if diff := cmp.Diff(v, pack(v).value()); diff != "" {
			t.Errorf("%#v (-want +got):\n%s", v, diff)
		}
	}
}

// Equal data are equal bytes: facts are compared by them.
func TestPackIsCanonical(t *testing.T) {
	one := pack(map[string]any{"a": int64(1), "b": int64(2), "c": int64(3), "d": int64(4)})
	for range 50 {
		if again := pack(one.value()); !bytes.Equal(one, again) {
			t.Fatalf("packed twice: %q and %q", one, again)
		}
	}
	for _, other := range []any{map[string]any{"a": 1.0}, map[string]any{"a": "1"}, []any{"a", int64(1)}} {
		if bytes.Equal(pack(map[string]any{"a": int64(1)}), pack(other)) {
			t.Errorf("%#v is packed like another value", other)
		}
	}
}

// All objects of a spec get the fields that are theirs, once.
func TestUnpack(t *testing.T) {
	field := func(name string) map[string]any {
		return map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name}}
	}
	object := func(name string) core.Object { return core.Object{ID: core.ObjectID{Kind: "ConfigMap", Name: name}} }
	out := &outcome{Objects: []core.Object{object("first"), object("second")}, Expects: []core.Object{object("expected")},
		Precautions: []core.Object{object("precaution")}}
	for _, name := range []string{"first", "second", "expected", "precaution"} {
		out.Fields = out.Fields.pack(field(name))
	}
	out.clip()
	for range 2 {
		if err := out.unpack(newInterner()); err != nil {
			t.Fatal(err)
		}
		got := []map[string]any{out.Objects[0].Fields, out.Objects[1].Fields, out.Expects[0].Fields, out.Precautions[0].Fields}
		if diff := cmp.Diff([]map[string]any{field("first"), field("second"), field("expected"), field("precaution")}, got); diff != "" {
			t.Errorf("fields (-want +got):\n%s", diff)
		}
	}
}
