package git_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
)

// over opens a store over another.
func over(t *testing.T, r *git.Repo, l git.Limits) (*git.Repo, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "over")
	o, err := r.Over(dir, l)
	if err != nil {
		t.Fatal(err)
	}
	return o, dir
}

// TestOver reads a branch through both stores: only what is new is sent, and
// nothing of it is left in the one below.
func TestOver(t *testing.T) {
	eachServer(t, func(t *testing.T, f *followed) {
		f.write("big.bin", noise(200_000))
		first := f.change("a", "one")
		base := f.change("a", "two")
		f.must(f.Push(f.bare))
		f.fetchMain(base)
		f.must(f.Branch("idea"))
		f.must(f.Reset(first))
		head := f.change("b", "proposed")
		tag := f.raw("tag", fmt.Sprintf("object %s\ntype commit\ntag v1\ntagger E <e@lab.example> 1 +0000\n\nm\n", head))
		f.must(f.Push(f.bare))
		f.must(os.MkdirAll(filepath.Join(f.bare, "refs/tags"), 0o755))
		f.must(os.WriteFile(filepath.Join(f.bare, "refs/tags/v1"), []byte(tag+"\n"), 0o644))

		below := files(t, f.dir)
		o, dir := over(t, f.repo, git.Limits{})
		sent := f.server.Sent()
		if got := fetch(t, o, "idea"); got != head {
			t.Fatalf("tip %s, want %s", got, head)
		}
		if n := f.server.Sent() - sent; n > 20_000 {
			t.Errorf("%d bytes were sent for one small commit", n)
		}
		tree, conflicts, err := o.Merge(t.Context(), base, head)
		f.must(err)
		got := map[string]string{}
		for _, name := range []string{"a", "b"} {
			data, err := tree.FS.Open(name)
			f.must(err)
			b := make([]byte, 20)
			n, _ := data.Read(b)
			got[name] = string(b[:n])
		}
		if diff := cmp.Diff(map[string]string{"a": "two", "b": "proposed"}, got); diff != "" || len(conflicts) > 0 {
			t.Errorf("merge, conflicts %v (-want +got):\n%s", conflicts, diff)
		}
		for _, name := range []string{head[:12], base[:12], "idea", "main"} {
			if id, err := o.Resolve(t.Context(), name); err != nil || id != head && id != base {
				t.Errorf("%s is %s, %v", name, id, err)
			}
		}
		if commits, err := o.Range(t.Context(), first, head); err != nil || len(commits) != 1 {
			t.Errorf("%d commits, %v", len(commits), err)
		}
		f.must(o.FetchTags(t.Context(), func(string) bool { return true }))
		if got, err := o.Tag("refs/tags/v1"); err != nil || got.Object != head {
			t.Errorf("tag %+v, %v", got, err)
		}

		if _, err := f.repo.Tag("refs/tags/v1"); !errors.Is(err, git.ErrNotFound) {
			t.Errorf("the tag is known below: %v", err)
		}
		if _, err := f.repo.Commit(head); !errors.Is(err, git.ErrNotFound) {
			t.Errorf("the commit is below: %v", err)
		}
		if diff := cmp.Diff(below, files(t, f.dir)); diff != "" {
			t.Errorf("the store below changed (-want +got):\n%s", diff)
		}
		f.must(o.Discard())
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the folder is left: %v", err)
		}
		f.fetchMain(base)
	})
}

// TestOverLimits: what is over the limits of the upper store is an error of that
// store alone, and takes no room.
func TestOverLimits(t *testing.T) {
	f := follow(t, "https")
	base := f.change("a", "one")
	f.must(f.Push(f.bare))
	f.fetchMain(base)
	f.must(f.Branch("idea"))
	for i := range 30 {
		f.write(fmt.Sprintf("f%d", i), noise(300_000)[i*10_000:(i+1)*10_000])
	}
	f.commit()
	f.must(f.Push(f.bare))
	for name, l := range map[string]git.Limits{
		"pack bytes":     {PackBytes: 100_000},
		"pack objects":   {PackObjects: 10},
		"object bytes":   {ObjectBytes: 9_000},
		"inflated bytes": {InflatedBytes: 200_000},
		"store bytes":    {StoreBytes: 100_000},
	} {
		o, dir := over(t, f.repo, l)
		empty := files(t, dir)
		want := git.ErrLimit
		if l.StoreBytes > 0 {
			want = git.ErrFull
		}
		if _, err := o.Fetch(t.Context(), "idea"); !errors.Is(err, want) {
			t.Errorf("%s: error %v, want %v", name, err, want)
		}
		if diff := cmp.Diff(empty, files(t, dir)); diff != "" {
			t.Errorf("%s: something is left (-want +got):\n%s", name, diff)
		}
	}
	f.fetchMain(base)
}

// TestOverBesideTheOther reads through both stores while the lower one fetches and
// is packed anew.
func TestOverBesideTheOther(t *testing.T) {
	f := follow(t, "https")
	base := f.change("a", "one")
	f.must(f.Push(f.bare))
	f.fetchMain(base)
	f.must(f.Branch("idea"))
	head := f.change("b", "proposed")
	f.must(f.Push(f.bare))
	f.must(f.Checkout("main"))
	o, _ := over(t, f.repo, git.Limits{})
	fetch(t, o, "idea")

	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				_, _, err := o.Merge(t.Context(), base, head)
				_, rangeErr := o.Range(t.Context(), base, head)
				tree, treeErr := o.Tree(core.Revision{Commit: base})
				if err := errors.Join(err, rangeErr, treeErr); err != nil {
					t.Error(err)
					return
				}
				if _, err := tree.FS.Open("a"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 10 {
		tip := f.change("a", fmt.Sprint(i))
		f.must(f.Push(f.bare))
		f.fetchMain(tip)
		if _, err := f.repo.Repack(t.Context(), "main", tip, base); err != nil {
			t.Error(err)
		}
	}
	close(done)
	readers.Wait()
}
