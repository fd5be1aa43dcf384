package schemas_test

import (
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/render"
	"prumo.dev/prumo/test/cluster/clustertest"
)

const exampleDir = "../examples/infra-repo"

func TestMain(m *testing.M) { clustertest.Main(m) }

// An edit replaces text in one file of the example, or adds a file: old is then
// empty.
type edit struct {
	file, old, new string
}

// example returns the files of the example repo, edited.
func example(t testing.TB, edits ...edit) fstest.MapFS {
	t.Helper()
	repo := fstest.MapFS{}
	dir := os.DirFS(exampleDir)
	err := fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		src, err := fs.ReadFile(dir, name)
		repo[name] = &fstest.MapFile{Data: src}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range edits {
		if e.old == "" {
			repo[e.file] = &fstest.MapFile{Data: []byte(e.new)}
			continue
		}
		if repo[e.file] == nil || strings.Count(string(repo[e.file].Data), e.old) == 0 {
			t.Fatalf("the example has no %q in %s: edit this test too", e.old, e.file)
		}
		repo[e.file].Data = []byte(strings.Replace(string(repo[e.file].Data), e.old, e.new, 1))
	}
	return repo
}

// renderer is one for all tests: what they leave unedited is evaluated once.
var renderer = sync.OnceValues(func() (*render.Renderer, error) { return render.New(render.Options{}) })

// rendered returns what a repo renders to.
func rendered(t testing.TB, repo fs.FS) core.Rendering {
	t.Helper()
	r, err := renderer()
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Render(t.Context(), core.Tree{FS: repo})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// told returns the problems as a person sees them, without those of specs that
// only wait for another.
func told(r core.Rendering) []string {
	var out []string
	for _, p := range r.Problems {
		if !strings.Contains(p.Msg, ": waits for ") {
			out = append(out, p.String())
		}
	}
	return out
}

// byID returns objects by their id.
func byID(objects []core.Object) map[string]map[string]any {
	out := map[string]map[string]any{}
	for _, o := range objects {
		out[o.ID.String()] = o.Fields
	}
	return out
}

// at walks into an object: at(fields, "spec", "containers", 0). What is not there
// is nil.
func at(v any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[step]
		case int:
			list, _ := v.([]any)
			if step >= len(list) {
				return nil
			}
			v = list[step]
		}
	}
	return v
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
