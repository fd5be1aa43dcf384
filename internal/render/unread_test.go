package render

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// identifiedFS is a tree whose files have ids, as those of a Git tree have, and that
// notes what is read.
type identifiedFS struct {
	fstest.MapFS
	id   string
	read []string
}

func (f *identifiedFS) ContentID() string { return f.id }

func (f *identifiedFS) Open(name string) (fs.File, error) {
	if _, ok := f.MapFS[name]; ok {
		f.read = append(f.read, name)
	}
	return f.MapFS.Open(name)
}

func (f *identifiedFS) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := f.MapFS.ReadDir(name)
	for i, e := range list {
		if file := f.MapFS[joinName(name, e.Name())]; file != nil {
			list[i] = identifiedEntry{e, fmt.Sprintf("%x", sha256.Sum256(file.Data))}
		}
	}
	return list, err
}

func joinName(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}

type identifiedEntry struct {
	fs.DirEntry
	id string
}

func (e identifiedEntry) ContentID() string { return e.id }

// What the file system knows to be unchanged is not read.
func TestUnread(t *testing.T) {
	tree := &identifiedFS{MapFS: common(t), id: "first"}
	for i := range 3 {
		tree.MapFS[fmt.Sprintf("boxes/b%d.yaml", i)] = boxYAML(fmt.Sprintf("b%d", i), 2)
	}
	r := newRenderer(t)
	step := func(what string, want ...string) {
		t.Helper()
		tree.read = nil
		got := print(render(t, r, tree))
		if diff := cmp.Diff(print(render(t, newRenderer(t), tree.MapFS)), got); diff != "" {
			t.Errorf("%s: rendering differs from that of a new renderer (-new +old):\n%s", what, diff)
		}
		slices.Sort(tree.read)
		if diff := cmp.Diff(want, slices.Compact(tree.read)); diff != "" {
			t.Errorf("%s: read (-want +got):\n%s", what, diff)
		}
	}
	always := []string{"cue.mod/module.cue", "kinds/kinds.cue", "site.cue"}
	step("first", append([]string{"boxes/b0.yaml", "boxes/b1.yaml", "boxes/b2.yaml"}, always...)...)
	step("same tree")
	tree.id = "second"
	step("another tree of the same files", always...)
	tree.id = "third"
	tree.MapFS["boxes/b1.yaml"] = boxYAML("b1", 3)
	step("one file", append([]string{"boxes/b1.yaml"}, always...)...)
	tree.id = "fourth"
	tree.MapFS["site.cue"] = &fstest.MapFile{Data: append([]byte("// x\n"), tree.MapFS["site.cue"].Data...)}
	step("the site", append([]string{"boxes/b0.yaml", "boxes/b1.yaml", "boxes/b2.yaml"}, always...)...)
	tree.id = ""
	step("no id", always...)
}

// What could not be read is tried again, though the tree is the same.
func TestReadAgain(t *testing.T) {
	tree := &identifiedFS{MapFS: common(t), id: "first"}
	tree.MapFS["boxes/a.yaml"] = &fstest.MapFile{Mode: fs.ModeSymlink, Data: boxYAML("a", 2).Data}
	r := newRenderer(t)
	if out := render(t, r, tree); len(out.Problems) != 1 {
		t.Fatalf("problems %v, want one", out.Problems)
	}
	tree.MapFS["boxes/a.yaml"] = boxYAML("a", 2)
	if out := render(t, r, tree); len(out.Problems) != 0 || len(out.Objects) != 1 {
		t.Errorf("problems %v, want none and one object", out.Problems)
	}
}
