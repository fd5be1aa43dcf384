package git_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
)

// TestAttributesHaveNoEffect sets every attribute by which git shows other bytes
// than it holds, and proves first that git does: what is read here is what was
// signed, byte for byte.
func TestAttributesHaveNoEffect(t *testing.T) {
	const held = "a: $Id$ $Format:%H$\nb: plain\n"
	g := newRealGit(t)
	for name, data := range map[string]string{
		".gitattributes":     "*.yaml filter=evil ident text eol=crlf export-subst\nhidden.yaml export-ignore\n*.u16 working-tree-encoding=UTF-16LE\n",
		"a.yaml":             held,
		"hidden.yaml":        held,
		"b.u16":              "x\x00y\x00",
		"sub/.gitattributes": "[attr]spec filter=evil\nc.yaml spec merge=ours diff=evil\n",
		"sub/c.yaml":         held,
	} {
		g.file(name, data)
	}
	// The filter is there only when git shows files: what is committed stays as it is.
	g.git("add", ".")
	g.git("commit", "-q", "-m", "with attributes")
	g.git("config", "filter.evil.smudge", "sed s/plain/evil/")
	g.git("config", "filter.evil.clean", "cat")
	for _, name := range []string{"a.yaml", "b.u16", "sub/c.yaml"} {
		g.must(os.Remove(filepath.Join(g.dir, name)))
	}
	g.git("checkout", ".")
	if shown, err := os.ReadFile(filepath.Join(g.dir, "a.yaml")); err != nil || string(shown) == held {
		t.Fatalf("git shows %q (%v) as it holds it: the attributes prove nothing", shown, err)
	}

	r := open(t, git.Remote{URL: g.dir}, git.Limits{})
	tip := fetch(t, r, "refs/heads/main")
	tree, err := r.Tree(core.Revision{Commit: tip})
	g.must(err)
	got := map[string]string{}
	for _, name := range []string{"a.yaml", "hidden.yaml", "b.u16", "sub/c.yaml"} {
		data, err := fs.ReadFile(tree.FS, name)
		g.must(err)
		got[name] = string(data)
	}
	want := map[string]string{"a.yaml": held, "hidden.yaml": held, "b.u16": "xy", "sub/c.yaml": held}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func (g *realGit) file(name, data string) {
	g.t.Helper()
	g.must(os.MkdirAll(filepath.Dir(filepath.Join(g.dir, name)), 0o755))
	g.must(os.WriteFile(filepath.Join(g.dir, name), []byte(data), 0o644))
}

func (g *realGit) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}
