package git_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/test/gitrepo"
)

// A followed is a bare repository behind a server, its author, and a store that
// follows it.
type followed struct {
	*author
	server server
	remote git.Remote
	bare   string // what the server serves
	dir    string // of the store
	repo   *git.Repo
}

func follow(t *testing.T, kind string) *followed {
	t.Helper()
	root := t.TempDir()
	s, auth := servers[kind](t, root)
	t.Cleanup(s.Stop)
	f := &followed{author: newAuthor(t), server: s, bare: filepath.Join(root, "infra.git"), dir: t.TempDir()}
	f.remote = git.Remote{URL: s.URL("infra.git"), Auth: auth}
	f.restart()
	return f
}

func (f *followed) restart() {
	f.t.Helper()
	var err error
	if f.repo, err = git.Open(f.dir, f.remote, git.Limits{}); err != nil {
		f.t.Fatal(err)
	}
}

// fetchMain checks what the tip is, and returns how many bytes were sent for it.
func (f *followed) fetchMain(want string) int64 {
	f.t.Helper()
	sent := f.server.Sent()
	if got := fetch(f.t, f.repo, "main"); got != want {
		f.t.Fatalf("tip %s, want %s", got, want)
	}
	return f.server.Sent() - sent
}

func eachServer(t *testing.T, test func(t *testing.T, f *followed)) {
	for kind := range servers {
		t.Run(kind, func(t *testing.T) { test(t, follow(t, kind)) })
	}
}

func TestFetchIsIncremental(t *testing.T) {
	eachServer(t, func(t *testing.T, f *followed) {
		f.write("pools/big.bin", noise(200_000))
		first := f.change("nodes/n1.yaml", "one")
		f.must(f.Push(f.bare))
		f.must(f.Branch("other"))
		f.change("elsewhere", "x")
		f.must(f.Push(f.bare))
		f.must(f.Checkout("main"))
		f.fetchMain(first)
		if _, err := f.repo.Resolve(t.Context(), "other"); !errors.Is(err, git.ErrNotFound) {
			t.Errorf("another branch came along: %v", err)
		}
		second := f.change("nodes/n1.yaml", "two")
		f.must(f.Push(f.bare))
		if n := f.fetchMain(second); n > 20_000 {
			t.Errorf("%d bytes were sent for one small commit", n)
		}
		before := files(t, f.dir)
		if n := f.fetchMain(second); n > 10_000 {
			t.Errorf("%d bytes were sent for nothing new", n)
		}
		if diff := cmp.Diff(before, files(t, f.dir)); diff != "" {
			t.Errorf("the store changed for nothing new (-want +got):\n%s", diff)
		}
	})
}

// What was fetched survives a restart and an outage.
func TestFetchOutage(t *testing.T) {
	eachServer(t, func(t *testing.T, f *followed) {
		tip := f.change("nodes/n1.yaml", "one")
		f.must(f.Push(f.bare))
		f.fetchMain(tip)
		f.server.SetDown(true)
		f.restart()
		if _, err := f.repo.Fetch(t.Context(), "main"); !errors.Is(err, git.ErrUnreachable) {
			t.Errorf("fetch during an outage: %v", err)
		}
		if got, err := f.repo.Resolve(t.Context(), "main"); err != nil || got != tip {
			t.Errorf("after a restart main is %s, %v", got, err)
		}
		if got, err := f.repo.ReadFile(t.Context(), tip, "nodes/n1.yaml"); err != nil || string(got) != "one" {
			t.Errorf("after a restart the file is %q, %v", got, err)
		}
		f.server.SetDown(false)
		f.fetchMain(tip)
	})
}

// A rewritten branch is fetched, and the old commits stay. A deleted one leaves
// the store as it was.
func TestFetchRewritten(t *testing.T) {
	eachServer(t, func(t *testing.T, f *followed) {
		first := f.change("f", "one")
		second := f.change("f", "two")
		f.must(f.Push(f.bare))
		f.fetchMain(second)
		f.must(f.Reset(first))
		third := f.change("f", "rewritten")
		if err := f.Push(f.bare); !errors.Is(err, gitrepo.ErrRewritten) {
			t.Fatalf("push of a rewritten branch: %v", err)
		}
		f.must(f.PushForce(f.bare))
		f.fetchMain(third)
		if _, err := f.repo.Range(t.Context(), second, third); !errors.Is(err, git.ErrNotDescendant) {
			t.Errorf("range over a rewritten branch: %v", err)
		}
		if _, err := f.repo.Commit(second); err != nil {
			t.Errorf("the old tip is gone: %v", err)
		}
		f.must(f.Branch("keep"))
		f.must(f.Push(f.bare))
		f.must(os.Remove(filepath.Join(f.bare, "refs/heads/main")))
		if _, err := f.repo.Fetch(t.Context(), "main"); !errors.Is(err, git.ErrRefMissing) {
			t.Errorf("fetch of a deleted branch: %v", err)
		}
		if got, err := f.repo.Resolve(t.Context(), "main"); err != nil || got != third {
			t.Errorf("main is %s, %v", got, err)
		}
	})
}

// Many commits of ours are unknown to the remote before one is common.
func TestFetchAfterRewriteSendsOnlyNew(t *testing.T) {
	for _, kind := range []string{"https", "ssh"} {
		t.Run(kind, func(t *testing.T) {
			f := follow(t, kind)
			base := f.change("big.bin", noise(200_000))
			for range 40 {
				f.change("f", f.now.String())
			}
			f.must(f.Push(f.bare))
			f.fetchMain(f.Head())
			f.must(f.Reset(base))
			tip := f.change("f", "new")
			f.must(f.PushForce(f.bare))
			old := files(t, f.bare)
			newRealGit(t).git("--git-dir", f.bare, "prune", "--expire=now") // the remote forgets what it had
			if n := len(old) - len(files(t, f.bare)); n < 40 {
				t.Fatalf("the remote forgot only %d objects", n)
			}
			if n := f.fetchMain(tip); n > 50_000 {
				t.Errorf("%d bytes were sent for one small commit", n)
			}
		})
	}
}

func TestFetchCancelled(t *testing.T) {
	eachServer(t, func(t *testing.T, f *followed) {
		f.change("f", "x")
		f.must(f.Push(f.bare))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := f.repo.Fetch(ctx, "main"); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want that it was cancelled", err)
		}
	})
}

// Two processes may fetch into one store: what the other has brought is there.
func TestFetchBesideAnother(t *testing.T) {
	eachServer(t, func(t *testing.T, f *followed) {
		f.fetchMain(f.pushed("one"))
		other := f.repo
		f.restart()
		tip := f.pushed("two")
		f.fetchMain(tip)
		if got := fetch(t, other, "main"); got != tip {
			t.Errorf("tip %s, want %s", got, tip)
		}
		if got, err := other.ReadFile(t.Context(), tip, "f"); err != nil || string(got) != "two" {
			t.Errorf("f is %q, %v", got, err)
		}
		third := f.pushed("three")
		f.fetchMain(third)
		if _, err := other.Repack(t.Context(), "main", third); err != nil {
			t.Fatal(err)
		}
		f.restart()
		if got, err := f.repo.ReadFile(t.Context(), third, "f"); err != nil || string(got) != "three" {
			t.Errorf("packed by one who had not seen it, f is %q, %v", got, err)
		}
	})
}

// pushed commits a file and pushes it.
func (f *followed) pushed(data string) string {
	f.t.Helper()
	id := f.change("f", data)
	f.must(f.Push(f.bare))
	return id
}
