package source_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/internal/source"
	"prumo.dev/prumo/internal/trust"
	"prumo.dev/prumo/test/gitserver"
	"prumo.dev/prumo/test/lab"
	"prumo.dev/prumo/test/smalldisk"
)

// propose looks at a branch and at nothing in its files.
func propose(t *testing.T, p *source.Proposals, branch string) (got core.Proposal, err error) {
	t.Helper()
	err = p.With(t.Context(), "refs/heads/"+branch, func(proposal core.Proposal) error {
		got = proposal
		return nil
	})
	return got, err
}

// served serves a lab over https, as a forge does.
func served(t *testing.T, l *lab.Lab) func(*source.Options) {
	t.Helper()
	server, err := gitserver.StartHTTPS(filepath.Dir(l.Origin), "ana", "s3cret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return func(o *source.Options) {
		o.Remote = git.Remote{URL: server.URL(filepath.Base(l.Origin)), Auth: git.Auth{Username: "ana", Password: "s3cret", CA: server.CA()}}
	}
}

// usage lists the files below a folder with their sizes.
func usage(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	sizes := map[string]int64{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sizes[strings.TrimPrefix(name, dir)] = info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sizes
}

// left lists what is in the folder of proposals.
func left(t *testing.T, l *lab.Lab) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(l.Dir, "state", "proposals"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestPropose judges and merges a branch that parted before the base went on. Its
// files are read from both stores.
func TestPropose(t *testing.T) {
	l, err := lab.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Repo.Branch("proposal"); err != nil {
		t.Fatal(err)
	}
	if err := l.Repo.Write("tools/new.yaml", []byte("new: true\n")); err != nil {
		t.Fatal(err)
	}
	head := commit(t, l, "flo", "tools/label-studio.yaml")
	if err := l.Repo.Checkout("main"); err != nil {
		t.Fatal(err)
	}
	base := commit(t, l, "ana", "workspaces/ana.yaml")
	s := open(t, l, served(t, l))
	if _, _, err := s.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := usage(t, filepath.Join(l.Dir, "state", "objects"))
	var kept core.Tree
	err = s.Proposals().With(t.Context(), "refs/heads/proposal", func(p core.Proposal) error {
		if p.Head != head || p.Base.Commit != base || p.Verdict.Refusal != nil || len(p.Conflicts) > 0 {
			t.Fatalf("proposal %+v", p)
		}
		for _, name := range []string{"tools/label-studio.yaml", "workspaces/ana.yaml"} {
			if f, err := p.Tree.FS.Open(name); err == nil {
				f.Close()
				t.Errorf("%s is in the merge, though one side removed it", name)
			}
		}
		for _, name := range []string{"tools/new.yaml", "tools/mlflow.yaml"} {
			if data, err := fs.ReadFile(p.Tree.FS, name); err != nil || len(data) == 0 {
				t.Errorf("%s: %q, %v", name, data, err)
			}
		}
		kept = p.Tree
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, usage(t, filepath.Join(l.Dir, "state", "objects"))); diff != "" {
		t.Errorf("the store of the branch changed (-want +got):\n%s", diff)
	}
	if names := left(t, l); len(names) > 0 {
		t.Errorf("left of the proposal: %v", names)
	}
	if _, err := fs.ReadFile(kept.FS, "tools/new.yaml"); err == nil {
		t.Error("the proposal's file is read after it was thrown away")
	}
	failed := errors.New("cannot be planned")
	if err := s.Proposals().With(t.Context(), "refs/heads/proposal", func(core.Proposal) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("error %v, want the caller's", err)
	}
	if names := left(t, l); len(names) > 0 {
		t.Errorf("left of a proposal that failed: %v", names)
	}
}

// TestProposalsTakeNoRoom pushes again and again what does not compress to a branch
// that is proposed.
func TestProposalsTakeNoRoom(t *testing.T) {
	t.Run("50 of 256 KiB", func(t *testing.T) { takeNoRoom(t, 50, 256<<10) })
	if testing.Short() {
		return
	}
	t.Run("8 of 20 MiB", func(t *testing.T) { takeNoRoom(t, 8, 20<<20) })
}

func takeNoRoom(t *testing.T, pushes, size int) {
	l, err := lab.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, l, served(t, l))
	if _, _, err := s.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, base := s.Proposals(), l.Repo.Head()
	// The author's repository is served as it is: a push would copy all of it.
	err = errors.Join(os.RemoveAll(l.Origin), os.Symlink(l.Repo.Dir(), l.Origin), l.Repo.Branch("idea"))
	if err != nil {
		t.Fatal(err)
	}
	before := usage(t, filepath.Join(l.Dir, "state", "objects"))
	for i := range pushes {
		if err := l.Repo.Reset(base); err != nil {
			t.Fatal(err)
		}
		for part := range 2 { // an object may have 16 MiB
			data := make([]byte, size/2)
			_, _ = rand.Read(data)
			if err := l.Repo.Write(fmt.Sprintf("model-%d.bin", part), data); err != nil {
				t.Fatal(err)
			}
		}
		head, err := l.Commit("flo", "a model")
		if err != nil {
			t.Fatal(err)
		}
		got, err := propose(t, p, "idea")
		if err != nil || got.Head != head || got.Verdict.Refusal == nil {
			t.Fatalf("push %d: %+v, %v", i, got, err)
		}
		if names := left(t, l); len(names) > 0 {
			t.Fatalf("left of push %d: %v", i, names)
		}
		for _, name := range largeFiles(t, l.Repo.Dir(), int64(size/4)) { // nor need the test keep it
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := cmp.Diff(before, usage(t, filepath.Join(l.Dir, "state", "objects"))); diff != "" {
		t.Errorf("the store of the branch changed (-want +got):\n%s", diff)
	}
}

// largeFiles names the files below a folder that are larger than some bytes.
func largeFiles(t *testing.T, dir string, larger int64) (names []string) {
	t.Helper()
	for name, size := range usage(t, dir) {
		if size > larger {
			names = append(names, filepath.Join(dir, name))
		}
	}
	return names
}

// TestProposalTooLarge: a proposal over its limits fails alone.
func TestProposalTooLarge(t *testing.T) {
	l, err := lab.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	base := l.Repo.Head()
	s := open(t, l, served(t, l))
	if _, _, err := s.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := s.Proposals()
	hostile := map[string]func() error{
		"pack bytes": func() error { // three of 11 MiB
			for i := range 3 {
				data := make([]byte, 11<<20)
				_, _ = rand.Read(data)
				if err := l.Repo.Write(fmt.Sprint(i), data); err != nil {
					return err
				}
			}
			return nil
		},
		"object bytes": func() error { return l.Repo.Write("bomb", make([]byte, 17<<20)) },
	}
	if testing.Short() {
		delete(hostile, "pack bytes")
	}
	for limit, write := range hostile {
		branch := strings.ReplaceAll(limit, " ", "-")
		err := errors.Join(l.Repo.Branch(branch), l.Repo.Reset(base), write())
		if err == nil {
			_, err = l.Commit("flo", "hostile")
		}
		if err == nil {
			err = l.Push()
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := propose(t, p, branch); !errors.Is(err, git.ErrLimit) || !strings.Contains(err.Error(), limit) {
			t.Errorf("error %v, want the limit of %s", err, limit)
		}
		if names := left(t, l); len(names) > 0 {
			t.Errorf("left of what is over the limit of %s: %v", limit, names)
		}
	}
	if err := errors.Join(l.Repo.Branch("good"), l.Repo.Reset(base)); err != nil {
		t.Fatal(err)
	}
	head := commit(t, l, "flo", "tools/label-studio.yaml")
	if got, err := propose(t, p, "good"); err != nil || got.Head != head {
		t.Errorf("the next proposal: %+v, %v", got, err)
	}
}

// TestProposalsSweep: what a killed process left is removed at the start; what a
// process uses is not.
func TestProposalsSweep(t *testing.T) {
	l, err := lab.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(l.Dir, "state", "proposals", "proposal-1", "objects")
	if err := os.MkdirAll(stale, 0o700); err != nil {
		t.Fatal(err)
	}
	s := open(t, l)
	p := s.Proposals()
	if names := left(t, l); len(names) > 0 {
		t.Errorf("left after a start: %v", names)
	}
	if _, _, err := s.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = p.With(t.Context(), "refs/heads/main", func(core.Proposal) error {
		open(t, l).Proposals()
		if names := left(t, l); len(names) != 1 {
			t.Errorf("what is in use was removed: %v", names)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestProposalsDiskFull: a disk that proposals cannot be written to stops none but
// them.
func TestProposalsDiskFull(t *testing.T) {
	disk := smalldisk.Mount(t, 1<<20)
	l, err := lab.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(l.Dir, "state", "proposals")
	if err := errors.Join(os.Mkdir(filepath.Dir(folder), 0o700), os.Symlink(disk, folder)); err != nil {
		t.Fatal(err)
	}
	s := open(t, l)
	if _, _, err := s.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Repo.Branch("idea"); err != nil {
		t.Fatal(err)
	}
	head := commit(t, l, "flo", "tools/mlflow.yaml")
	if err := l.Repo.Checkout("main"); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(disk, "filler")
	p := s.Proposals()
	for i, free := range []int64{0, 4 << 10, 8 << 10} {
		if err := smalldisk.Fill(filler, free); err != nil {
			t.Fatal(err)
		}
		if _, err := propose(t, p, "idea"); err == nil || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("with %d bytes: error %v", free, err)
		}
		path := []string{"tools/jupyter.yaml", "tools/label-studio.yaml", "tools/qdrant.yaml"}[i]
		want := commit(t, l, "flo", path)
		if rev, refused, err := s.Advance(t.Context()); err != nil || refused != nil || rev.Commit != want {
			t.Errorf("the branch, with %d bytes: in force %s, %+v, %v; want %s", free, rev.Commit, refused, err, want)
		}
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if names := left(t, l); len(names) > 0 {
		t.Errorf("left on the disk: %v", names)
	}
	if got, err := propose(t, p, "idea"); err != nil || got.Head != head {
		t.Errorf("with room: %+v, %v", got, err)
	}
}

// TestProposalsBeside plans proposals while the branch goes on and is packed anew.
func TestProposalsBeside(t *testing.T) {
	l, err := lab.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	serve := served(t, l)
	s := open(t, l, serve)
	if _, _, err := s.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Repo.Branch("idea"); err != nil {
		t.Fatal(err)
	}
	head := commit(t, l, "flo", "tools/mlflow.yaml")
	if err := l.Repo.Checkout("main"); err != nil {
		t.Fatal(err)
	}
	p, done, planned := s.Proposals(), make(chan struct{}), make(chan int)
	go func() {
		n := 0
		defer func() { planned <- n }()
		for {
			select {
			case <-done:
				return
			default:
			}
			err := p.With(t.Context(), "refs/heads/idea", func(p core.Proposal) error {
				if p.Head != head || p.Verdict.Refusal != nil {
					t.Errorf("proposal %+v", p)
				}
				_, err := fs.ReadFile(p.Tree.FS, "tools/label-studio.yaml")
				return err
			})
			if err != nil {
				t.Error(err)
				return
			}
			n++
		}
	}()
	for i := range 55 { // as many as are packed anew
		if err := l.Repo.Write("tools/README.md", fmt.Appendf(nil, "%d\n", i)); err != nil {
			t.Fatal(err)
		}
		id, err := l.Commit("flo", "again")
		if err == nil {
			err = l.Push()
		}
		if err != nil {
			t.Fatal(err)
		}
		rev, refused, err := s.Advance(t.Context())
		if err != nil || refused != nil || rev.Commit != id {
			t.Fatalf("in force %s, %+v, %v; want %s", rev.Commit, refused, err, id)
		}
		if err := s.SetApplied(t.Context(), core.Applied{Revision: rev, Kept: core.Kept{"MLTool/mlflow": rev.Commit}}); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	if n := <-planned; n == 0 {
		t.Error("nothing was planned meanwhile")
	}
	if packs, err := filepath.Glob(filepath.Join(l.Dir, "state", "objects/objects/pack/*.pack")); err != nil || len(packs) > 50 {
		t.Errorf("%d packs, %v", len(packs), err)
	}
}

// TestProposalApproval: approvals that a proposal is judged by are not what the
// branch is judged by.
func TestProposalApproval(t *testing.T) {
	w := newApproved(t)
	s := open(t, w.Lab)
	if _, refused, err := s.Advance(t.Context()); refused != nil || err != nil {
		t.Fatal(refused, err)
	}
	if err := w.Repo.Branch("idea"); err != nil {
		t.Fatal(err)
	}
	id := commit(t, w.Lab, "flo", "workspaces/ana.yaml")
	p := s.Proposals()
	got, err := propose(t, p, "idea")
	if err != nil || got.Verdict.Refusal == nil || got.Verdict.Refusal.Code != trust.CodeThreshold {
		t.Fatalf("without an approval: %+v, %v", got.Verdict.Refusal, err)
	}
	ref := w.approve(id, "eli")
	if got, err = propose(t, p, "idea"); err != nil || got.Verdict.Refusal != nil {
		t.Errorf("with an approval: %+v, %v", got.Verdict.Refusal, err)
	}
	if err := w.Repo.Checkout("main"); err != nil {
		t.Fatal(err)
	}
	if err := w.Repo.Reset(id); err != nil {
		t.Fatal(err)
	}
	if err := w.Push(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(w.Origin, ref)); err != nil { // taken back before it landed
		t.Fatal(err)
	}
	if _, refused, err := s.Advance(t.Context()); err != nil || refused == nil || refused.Refusal.Code != trust.CodeThreshold {
		t.Errorf("the branch, by an approval that was taken back: %+v, %v", refused, err)
	}
}
