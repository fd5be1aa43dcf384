package render

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"prumo.dev/prumo/internal/core"
)

// FuzzYAML feeds any bytes as a YAML spec file. Whatever they are, each Problem
// has a place and one line, and a file that is not empty says something.
func FuzzYAML(f *testing.F) {
	f.Add([]byte("apiVersion: prumo.dev/v1alpha1\nkind: Box\nmetadata: {name: a}\nspec: {size: 3}\n"))
	f.Add([]byte("apiVersion: prumo.dev/v1alpha1\nkind: Box\nmetadata:\n  name: a\nspec:\n  sizes: 3\n  parts: [{name: 1}]\n---\nx: &a [*a]\n"))
	f.Add([]byte("a: b: c"))
	f.Add([]byte("<<: {kind: Box}\napiVersion: prumo.dev/v1alpha1\n? [x]\n: y\n"))
	f.Add([]byte("kind: !!binary aGVsbG8=\nmetadata: 0x1F\nspec: .nan\n"))
	r := newRenderer(f)
	tree := common(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		tree["boxes/a.yaml"] = &fstest.MapFile{Data: src}
		out := render(t, r, tree)
		if len(out.Problems)+len(out.Specs) == 0 {
			t.Errorf("neither a spec nor a problem of %q", src)
		}
		for _, p := range out.Problems {
			if p.Pos.File != "boxes/a.yaml" || p.Msg == "" || strings.ContainsAny(p.Msg, "\n\x1b") {
				t.Errorf("problem %q of %q", p, src)
			}
		}
	})
}

// Input made to exhaust memory, stack or patience ends in a Problem of its own
// file, soon; the other files are rendered.
func TestHostileFiles(t *testing.T) {
	bomb := "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 9; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9))
	}
	envelope := "apiVersion: prumo.dev/v1alpha1\nkind: Box\nmetadata: {name: evil}\n"
	tests := []struct{ name, file, src, want string }{
		{"aliases", "x.yaml", bomb, "aliases expand to more than"},
		{"own alias", "x.yaml", "a: &a [*a]\n", "anchor"},
		{"deep lists", "x.yaml", strings.Repeat("[", 100_000), "depth"},
		{"deep data", "x.yaml", envelope + "spec: " + strings.Repeat("{a: ", 150) + "1" + strings.Repeat("}", 150), "nests deeper than 100"},
		{"deep CUE", "x.cue", "a: " + strings.Repeat("[", 100_000), "tokens nest or chain"},
		{"deep fields", "x.cue", strings.Repeat("a: ", 900) + "1", "nests deeper than 100"},
		{"deeper fields", "x.cue", strings.Repeat("a: ", 1_300_000) + "1", "tokens nest or chain"},
		{"operators", "x.cue", "a: " + strings.Repeat("!", 100_000) + "true", "tokens nest or chain"},
		{"indices", "x.cue", "a: x" + strings.Repeat("[0]", 1_300_000), "tokens nest or chain"},
		{"comprehensions", "x.cue", "a: {" + strings.Repeat("for x in [1] ", 300_000) + "{}}", "tokens nest or chain"},
		{"texts", "x.cue", "a: " + strings.Repeat(`"\(`, 800_000), "tokens nest or chain"},
		{"many texts", "x.cue", "a: [" + strings.Repeat("\"\\(1) \\(\"\\(2)\")\",", 2_000) + "]", "no spec"},
		{"same keys", "x.yaml", "a: {" + strings.Repeat("b: 1, ", 5_000) + "}", "given twice"},
		{"huge number", "x.yaml", envelope + "spec: {size: 1" + strings.Repeat("0", 1000) + "}", "does not fit"},
		{"huge exponent", "x.yaml", envelope + "spec: {size: 1e999999999}", "spec.size"},
		{"binary", "x.yaml", envelope + "spec: {size: !!binary aGVsbG8=}", "spec.size"},
		{"not a number", "x.yaml", envelope + "spec: {size: .nan}", ""},
		{"escapes", "x.yaml", envelope + "spec: {size: 1, \"\\e[31mred\\e[0m\\n\": 1}", "not allowed"},
		{"line ends of old", "x.yaml", "\r\r\r⨲", "neither LF nor CR LF"},
		{"nul", "x.yaml", "a: \x00", "not valid YAML"},
		{"odd key", "x.yaml", envelope + "spec: {? [1, 2] : 3}", "x.yaml"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tree := common(t)
			tree["boxes/good.yaml"] = boxYAML("good", 2)
			tree["boxes/"+tt.file] = &fstest.MapFile{Data: []byte(tt.src)}
			start := time.Now()
			out := render(t, newRenderer(t), tree)
			if len(out.Problems) == 0 || !strings.Contains(out.Problems[0].Msg+out.Problems[0].Pos.File, tt.want) {
				t.Errorf("problems %v, want %q", out.Problems, tt.want)
			}
			for _, p := range out.Problems {
				if p.Pos.File != "boxes/"+tt.file || strings.ContainsAny(p.Msg, "\n\x1b\x00") || len(p.Msg) > 2000 || len(out.Problems) > 200 {
					t.Errorf("problem %.300q", p)
				}
			}
			if len(out.Objects) != 1 || out.Objects[0].Spec != (core.SpecID{Kind: "Box", Name: "good"}) {
				t.Errorf("objects %v, want that of Box/good", out.Objects)
			}
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}
