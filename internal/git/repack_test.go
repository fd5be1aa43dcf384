package git_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
)

// A grown is a store that has fetched a branch many times, a rewritten one among
// them.
type grown struct {
	*author
	dir        string
	repo       *git.Repo
	first, tip string // of the branch that is kept
	refused    string // tip of what was pushed in its place for a while
	files      map[string]string
}

// grow fetches each of n commits, which are alike as those of an infra repo are.
func grow(t *testing.T, n int) *grown {
	t.Helper()
	g := &grown{author: newAuthor(t), dir: t.TempDir()}
	g.open()
	for i := range 100 {
		g.write(fmt.Sprintf("nodes/n%03d.yaml", i), fmt.Sprintf("kind: Node\nname: n%03d\nserial: %x\n", i, noise(20 + i)[i:]))
	}
	g.first = g.commit()
	for i := range n {
		g.tip = g.change(fmt.Sprintf("nodes/n%03d.yaml", i%100), fmt.Sprintf("kind: Node\ntaints: %d\n", i))
		fetch(t, g.repo, "main")
	}
	g.must(g.Branch("bad"))
	g.must(g.Reset(g.first))
	g.refused = g.change("model.bin", noise(400_000))
	g.must(g.Checkout("main"))
	g.must(g.SetRef("refs/heads/main", g.refused))
	fetch(t, g.repo, "main")
	g.must(g.SetRef("refs/heads/main", g.tip))
	g.files = g.read(g.repo, g.tip)
	return g
}

func (g *grown) open() {
	g.t.Helper()
	var err error
	if g.repo, err = git.Open(g.dir, git.Remote{URL: g.Dir()}, git.Limits{}); err != nil {
		g.t.Fatal(err)
	}
}

// read reads every file of a commit.
func (g *grown) read(r *git.Repo, commit string) map[string]string {
	g.t.Helper()
	tree, err := r.Tree(core.Revision{Commit: commit})
	g.must(err)
	all := map[string]string{}
	g.must(fs.WalkDir(tree.FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var data []byte
			data, err = fs.ReadFile(tree.FS, name)
			all[name] = string(data)
		}
		return err
	}))
	return all
}

// whole fails if the store lacks anything of the branch, whoever reads it.
func (g *grown) whole(r *git.Repo) {
	g.t.Helper()
	commits, err := r.Range(g.t.Context(), g.first, g.tip)
	g.must(err)
	for _, c := range commits {
		if _, err := r.Changes(g.t.Context(), c.Parents[0], c.ID); err != nil {
			g.t.Errorf("changes of %s: %v", c.Subject(), err)
		}
	}
	if diff := cmp.Diff(g.files, g.read(r, g.tip)); diff != "" {
		g.t.Errorf("files of the tip (-want +got):\n%s", diff)
	}
	newRealGit(g.t).git("--git-dir", g.dir, "fsck", "--full", "--no-dangling")
}

func size(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	for _, name := range files(t, dir) {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		bytes += info.Size()
	}
	return bytes
}

func TestRepack(t *testing.T) {
	g := grow(t, 60)
	if crowded, err := g.repo.Crowded(); err != nil || !crowded {
		t.Errorf("61 packs: crowded %v, %v", crowded, err)
	}
	before := size(t, g.dir)
	freed, err := g.repo.Repack(t.Context(), "main", g.tip)
	if err != nil {
		t.Fatal(err)
	}
	after := size(t, g.dir)
	if freed <= 400_000 || after > before-freed || after > 60_000 {
		t.Errorf("freed %d bytes of %d, %d are left", freed, before, after)
	}
	if crowded, err := g.repo.Crowded(); err != nil || crowded {
		t.Errorf("one pack: crowded %v, %v", crowded, err)
	}
	g.whole(g.repo)
	if _, err := g.repo.Commit(g.refused); !errors.Is(err, git.ErrNotFound) {
		t.Errorf("what nothing leads to: %v", err)
	}
	if got, err := g.repo.Resolve(t.Context(), "main"); err != nil || got != g.tip {
		t.Errorf("main is %s, %v; want %s", got, err, g.tip)
	}
	list := files(t, g.dir)
	if freed, err := g.repo.Repack(t.Context(), "main", g.tip); err != nil || freed != 0 {
		t.Errorf("again: freed %d, %v", freed, err)
	}
	if diff := cmp.Diff(list, files(t, g.dir)); diff != "" {
		t.Errorf("packed again for nothing (-want +got):\n%s", diff)
	}
	none, err := git.Open(g.dir, git.Remote{URL: g.Dir()}, git.Limits{StoreBytes: 1})
	g.must(err)
	if _, err := none.Repack(t.Context(), "main", g.tip); err != nil {
		t.Errorf("there is nothing to write, and it fails where nothing may be written: %v", err)
	}
	g.open()
	g.whole(g.repo)
	next := g.change("nodes/n000.yaml", "after")
	if tip := fetch(t, g.repo, "main"); tip != next {
		t.Errorf("fetched %s, want %s", tip, next)
	}
}

// TestRepackKeeps names what must stay although the branch does not lead to it.
func TestRepackKeeps(t *testing.T) {
	g := grow(t, 3)
	g.must(g.Branch("other"))
	other := g.change("f", "of another branch")
	tag := g.raw("tag", fmt.Sprintf("object %s\ntype commit\ntag v1\ntagger E <e@lab.example> 1 +0000\n\nm\n", g.refused))
	g.must(g.SetRef("refs/tags/v1", tag))
	fetch(t, g.repo, "other")
	fetch(t, g.repo, "main")
	g.must(g.repo.FetchTags(t.Context(), func(string) bool { return true }))
	if _, err := g.repo.Repack(t.Context(), "main", g.tip, other, strings.Repeat("1", 40)); err != nil {
		t.Fatal(err)
	}
	g.whole(g.repo)
	for name, id := range map[string]string{"of also": other, "of the tag": g.refused} {
		if len(g.read(g.repo, id)) == 0 {
			t.Errorf("the commit %s has no files", name)
		}
	}
	if got, err := g.repo.Tag("refs/tags/v1"); err != nil || got.ID != tag {
		t.Errorf("tag %+v, %v", got, err)
	}
	if _, err := g.repo.Resolve(t.Context(), "other"); !errors.Is(err, git.ErrNotFound) {
		t.Errorf("the ref of another branch is left: %v", err)
	}
	g.must(g.repo.FetchTags(t.Context(), func(string) bool { return false }))
	if _, err := g.repo.Repack(t.Context(), "main", g.tip); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{other, g.refused} {
		if _, err := g.repo.Commit(id); !errors.Is(err, git.ErrNotFound) {
			t.Errorf("%s is left: %v", id, err)
		}
	}
}

// TestRepackTrees: a directory that a hostile commit calls a file, or hides in a
// malformed tree, is still one where an older commit has it.
func TestRepackTrees(t *testing.T) {
	a := follow(t, "https")
	a.write("z/inner/f", "deep")
	a.write("y/f", "shallow")
	good := a.commit()
	a.must(a.Push(a.bare))
	a.fetchMain(good)
	dir := func(mode, name, id string) string { return a.raw("tree", mode+" "+name+"\x00"+unhex(t, id)) }
	inner := dir("100644", "f", a.raw("blob", "deep"))
	nested := dir("100644", "f", a.raw("blob", "shallow"))
	for range 300 {
		nested = dir("40000", "d", nested)
	}
	a.must(errors.Join(a.Remove("z"), a.Remove("y"),
		a.Put("file", "100644", inner),
		a.Put("commit", "160000", good),
		a.Put("zeros", "100644", dir("040000", "x", inner)),
		a.Put("cut", "100644", a.raw("tree", "100644 f\x00short")),
		a.Put("nested", "100644", nested)))
	tip := a.commit()
	a.must(a.Push(a.bare))
	a.fetchMain(tip)
	if _, err := a.repo.Repack(t.Context(), "main", tip); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, name := range []string{"z/inner/f", "y/f"} {
		data, err := a.repo.ReadFile(t.Context(), good, name)
		a.must(err)
		got[name] = string(data)
	}
	if diff := cmp.Diff(map[string]string{"z/inner/f": "deep", "y/f": "shallow"}, got); diff != "" {
		t.Errorf("files of the older commit (-want +got):\n%s", diff)
	}
}

// TestRepackStops: a machine that stops at any point of it has all the same, and the
// next Repack removes what was left.
func TestRepackStops(t *testing.T) {
	g := grow(t, 60)
	old := filepath.Join(t.TempDir(), "old")
	g.must(os.CopyFS(old, os.DirFS(g.dir)))
	if _, err := g.repo.Repack(t.Context(), "main", g.tip); err != nil {
		t.Fatal(err)
	}
	done := filepath.Join(t.TempDir(), "done")
	g.must(os.CopyFS(done, os.DirFS(g.dir)))
	want := files(t, done)
	const packs = "objects/pack"
	oldPacks, newPacks := files(t, filepath.Join(old, packs)), files(t, filepath.Join(done, packs))
	put := func(from string, names ...string) func() error {
		return func() error {
			for _, name := range names {
				if err := copyFile(filepath.Join(from, packs, name), filepath.Join(g.dir, packs, name)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	stops := map[string]struct {
		from string
		also func() error
	}{
		"before it wrote":    {old, func() error { return nil }},
		"while it wrote":     {old, func() error { return os.CopyFS(filepath.Join(g.dir, "incoming-1"), os.DirFS(done)) }},
		"with an index":      {old, put(done, newPacks[0])},
		"with the new pack":  {old, put(done, newPacks...)},
		"before it removed":  {done, put(old, oldPacks...)},
		"with half removed":  {done, put(old, oldPacks[len(oldPacks)/2/2*2:]...)},
		"with a pack halved": {done, put(old, oldPacks[0])}, // the .idx sorts first
	}
	for name, stop := range stops {
		t.Run(name, func(t *testing.T) {
			g.must(os.RemoveAll(g.dir))
			g.must(os.CopyFS(g.dir, os.DirFS(stop.from)))
			g.must(stop.also())
			age(t, g.dir)
			g.open()
			g.whole(g.repo)
			fetch(t, g.repo, "main")
			if _, err := g.repo.Repack(t.Context(), "main", g.tip); err != nil {
				t.Fatal(err)
			}
			g.whole(g.repo)
			if diff := cmp.Diff(want, files(t, g.dir)); diff != "" {
				t.Errorf("files after the next one (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRepackFails: what cannot be read, or a caller that gives up, leaves all there.
func TestRepackFails(t *testing.T) {
	g := grow(t, 5)
	list := files(t, g.dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.repo.Repack(ctx, "main", g.tip); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	small, err := git.Open(g.dir, git.Remote{URL: g.Dir()}, git.Limits{StoreBytes: 5000})
	g.must(err)
	if _, err := small.Repack(t.Context(), "main", g.tip); !errors.Is(err, git.ErrFull) {
		t.Errorf("over the limit: %v", err)
	}
	if diff := cmp.Diff(list, files(t, g.dir)); diff != "" {
		t.Errorf("the store changed (-want +got):\n%s", diff)
	}
	g.whole(g.repo)
	for _, name := range list { // a disk that forgets
		if strings.HasSuffix(name, ".pack") {
			g.must(os.Chmod(filepath.Join(g.dir, name), 0o600))
			data, err := os.ReadFile(filepath.Join(g.dir, name))
			g.must(err)
			data[len(data)/2] ^= 0xff
			g.must(os.WriteFile(filepath.Join(g.dir, name), data, 0o600))
		}
	}
	g.open()
	if _, err := g.repo.Repack(t.Context(), "main", g.tip); err == nil {
		t.Error("a damaged store was packed anew")
	}
	if diff := cmp.Diff(list, files(t, g.dir)); diff != "" {
		t.Errorf("a damaged store lost files (-want +got):\n%s", diff)
	}
}

// TestRepackLeavesYoung: an index whose pack another process moves in right now stays.
func TestRepackLeavesYoung(t *testing.T) {
	g := grow(t, 1)
	young := filepath.Join(g.dir, "objects/pack/pack-"+strings.Repeat("1", 40)+".idx")
	g.must(os.WriteFile(young, []byte("index"), 0o600))
	if _, err := g.repo.Repack(t.Context(), "main", g.tip); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Error(err)
	}
}

// age has all packs of a store be there for a day.
func age(t *testing.T, dir string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "objects/pack/*"))
	if err != nil {
		t.Fatal(err)
	}
	yesterday := time.Now().Add(-24 * time.Hour)
	for _, name := range names {
		if err := os.Chtimes(name, yesterday, yesterday); err != nil {
			t.Fatal(err)
		}
	}
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o444)
}
