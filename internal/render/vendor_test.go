package render

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// The stock cue tool, with no registry, understands a repo that imports the
// schemas once the files of Vendor are in it, and still finds mistakes. The
// renderer says the same with and without them.
func TestVendor(t *testing.T) {
	tree := common(t)
	tree["boxes/a.cue"] = &fstest.MapFile{Data: []byte(`package boxes

import "prumo.dev/schemas"

a: schemas.#Envelope & {
	apiVersion: "prumo.dev/v1alpha1"
	kind:       "Box"
	metadata: name: "a"
	spec: size: 3
}
`)}
	files, err := Vendor()
	if err != nil {
		t.Fatal(err)
	}
	r := newRenderer(t)
	before := print(render(t, r, tree))
	dir := t.TempDir()
	write(t, dir, tree)
	if out, err := cueVet(t, dir); err == nil {
		t.Fatalf("cue vet found the schemas without any help: %s", out)
	}

	vendored := maps.Clone(tree)
	for name, src := range files {
		vendored[name] = &fstest.MapFile{Data: src}
	}
	if diff := cmp.Diff(before, print(render(t, r, vendored))); diff != "" {
		t.Errorf("rendering with vendored files (-without +with):\n%s", diff)
	}
	write(t, dir, vendored)
	if out, err := cueVet(t, dir); err != nil {
		t.Fatalf("cue vet: %v\n%s", err, out)
	}

	vendored["boxes/a.cue"].Data = append(vendored["boxes/a.cue"].Data, "b: schemas.#Envelope & {metadata: name: 4}\n"...)
	write(t, dir, vendored)
	if out, err := cueVet(t, dir); err == nil {
		t.Fatalf("cue vet does not see a mistake: %s", out)
	}
}

func cueVet(t *testing.T, dir string) ([]byte, error) {
	t.Helper()
	tool, err := exec.Command("go", "tool", "-n", "cue").Output()
	if err != nil {
		t.Fatalf("find the cue tool: %v", err)
	}
	cmd := exec.Command(strings.TrimSpace(string(tool)), "vet", "-c=false", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CUE_REGISTRY=none", "CUE_CACHE_DIR="+t.TempDir())
	return cmd.CombinedOutput()
}

func write(t *testing.T, dir string, tree fstest.MapFS) {
	t.Helper()
	for name, f := range tree {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, f.Data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}
