package render

import (
	"cmp"
	"strings"
	"testing"
	"testing/fstest"

	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/parser"
	gocmp "github.com/google/go-cmp/cmp"
)

// What a kind says of checks, objects and expects is put aside, unless something
// else in the kind needs it.
func TestParseEarly(t *testing.T) {
	tests := []struct{ name, src, want string }{
		{"plain", "kinds: A: {refs: [in.x], objects: {o: in.y}}",
			"kinds: A: {refs: [in.x], objects: _, _later_objects: {[\"never\"]: {o: in.y}}}"},
		{"unified", "kinds: A: #Kind & {facts: in.x, checks: []} & #More",
			"kinds: A: #Kind & {facts: in.x, checks: _, _later_checks: {[\"never\"]: []}} & #More"},
		{"in a comprehension", "kinds: A: {if in.x {expects: {n: objects.o}}, objects: {o: 1}}",
			"kinds: A: {if in.x {_later_expects: {[\"never\"]: {n: objects.o}}}, objects: _, _later_objects: {[\"never\"]: {o: 1}}}"},
		{"facts look at objects", "kinds: A: {facts: n: len(objects), objects: o: 1}", ""},
		{"refs look at objects by a let", "kinds: A: {let os = objects, refs: [for o in os {o}], objects: o: 1}", ""},
		{"a condition looks at checks", "kinds: A: {if len(checks) > 0 {objects: {}}, checks: []}", ""},
		{"a field inside of facts", "kinds: A: {facts: checks: objects.o, objects: o: 1}", ""},
		{"no kind", "#A: {objects: o: 1}", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file, err := parseEarly("a.cue", tt.src, parser.NewConfig())
			if err != nil {
				t.Fatal(err)
			}
			got, err := format.Node(file)
			if err != nil {
				t.Fatal(err)
			}
			flat := strings.NewReplacer(" ", "", "\t", "", "\n", "", ",", "")
			if diff := gocmp.Diff(flat.Replace(cmp.Or(tt.want, tt.src)), flat.Replace(string(got))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A kind whose refs come from its objects is odd, and works.
func TestRefsFromObjects(t *testing.T) {
	tree := common(t)
	tree["boxes/a.yaml"] = boxYAML("a", 2)
	tree["kinds/odd.cue"] = &fstest.MapFile{Data: []byte(`package kinds

import "prumo.dev/schemas"

kinds: Odd: schemas.#Kind & {
	in: spec: box!: string
	deps: _
	objects: (in.spec.box): {apiVersion: "v1", kind: "ConfigMap", metadata: name: "odd", data: size: "\([for _, b in deps.Box {b.size}, 0][0])"}
	refs: [for name, _ in objects {kind: "Box", "name": name}]
}
`)}
	tree["odd/odd.yaml"] = &fstest.MapFile{Data: []byte("apiVersion: prumo.dev/v1alpha1\nkind: Odd\nmetadata: {name: o}\nspec: {box: a}\n")}
	got := print(render(t, newRenderer(t), tree))
	want := "object ConfigMap/odd of Odd/o: map[apiVersion:v1 data:map[size:2] kind:ConfigMap metadata:map[name:odd]]"
	if !strings.Contains(got, want) || strings.Contains(got, "problem") {
		t.Errorf("got\n%s\nwant %s", got, want)
	}
}
