package git_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/test/gitrepo"
)

// listing is what git says is in a tree: path to mode and content.
func (g *realGit) listing(tree string) map[string]string {
	g.t.Helper()
	out := map[string]string{}
	for line := range strings.Lines(g.git("ls-tree", "-r", tree)) {
		meta, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		mode := strings.Fields(meta)[0]
		out[name] = mode + " " + g.git("cat-file", "blob", strings.Fields(meta)[2])
	}
	return out
}

func modesAndData(t *testing.T, fsys fs.FS) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := "100644 "
		if info.Mode()&0o111 != 0 {
			mode = "100755 "
		}
		data, err := fs.ReadFile(fsys, name)
		out[name] = mode + string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Trees and files have one id exactly if they hold the same.
func TestContentID(t *testing.T) {
	a := newAuthor(t)
	a.write("a/x.yaml", "x")
	a.write("a/y.yaml", "y")
	first := a.commit()
	a.write("a/y.yaml", "x")
	second := a.commit(first)
	a.write("a/y.yaml", "y")
	third := a.commit(second)
	r := a.fetched("main")
	ids := func(commit string) (tree, x, y string) {
		t.Helper()
		got, err := r.Tree(core.Revision{Commit: commit})
		if err != nil {
			t.Fatal(err)
		}
		entries, err := fs.ReadDir(got.FS, "a")
		if err != nil {
			t.Fatal(err)
		}
		id := func(v any) string { return v.(interface{ ContentID() string }).ContentID() }
		return id(got.FS), id(entries[0]), id(entries[1])
	}
	tree1, x1, y1 := ids(first)
	tree2, x2, y2 := ids(second)
	tree3, _, y3 := ids(third)
	if tree1 == tree2 || tree1 != tree3 || tree1 == "" {
		t.Errorf("ids of trees: %s, %s, %s; want the first and last alike", tree1, tree2, tree3)
	}
	if x1 == y1 || x1 != x2 || x2 != y2 || y1 != y3 || x1 == "" {
		t.Errorf("ids of files: %s %s, %s %s, %s", x1, y1, x2, y2, y3)
	}
}

func TestTree(t *testing.T) {
	a := newAuthor(t)
	a.write("site.cue", "site")
	a.write("nodes/rack1/n1.yaml", "n1")
	a.write("nodes.yaml", "sorted between")
	a.must(a.Put("bin/tool", gitrepo.Exec, a.raw("blob", "#!")))
	rev := core.Revision{Commit: a.commit(), Ref: "refs/heads/main", Time: a.now}
	r := a.fetched("main")
	tree, err := r.Tree(rev)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rev, tree.Revision); diff != "" {
		t.Errorf("revision (-want +got):\n%s", diff)
	}
	if err := fstest.TestFS(tree.FS, "site.cue", "nodes.yaml", "nodes/rack1/n1.yaml", "bin/tool"); err != nil {
		t.Error(err)
	}
	want := map[string]string{"site.cue": "100644 site", "nodes.yaml": "100644 sorted between", "nodes/rack1/n1.yaml": "100644 n1", "bin/tool": "100755 #!"}
	if diff := cmp.Diff(want, modesAndData(t, tree.FS)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := fs.ReadFile(tree.FS, "site.cue"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, name := range []string{"nodes", "nodes/none", "none", "site.cue/x"} {
		_, err := r.ReadFile(t.Context(), rev.Commit, name)
		if errors.Is(err, fs.ErrNotExist) != (name != "nodes") {
			t.Errorf("read %s: %v", name, err)
		}
	}
	if _, err := r.ReadFile(t.Context(), rev.Commit, "../etc/passwd"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("read outside: %v", err)
	}
}

func TestTreeRefuses(t *testing.T) {
	tests := map[string]struct {
		mode, name string
		want       git.BadObject
	}{
		"symlink":   {gitrepo.Symlink, "nodes/link", git.BadObject{Path: "nodes/link", Code: git.CodeSymlink, Reason: "symbolic links are refused: commit the file itself"}},
		"submodule": {gitrepo.Submodule, "kinds/vendor", git.BadObject{Path: "kinds/vendor", Code: git.CodeSubmodule, Reason: "submodules are refused: commit the files themselves"}},
		"odd mode":  {"100664", "a", git.BadObject{Path: "a", Code: git.CodeMode, Reason: `mode "100664" is refused: only files (100644, 100755) and directories (40000) are allowed`}},
		".git":      {gitrepo.File, "a/.Git/config", git.BadObject{Path: "a/.Git", Code: git.CodeName, Reason: "the name is one of .git on some system"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := newAuthor(t)
			a.write("site.cue", "x")
			good := a.commit()
			id := a.raw("blob", "/etc/passwd")
			if test.mode == gitrepo.Submodule {
				id = strings.Repeat("5", 40)
			}
			a.must(a.Put(test.name, test.mode, id))
			tip := a.commit()
			r := a.fetched("main")
			_, err := r.Tree(core.Revision{Commit: tip})
			checkBad(t, err, &test.want)
			_, err = r.Changes(t.Context(), good, tip)
			checkBad(t, err, &test.want)
			_, err = r.ReadFile(t.Context(), tip, test.name)
			checkBad(t, err, &test.want)
		})
	}
}

// All that is refused is told at once.
func TestTreeRefusesTogether(t *testing.T) {
	a := newAuthor(t)
	for _, name := range []string{"a/link", "b/link"} {
		a.must(a.Put(name, gitrepo.Symlink, a.raw("blob", "x")))
	}
	tip := a.commit()
	_, err := a.fetched("main").Tree(core.Revision{Commit: tip})
	if err == nil || !strings.Contains(err.Error(), "a/link") || !strings.Contains(err.Error(), "b/link") {
		t.Errorf("error %v", err)
	}
}

func TestTreeLimits(t *testing.T) {
	a := newAuthor(t)
	a.write(strings.Repeat("d/", 10)+"f", "x")
	a.write("e", "x")
	tip := a.commit()
	for name, l := range map[string]git.Limits{"depth": {Depth: 5}, "files": {Files: 8}, "entries": {TreeEntries: 1}, "tree bytes": {TreeBytes: 30}} {
		limited, err := git.Open(storeOf(t, a), git.Remote{URL: a.Dir()}, l)
		a.must(err)
		_, err = limited.Tree(core.Revision{Commit: tip})
		var bad *git.BadObject
		if !errors.As(err, &bad) || bad.Code != git.CodeSize {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// storeOf is a folder that holds what the author has.
func storeOf(t *testing.T, a *author) string {
	t.Helper()
	dir := t.TempDir()
	r, err := git.Open(dir, git.Remote{URL: a.Dir()}, git.Limits{})
	a.must(err)
	fetch(t, r, "main")
	return dir
}

func TestOpenDir(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret")
	for name, data := range map[string]string{
		filepath.Join(dir, "site.cue"):          "site",
		filepath.Join(dir, "nodes", "n1.yaml"):  "n1",
		filepath.Join(dir, ".git", "config"):    "x",
		filepath.Join(dir, "bad", "large.yaml"): strings.Repeat("x", 5<<20),
		outside:                                 "secret",
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(data), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := git.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(core.Revision{}, tree.Revision); diff != "" {
		t.Errorf("revision (-want +got):\n%s", diff)
	}
	_, err = fs.ReadFile(tree.FS, "bad/large.yaml")
	checkBad(t, err, &git.BadObject{Path: "bad/large.yaml", Code: git.CodeSize, Reason: "blob of 5242880 bytes; the limit is 4194304"})
	if err := os.Remove(filepath.Join(dir, "bad", "large.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(tree.FS, "site.cue", "nodes/n1.yaml"); err != nil {
		t.Error(err)
	}
	if _, err := fs.Stat(tree.FS, ".git/config"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf(".git is served: %v", err)
	}
	for name, target := range map[string]string{"bad/out": outside, "bad/in": "../site.cue", "bad/dir": "../nodes"} {
		link := filepath.Join(dir, name)
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		want := &git.BadObject{Path: name, Code: git.CodeSymlink, Reason: "symbolic links are refused: commit the file itself"}
		_, err := fs.ReadFile(tree.FS, name)
		checkBad(t, err, want)
		_, err = fs.ReadFile(tree.FS, name+"/n1.yaml")
		checkBad(t, err, want)
		entries, err := fs.ReadDir(tree.FS, "bad")
		if err != nil || len(entries) != 1 || entries[0].Type() != fs.ModeSymlink {
			t.Errorf("the link %s is listed as %v, %v; want it as what it is", name, entries, err)
		}
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
	}
	odd := filepath.Join(dir, "bad", `a\b`)
	if err := os.WriteFile(odd, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.ReadDir(tree.FS, "bad"); !errors.As(err, new(*git.BadObject)) {
		t.Errorf("a folder with the name %q is read: %v", odd, err)
	}
	if _, err := git.OpenDir(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}
