package reconcile

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

func spec(name, file string) core.Spec {
	return core.Spec{ID: core.SpecID{Kind: "K", Name: name}, Pos: core.Pos{File: file}}
}

func object(name, file, value string) core.Object {
	s := spec(name, file)
	return core.Object{ID: core.ObjectID{Kind: "ConfigMap", Name: name}, Spec: s.ID, Pos: s.Pos,
		Fields: map[string]any{"data": value}}
}

func problem(s core.Spec) core.Problem { return core.Problem{Pos: s.Pos, Spec: s.ID} }

func TestKeepLastGood(t *testing.T) {
	before := core.Rendering{
		Specs:   []core.Spec{spec("a", "a.yaml"), spec("b", "b.yaml"), spec("c", "c.yaml"), spec("gone", "gone.yaml")},
		Objects: []core.Object{object("a", "a.yaml", "old"), object("b", "b.yaml", "old"), object("c", "c.yaml", "old"), object("gone", "gone.yaml", "old")},
		Expects: []core.Object{object("b", "b.yaml", "old")},
	}
	tests := []struct {
		name string
		want core.Rendering
		kept map[string]string // object -> value
	}{
		{"no problem, nothing kept", core.Rendering{
			Specs: []core.Spec{spec("a", "a.yaml")}, Objects: []core.Object{object("a", "a.yaml", "new")},
		}, map[string]string{"a": "new"}},
		{"a blocked spec stays as it was, a removed one does not", core.Rendering{
			Specs:    []core.Spec{spec("a", "a.yaml"), spec("b", "b.yaml"), spec("c", "c.yaml")},
			Objects:  []core.Object{object("a", "a.yaml", "new"), object("c", "c.yaml", "new")},
			Problems: []core.Problem{problem(spec("b", "b.yaml"))},
		}, map[string]string{"a": "new", "b": "old", "c": "new"}},
		{"a dependent without a problem of its own stays too", core.Rendering{
			Specs:    []core.Spec{spec("a", "a.yaml"), spec("b", "b.yaml"), spec("c", "c.yaml")},
			Objects:  []core.Object{object("a", "a.yaml", "new")},
			Problems: []core.Problem{problem(spec("b", "b.yaml"))},
		}, map[string]string{"a": "new", "b": "old", "c": "old"}},
		{"an unreadable file keeps what it declared", core.Rendering{
			Specs:    []core.Spec{spec("a", "a.yaml"), spec("c", "c.yaml")},
			Objects:  []core.Object{object("a", "a.yaml", "new"), object("c", "c.yaml", "new")},
			Problems: []core.Problem{{Pos: core.Pos{File: "b.yaml", Line: 3}}},
		}, map[string]string{"a": "new", "b": "old", "c": "new"}},
		{"an unreadable folder keeps all below it", core.Rendering{
			Specs:    []core.Spec{spec("a", "a.yaml")},
			Objects:  []core.Object{object("a", "a.yaml", "new")},
			Problems: []core.Problem{{Pos: core.Pos{File: "d"}}},
		}, map[string]string{"a": "new", "deep": "old"}},
		{"a file that all specs share keeps everything", core.Rendering{
			Problems: []core.Problem{{Pos: core.Pos{File: "site.cue", Line: 3}}},
		}, map[string]string{"a": "old", "b": "old", "c": "old", "gone": "old", "deep": "old"}},
		{"a tree that cannot be read at all keeps everything", core.Rendering{
			Problems: []core.Problem{{}},
		}, map[string]string{"a": "old", "b": "old", "c": "old", "gone": "old", "deep": "old"}},
	}
	before.Specs = append(before.Specs, spec("deep", "d/deep.yaml"))
	before.Objects = append(before.Objects, object("deep", "d/deep.yaml", "old"))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := make(map[string]string)
			for _, o := range KeepLastGood(tt.want, before).Objects {
				got[o.ID.Name] = o.Fields["data"].(string)
			}
			if diff := cmp.Diff(tt.kept, got); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
		})
	}
}
