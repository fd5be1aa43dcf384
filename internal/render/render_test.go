package render

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/sandbox"
)

var update = flag.Bool("update", false, "rewrite the wanted output in testdata")

// TestRender renders each tree of testdata and compares what it says: problems
// first, then specs, objects, expects and precautions. common.txtar is under each of them.
func TestRender(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 2 {
		t.Fatalf("no test trees: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		if name == "common" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			tree, want := common(t), ""
			for _, f := range ar.Files {
				switch {
				case f.Name == "want":
					want = string(f.Data)
				case len(f.Data) == 0:
					delete(tree, f.Name)
				default:
					tree[f.Name] = &fstest.MapFile{Data: f.Data}
				}
			}
			got := print(render(t, newRenderer(t), tree))
			if *update {
				writeWant(t, file, ar, got)
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("rendering (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want, print(render(t, inChildren(t, sandbox.Limits{}, 0), tree))); diff != "" {
				t.Errorf("rendering in a child (-want +got):\n%s", diff)
			}
		})
	}
}

func writeWant(t *testing.T, file string, ar *txtar.Archive, got string) {
	t.Helper()
	kept := ar.Files[:0]
	for _, f := range ar.Files {
		if f.Name != "want" {
			kept = append(kept, f)
		}
	}
	ar.Files = append(kept, txtar.File{Name: "want", Data: []byte(got)})
	if err := os.WriteFile(file, txtar.Format(ar), 0o666); err != nil {
		t.Fatal(err)
	}
}

// common is a tree with a module, a site and a few small kinds.
func common(t testing.TB) fstest.MapFS {
	t.Helper()
	ar, err := txtar.ParseFile("testdata/common.txtar")
	if err != nil {
		t.Fatal(err)
	}
	tree := fstest.MapFS{}
	for _, f := range ar.Files {
		tree[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	return tree
}

func newRenderer(t testing.TB) *Renderer {
	t.Helper()
	r, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func render(t testing.TB, r *Renderer, tree fs.FS) core.Rendering {
	t.Helper()
	out, err := r.Render(context.Background(), core.Tree{FS: tree})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// print is a rendering as text: one line for each thing in it.
func print(out core.Rendering) string {
	var b strings.Builder
	for _, p := range out.Problems {
		fmt.Fprintf(&b, "problem %s", p)
		if p.Spec != (core.SpecID{}) {
			fmt.Fprintf(&b, " [%s]", p.Spec)
		}
		b.WriteByte('\n')
	}
	for _, s := range out.Specs {
		fmt.Fprintf(&b, "spec %s at %s drift=%s", s.ID, s.Pos, s.Drift)
		if s.TakeConflicts {
			b.WriteString(" take")
		}
		if len(s.Refs) > 0 {
			fmt.Fprintf(&b, " needs %v", s.Refs)
		}
		b.WriteByte('\n')
	}
	for _, o := range out.Objects {
		fmt.Fprintf(&b, "object %s of %s: %v", o.ID, o.Spec, o.Fields)
		if len(o.Ignore) > 0 {
			fmt.Fprintf(&b, " ignore %v", o.Ignore)
		}
		if len(o.Plain) > 0 {
			fmt.Fprintf(&b, " plain %v", o.Plain)
		}
		for _, r := range o.Ready {
			fmt.Fprintf(&b, " ready %v %v %q", r.Path, r.Equals, r.Message)
		}
		if len(o.Force) > 0 {
			fmt.Fprintf(&b, " force %v", o.Force)
		}
		b.WriteByte('\n')
	}
	for _, o := range out.Expects {
		fmt.Fprintf(&b, "expect %s of %s: %v\n", o.ID, o.Spec, o.Fields)
	}
	for _, o := range out.Precautions {
		fmt.Fprintf(&b, "precaution %s of %s: %v\n", o.ID, o.Spec, o.Fields)
	}
	return b.String()
}
