package render

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

func boxYAML(name string, size int) *fstest.MapFile {
	return &fstest.MapFile{Data: fmt.Appendf(nil,
		"apiVersion: prumo.dev/v1alpha1\nkind: Box\nmetadata: {name: %s}\nspec: {size: %d}\n", name, size)}
}

func userYAML(name, box string) *fstest.MapFile {
	return &fstest.MapFile{Data: fmt.Appendf(nil,
		"apiVersion: prumo.dev/v1alpha1\nkind: User\nmetadata: {name: %s}\nspec: {box: %s, needs: 1}\n", name, box)}
}

// Nothing is evaluated of an unchanged tree; of a changed one only what changed
// and what sees other facts than before.
func TestIncremental(t *testing.T) {
	tree := common(t)
	for i := range 10 {
		tree[fmt.Sprintf("boxes/b%d.yaml", i)] = boxYAML(fmt.Sprintf("b%d", i), 2)
		tree[fmt.Sprintf("users/u%d.yaml", i)] = userYAML(fmt.Sprintf("u%d", i), "b"+fmt.Sprint(i/5))
	}
	tree["lib/lib.cue"] = &fstest.MapFile{Data: []byte("package lib\n\n#size: 2\n")}
	tree["boxes/lib.cue"] = &fstest.MapFile{Data: []byte(`package boxes

import "lab.example/infra/lib"

l: {apiVersion: "prumo.dev/v1alpha1", kind: "Box", metadata: name: "l", spec: size: lib.#size}
`)}
	r := newRenderer(t)
	step := func(what string, want counters) core.Rendering {
		t.Helper()
		r.evaluate = counters{}
		out := render(t, r, tree)
		if len(out.Problems) > 0 {
			t.Fatalf("%s: %v", what, out.Problems)
		}
		if diff := cmp.Diff(want, r.evaluate, cmp.AllowUnexported(counters{})); diff != "" {
			t.Errorf("%s: evaluated (-want +got):\n%s", what, diff)
		}
		if diff := cmp.Diff(print(render(t, newRenderer(t), tree)), print(out)); diff != "" {
			t.Errorf("%s: rendering differs from that of a new renderer (-new +old):\n%s", what, diff)
		}
		return out
	}
	step("first", counters{shared: 1, files: 22, completions: 10})
	step("same", counters{})
	tree["boxes/b0.yaml"] = boxYAML("b0", 3)
	step("other facts", counters{files: 1, completions: 5})
	tree["boxes/b0.yaml"] = &fstest.MapFile{Data: append([]byte("# comment\n"), boxYAML("b0", 3).Data...)}
	out := step("same facts", counters{files: 1})
	if got := out.Specs[0].Pos.Line; got != 2 {
		t.Errorf("position after an added comment: line %d, want 2", got)
	}
	delete(tree, "boxes/b9.yaml")
	step("one less", counters{})
	tree["boxes/b9.yaml"] = boxYAML("b9", 2)
	step("forgotten and back", counters{files: 1})
	tree["lib/lib.cue"] = &fstest.MapFile{Data: []byte("package lib\n\n#size: 5\n")}
	step("an import", counters{files: 2})
	tree["site.cue"] = &fstest.MapFile{Data: append([]byte("// x\n"), tree["site.cue"].Data...)}
	step("the site", counters{shared: 1, files: 22, completions: 10})
}

func TestConcurrent(t *testing.T) {
	tree := common(t)
	tree["boxes/a.yaml"] = boxYAML("a", 2)
	tree["users/a.yaml"] = userYAML("a", "a")
	r := newRenderer(t)
	want := print(render(t, r, tree))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				out, err := r.Render(context.Background(), core.Tree{FS: tree})
				if err != nil || print(out) != want {
					t.Errorf("differs: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := newRenderer(t).Render(ctx, core.Tree{FS: common(t)})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

func TestLimits(t *testing.T) {
	big := strings.Repeat("#", 1000)
	tests := []struct {
		name    string
		size    int // of box a
		limits  Limits
		want    string
		objects int
	}{
		{"bytes", 2, Limits{FileBytes: 900}, "boxes/big.yaml: has 1000 bytes; the limit is 900", 2},
		{"files", 2, Limits{Files: 5}, "more than 5 files and folders", 0},
		{"specs", 2, Limits{Specs: 1}, "boxes/b.yaml:1:1: the repo has 2 specs and the limit is 1: from this one on", 0},
		{"bytes of all", 2, Limits{Bytes: 100}, "all files together come to more than 0 MiB", 0},
		{"objects", 2, Limits{Objects: 1}, "boxes/b.yaml:1:1: the repo renders more than 1 objects", 1},
		{"objects of a spec", 3, Limits{SpecObjects: 2}, "boxes/a.yaml:1:1: renders 3 objects, and the limit for one spec is 2", 1},
		{"bytes of an object", 1_500_000, Limits{}, "boxes/a.yaml:1:1: kind Box: objects.map: ConfigMap/a has more than 1500000 bytes", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tree := common(t)
			tree["kinds/kinds.cue"] = &fstest.MapFile{Data: []byte(smallKind)}
			tree["boxes/a.yaml"], tree["boxes/b.yaml"] = boxYAML("a", tt.size), boxYAML("b", 2)
			tree["boxes/big.yaml"] = &fstest.MapFile{Data: []byte(big)}
			r, err := New(Options{Limits: tt.limits})
			if err != nil {
				t.Fatal(err)
			}
			out := render(t, r, tree)
			if got := print(out); !strings.Contains(got, tt.want) || len(out.Objects) != tt.objects {
				t.Errorf("got %d objects and\n%s\nwant %d and %q", len(out.Objects), got, tt.objects, tt.want)
			}
		})
	}
}

const smallKind = `package kinds

import (
	"strings"

	"prumo.dev/schemas"
)

// A box of 3 renders three objects, one above 1000 more than that many bytes.
kinds: Box: schemas.#Kind & {
	in: spec: size!: int
	#Map: {apiVersion: "v1", kind: "ConfigMap", ...}
	objects: map: #Map & {metadata: name: in.metadata.name, if in.spec.size > 1000 {data: {one: strings.Repeat("x", div(in.spec.size, 2)), two: one}}}
	if in.spec.size == 3 {
		for n in ["b", "c"] {objects: (n): #Map & {metadata: name: "\(in.metadata.name)-\(n)"}}
	}
}
`

// refusing is a file system that refuses one file, as that of a Git tree refuses
// links.
type refusing struct {
	fstest.MapFS
	name string
}

func (f refusing) Open(name string) (fs.File, error) {
	if name == f.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("is a symbolic link; refused")}
	}
	return f.MapFS.Open(name)
}

func TestRefusedFiles(t *testing.T) {
	tree := common(t)
	tree["boxes/a.yaml"], tree["boxes/b.yaml"] = boxYAML("a", 2), boxYAML("b", 2)
	tree["boxes/link.yaml"] = &fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte("../../etc/passwd")}
	tree["boxes/latin.yaml"] = &fstest.MapFile{Data: []byte("a: 1\nb: \xe9\n")}
	out := render(t, newRenderer(t), refusing{tree, "boxes/b.yaml"})
	var got []string
	for _, p := range out.Problems {
		got = append(got, p.String())
	}
	want := []string{
		"boxes/b.yaml: cannot be read: is a symbolic link; refused",
		"boxes/latin.yaml:2:4: byte 0xe9 is not UTF-8; save the file as UTF-8",
		"boxes/link.yaml: is no regular file (L---------); links and devices are refused: put the content here",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if len(out.Objects) != 1 {
		t.Errorf("%d objects, want that of Box/a alone", len(out.Objects))
	}
}
