package render

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/sandbox"
)

// TestMain is the child when it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.Command {
		os.Exit(sandbox.Serve(context.Background(), os.Args[2:], Serve))
	}
	os.Exit(m.Run())
}

func inChildren(t *testing.T, limits sandbox.Limits, time time.Duration) *Renderer {
	t.Helper()
	r, err := New(Options{Time: time, Child: func(ctx context.Context) (Child, error) { return sandbox.Host{}.Start(ctx, limits) }})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// underRace says that this is a build with the race detector, whose own record of
// memory counts for the limit of a child.
var underRace bool

func needMemory(t *testing.T) {
	t.Helper()
	if underRace {
		t.Skip("the race detector takes more memory than the limit allows; run this without -race")
	}
}

// endless is CUE whose evaluation takes longer than anybody waits.
const endless = `import "list"

let r = list.Range(0, 3000, 1)
x: len([for a in r for b in r for c in r {a * b * c}])
`

// hungry is CUE whose evaluation takes more memory than there is.
const hungry = `import "strings"

let a = strings.Repeat("x", 1_000_000)
x: strings.Repeat(a, 1_000)
`

// What children say is what this process would say.
func TestChildrenRenderTheSame(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	tree := crowd(t)
	tree["lib/lib.cue"] = &fstest.MapFile{Data: []byte("package lib\n\n#size: 2\n")}
	tree["boxes/lib.cue"] = &fstest.MapFile{Data: []byte(`package boxes

import "lab.example/infra/lib"

l: {apiVersion: "prumo.dev/v1alpha1", kind: "Box", metadata: name: "l", spec: size: lib.#size}
`)}
	tree["boxes/missing.cue"] = &fstest.MapFile{Data: []byte("package boxes\n\nimport \"lab.example/infra/none\"\n\nx: none.y\n")}
	r := inChildren(t, sandbox.Limits{}, 0)
	for _, what := range []string{"first", "a spec changed", "the site changed"} {
		t.Run(what, func(t *testing.T) {
			switch what {
			case "a spec changed":
				tree["boxes/b1.yaml"] = boxYAML("b1", 5)
			case "the site changed":
				tree["site.cue"] = &fstest.MapFile{Data: append([]byte("// x\n"), tree["site.cue"].Data...)}
			}
			if diff := cmp.Diff(print(render(t, newRenderer(t), tree)), print(render(t, r, tree))); diff != "" {
				t.Errorf("rendering (-here +in children):\n%s", diff)
			}
		})
	}
	bad := maps.Clone(tree)
	for name, text := range map[string]string{"site.cue": "package infra\n\nsite: 1\n", "cue.mod/module.cue": "module: 1\n", "kinds/kinds.cue": "package kinds\n\nkinds: Box: 1\n"} {
		bad[name] = &fstest.MapFile{Data: []byte(text)}
		if diff := cmp.Diff(print(render(t, newRenderer(t), bad)), print(render(t, r, bad))); diff != "" {
			t.Errorf("rendering with a bad %s (-here +in children):\n%s", name, diff)
		}
		bad[name] = tree[name]
	}
}

// What cannot be evaluated is a problem of its file, and everything else is rendered.
func TestChildrenAreStopped(t *testing.T) {
	kind := func(body string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("package kinds\n\nimport \"prumo.dev/schemas\"\n" + body)}
	}
	endlessKind := kind("import \"list\"\n\nkinds: Slow: schemas.#Kind & {\n\tin: schemas.#Envelope & {kind: \"Slow\", spec: n: int}\n" +
		"\trefs: [{kind: \"Box\", name: \"b\"}]\n\tdeps: _\n\tlet r = list.Range(0, in.spec.n*deps.Box.b.size, 1)\n" +
		"\tchecks: [if len([for a in r for b in r for c in r {a * b * c}]) < 0 {path: \"\", message: \"\"}]\n}\n")
	slow := &fstest.MapFile{Data: []byte("apiVersion: prumo.dev/v1alpha1\nkind: Slow\nmetadata: {name: s}\nspec: {n: 3000}\n")}
	short := sandbox.Limits{Time: 3 * time.Second}
	tests := []struct {
		name, want string
		limits     sandbox.Limits
		files      fstest.MapFS
		rest       int // objects of the other specs
	}{
		{"a file without end", "slow/s.cue:1: evaluation took longer than 3s", short,
			fstest.MapFS{"slow/s.cue": {Data: []byte("package slow\n\n" + endless)}}, 2},
		{"a spec without end", "slow/s.yaml:1:1: evaluation took longer than 3s", short,
			fstest.MapFS{"slow/s.yaml": slow, "kinds/slow.cue": endlessKind}, 2},
		{"kinds without end", "kinds: evaluation took longer than 3s", short,
			fstest.MapFS{"kinds/slow.cue": {Data: []byte("package kinds\n\n" + endless)}}, 0},
		{"a file that takes all memory", "slow/s.cue:1: evaluation needed more than 384 MiB", sandbox.Limits{},
			fstest.MapFS{"slow/s.cue": {Data: []byte("package slow\n\n" + hungry)}}, 2},
		{"a file that says too much", "evaluation said more than 0 MiB", sandbox.Limits{Output: 1000},
			fstest.MapFS{}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(tt.name, "memory") {
				needMemory(t)
			}
			tree := common(t)
			tree["boxes/b.yaml"] = boxYAML("b", 2)
			tree["users/u.yaml"] = userYAML("u", "b")
			maps.Copy(tree, tt.files)
			out := render(t, inChildren(t, tt.limits, 0), tree)
			if len(out.Problems) == 0 || !strings.Contains(out.Problems[0].String(), tt.want) {
				t.Errorf("problems %v, want one with %q", out.Problems, tt.want)
			}
			if len(out.Objects) != tt.rest {
				t.Errorf("%d objects, want %d", len(out.Objects), tt.rest)
			}
		})
	}
}

// A tree that takes too long is a problem, and the end of the caller's context is none.
func TestTreeIsStopped(t *testing.T) {
	t.Parallel()
	tree := common(t)
	for i := range 4 {
		tree[fmt.Sprintf("slow/s%d.cue", i)] = &fstest.MapFile{Data: []byte("package slow\n\n" + endless)}
	}
	patient, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := inChildren(t, sandbox.Limits{}, 2*time.Second).Render(patient, core.Tree{FS: tree})
	if err != nil || len(out.Problems) != 1 || !strings.Contains(out.Problems[0].Msg, "all files took longer than 2s") {
		t.Errorf("problems %v, error %v; want one problem of the tree", out.Problems, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := inChildren(t, sandbox.Limits{}, 0).Render(ctx, core.Tree{FS: tree}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want %v", err, context.DeadlineExceeded)
	}
}

// A failure is remembered for a while, and then what had it is tried again.
func TestFailureIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tree := common(t)
		tree["boxes/c.cue"] = &fstest.MapFile{Data: []byte("package boxes\n\n" + panics + "\n")}
		r := newRenderer(t)
		for _, step := range []struct {
			after time.Duration
			files int // evaluated
		}{{0, 1}, {patience / 2, 0}, {patience, 1}, {time.Second, 0}} {
			time.Sleep(step.after)
			r.evaluate = counters{}
			if out := render(t, r, tree); len(out.Problems) != 1 {
				t.Errorf("problems %v, want one", out.Problems)
			}
			if r.evaluate.files != step.files {
				t.Errorf("%v later: %d files evaluated, want %d", step.after, r.evaluate.files, step.files)
			}
		}
	})
}

// A tree whose kinds do not end is not tried again with each pass.
func TestTreeFailureIsRemembered(t *testing.T) {
	t.Parallel()
	tree := &identifiedFS{MapFS: common(t), id: "first"}
	tree.MapFS["kinds/slow.cue"] = &fstest.MapFile{Data: []byte("package kinds\n\n" + endless)}
	started := 0
	r, err := New(Options{Child: func(ctx context.Context) (Child, error) {
		started++
		return sandbox.Host{}.Start(ctx, sandbox.Limits{Time: time.Second})
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		id   string
		want int
	}{{"first", 1}, {"first", 1}, {"second", 2}} {
		tree.id = step.id
		if out := render(t, r, tree); len(out.Problems) != 1 || out.Problems[0].Pos.File != kindsDir {
			t.Errorf("problems %v, want one of the kinds", out.Problems)
		}
		if started != step.want {
			t.Errorf("tree %s: %d children started by now, want %d", step.id, started, step.want)
		}
	}
}

// Much work takes two children, or as many as may be used at once.
func TestChildrenAtOnce(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(maxWorkers))
	tree := crowd(t)
	for _, atOnce := range []int{0, 1} {
		var started atomic.Int32
		r, err := New(Options{Children: atOnce, Child: func(ctx context.Context) (Child, error) {
			started.Add(1) // none of them dies
			return sandbox.Host{}.Start(ctx, sandbox.Limits{})
		}})
		if err != nil {
			t.Fatal(err)
		}
		render(t, r, tree)
		want := int32(maxChildren)
		if atOnce > 0 {
			want = int32(atOnce)
		}
		if started.Load() != want {
			t.Errorf("%d children, want %d", started.Load(), want)
		}
	}
}
