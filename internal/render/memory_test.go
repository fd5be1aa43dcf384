package render

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/fstest"

	"prumo.dev/prumo/internal/core"
)

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Memory stays flat over many renderings of ever new specs.
func TestMemoryFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("renders a few thousand specs")
	}
	tree := common(t)
	r := newRenderer(t)
	round := func(n int) {
		for i := range 100 {
			tree[fmt.Sprintf("boxes/b%d.yaml", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, "# round %d\n%s", n, boxYAML(fmt.Sprintf("b%d", i), 1+n%8).Data)}
			tree[fmt.Sprintf("users/u%d.yaml", i)] = userYAML(fmt.Sprintf("u%d", i), fmt.Sprintf("b%d", (i+n)%100))
		}
		if out := render(t, r, tree); len(out.Problems) > 0 || len(out.Objects) != 200 {
			t.Fatalf("round %d: %d objects, problems %v", n, len(out.Objects), out.Problems)
		}
	}
	for n := range 3 {
		round(n)
	}
	before := heap()
	for n := range 6 {
		round(3 + n)
	}
	// A context that is kept grows by 8.5 kB a spec: 10 MB here.
	if grown := heap() - before; grown > 2<<20 {
		t.Errorf("heap grew by %d kB over 6 rounds of 200 specs", grown>>10)
	}
}

// Ten thousand small changes leave nothing behind, in YAML and CUE, of what is
// right and what is wrong.
func TestManyRenderings(t *testing.T) {
	if testing.Short() {
		t.Skip("renders 10,000 trees")
	}
	tree := common(t)
	r := newRenderer(t)
	change := func(n int) {
		tree["boxes/b.yaml"] = boxYAML("b", 1+n%8)
		if n%50 == 0 {
			tree["users/u.yaml"] = userYAML("u", []string{"b", "none"}[n/50%2])
			tree["boxes/c.cue"] = &fstest.MapFile{Data: fmt.Appendf(nil,
				"package boxes\n\nc: {apiVersion: \"prumo.dev/v1alpha1\", kind: \"Box\", metadata: name: \"c\", spec: size: %d}\n", 1+n%8)}
		}
		if out := render(t, r, tree); len(out.Specs) != 3 {
			t.Fatalf("change %d: specs %v, problems %v", n, out.Specs, out.Problems)
		}
	}
	for n := range 500 {
		change(n)
	}
	before := heap()
	for n := range 10_000 {
		change(n)
	}
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("heap grew by %d kB over 10,000 renderings", grown>>10)
	}
}

// Where the file system says that nothing changed, nothing is done.
func TestSameTreeAllocates(t *testing.T) {
	tree := &identifiedFS{MapFS: common(t), id: "same"}
	tree.MapFS["boxes/b.yaml"] = boxYAML("b", 2)
	r := newRenderer(t)
	render(t, r, tree)
	allocs := testing.AllocsPerRun(100, func() {
		if out, err := r.Render(context.Background(), core.Tree{FS: tree}); err != nil || len(out.Objects) != 1 {
			t.Fatal(err, out)
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}

// What did not change is the very same object in the next rendering: the cluster
// knows by that, without a look, that it is what was applied.
func TestUnchangedIsShared(t *testing.T) {
	tree := common(t)
	for i := range 3 {
		tree[fmt.Sprintf("boxes/b%d.yaml", i)] = boxYAML(fmt.Sprintf("b%d", i), 2)
		tree[fmt.Sprintf("users/u%d.yaml", i)] = userYAML(fmt.Sprintf("u%d", i), fmt.Sprintf("b%d", i))
	}
	r := newRenderer(t)
	before := render(t, r, tree)
	tree["boxes/b1.yaml"] = boxYAML("b1", 3)
	after := render(t, r, tree)
	changed := map[string]bool{"ConfigMap/boxes/box-b1": true, "ConfigMap/boxes/user-u1": true, "Node/b1": true}
	for _, pair := range [][2][]core.Object{{before.Objects, after.Objects}, {before.Expects, after.Expects}} {
		for i, o := range pair[0] {
			p := pair[1][i]
			if got := !identical(o.Fields, p.Fields); o.ID != p.ID || got != changed[o.ID.String()] {
				t.Errorf("%s then %s: made anew %v", o.ID, p.ID, got)
			}
		}
	}
}
