package render

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
)

// panics is CUE that cuelang.org/go v0.17.1 panics on: its issue 4447.
const panics = "{x: 0 | 1, x, x * 0}"

// A panic inside CUE is a problem of the file that made it. All else is rendered,
// then and from then on.
func TestPanicIsAProblem(t *testing.T) {
	kind := func(body string) string {
		return "package kinds\n\nimport \"prumo.dev/schemas\"\n\nkinds: Crash: schemas.#Kind & {\n\tin: schemas.#Envelope & {kind: \"Crash\", spec: how: string}\n" + body + "}\n"
	}
	spec := "apiVersion: prumo.dev/v1alpha1\nkind: Crash\nmetadata: {name: c}\nspec: {how: badly}\n"
	tests := []struct {
		name, at string
		files    map[string]string
		rest     int // objects of the other specs
	}{
		{"a spec", "crash/c.cue:1", map[string]string{"crash/c.cue": "package crash\n\n" + panics + "\n"}, 2},
		{"a kind, when a spec is read", "crash/c.yaml:1", map[string]string{"crash/c.yaml": spec,
			"kinds/crash.cue": kind("\tfacts: {if in.spec.how == \"badly\" {y: " + panics + "}}\n")}, 2},
		{"a kind, when a spec is completed", "crash/c.yaml:1:1", map[string]string{"crash/c.yaml": spec,
			"kinds/crash.cue": kind("\trefs: [{kind: \"Box\", name: \"b\"}]\n\tdeps: _\n\tobjects: {if deps.Box.b.size == 2 {y: " + panics + "}}\n")}, 2},
		{"a kind", "kinds", map[string]string{"kinds/crash.cue": kind("\tfacts: y: " + panics + "\n")}, 0},
		{"the site", "site.cue:1", map[string]string{"site.cue": "package infra\n\nsite: " + panics + "\n"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tree := common(t)
			good := maps.Clone(tree)
			for _, to := range []fstest.MapFS{tree, good} {
				to["boxes/b.yaml"] = boxYAML("b", 2)
				to["users/u.yaml"] = userYAML("u", "b")
			}
			for name, text := range tt.files {
				tree[name] = &fstest.MapFile{Data: []byte(text)}
			}
			r := newRenderer(t)
			out := render(t, r, tree)
			if len(out.Problems) != 1 || out.Problems[0].Pos.String() != tt.at || !strings.Contains(out.Problems[0].Msg, "panics") {
				t.Errorf("problems %v, want one at %s that tells of a panic", out.Problems, tt.at)
			}
			if len(out.Objects) != tt.rest {
				t.Errorf("%d objects, want %d", len(out.Objects), tt.rest)
			}
			for n := range 3 {
				good["boxes/b.yaml"] = boxYAML("b", 3+n)
				got, want := print(render(t, r, good)), print(render(t, newRenderer(t), good))
				if got != want {
					t.Fatalf("after it:\n%s\nwant:\n%s", got, want)
				}
			}
		})
	}
}

// Many panics at once end neither the process nor the workers.
func TestManyPanics(t *testing.T) {
	tree := common(t)
	for i := range 3 * muchWork {
		tree[fmt.Sprintf("boxes/b%d.yaml", i)] = boxYAML(fmt.Sprintf("b%d", i), 2)
		if i%20 == 0 {
			tree[fmt.Sprintf("boxes/c%d.cue", i)] = &fstest.MapFile{Data: []byte("package boxes\n\n" + panics + "\n")}
		}
	}
	out := render(t, newRenderer(t), tree)
	if len(out.Objects) != 3*muchWork || len(out.Problems) != 10 {
		t.Errorf("%d objects and %d problems, want %d and 10", len(out.Objects), len(out.Problems), 3*muchWork)
	}
}
