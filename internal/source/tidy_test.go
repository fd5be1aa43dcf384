package source_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/internal/source"
	"prumo.dev/prumo/internal/trust"
	"prumo.dev/prumo/test/lab"
	"prumo.dev/prumo/test/smalldisk"
)

// model commits a file that does not compress, which nobody may add, and pushes it.
func model(t *testing.T, l *lab.Lab, size int) string {
	t.Helper()
	data := make([]byte, size)
	_, _ = rand.Read(data)
	err := l.Repo.Write("model.bin", data)
	if err != nil {
		t.Fatal(err)
	}
	id, err := l.Commit("flo", "a model")
	if err == nil {
		err = l.Repo.PushForce(l.Origin)
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// advanced advances, and wants a revision in force and a code of refusal.
func advanced(t *testing.T, s *source.Source, want, code string) core.Revision {
	t.Helper()
	rev, refused, err := s.Advance(t.Context())
	got := ""
	if refused != nil && refused.Refusal != nil {
		got = refused.Refusal.Code
	}
	if err != nil || rev.Commit != want || got != code {
		t.Fatalf("in force %s, refused %q (%+v), %v; want %s, %q", rev.Commit, got, refused, err, want, code)
	}
	return rev
}

// many pushes and accepts as many commits as have the store packed anew.
func many(t *testing.T, l *lab.Lab, s *source.Source) (tip string) {
	t.Helper()
	for i := range 52 {
		if err := l.Repo.Write("tools/README.md", fmt.Appendf(nil, "%d\n", i)); err != nil {
			t.Fatal(err)
		}
		var err error
		if tip, err = l.Commit("flo", "again"); err == nil {
			err = l.Push()
		}
		if err != nil {
			t.Fatal(err)
		}
		advanced(t, s, tip, "")
	}
	return tip
}

func objects(l *lab.Lab) string { return filepath.Join(l.Dir, "state", "objects") }

// TestTidy: the store is packed anew after many fetches. What a later pass, a restart,
// a verification from the introduction on, and an override need is there; what was
// refused is not.
func TestTidy(t *testing.T) {
	l, err := lab.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(l.Trust)
	if err == nil {
		err = os.WriteFile(l.Trust, append(text, "repo: {id: lab, ref: refs/heads/main}\n"...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	good := l.Repo.Head()
	serve := served(t, l)
	s := open(t, l, serve)
	kept := commit(t, l, "flo", "tools/label-studio.yaml") // in force for a spec that is broken since
	rev := advanced(t, s, kept, "")
	if err := s.SetApplied(t.Context(), core.Applied{Revision: rev, Kept: core.Kept{"MLTool/mlflow": kept}}); err != nil {
		t.Fatal(err)
	}
	left := commit(t, l, "flo", "tools/qdrant.yaml") // by the word of root
	advanced(t, s, left, "")
	override(t, l, left, good)
	if err := errors.Join(l.Repo.Reset(good), l.Repo.PushForce(l.Origin)); err != nil {
		t.Fatal(err)
	}
	advanced(t, s, good, "")
	refused := model(t, l, 1<<20)
	advanced(t, s, good, trust.CodePath)
	if err := errors.Join(l.Repo.Reset(good), l.Repo.PushForce(l.Origin)); err != nil {
		t.Fatal(err)
	}
	tip := many(t, l, s)

	check := func(s *source.Source) {
		t.Helper()
		if packs, err := filepath.Glob(filepath.Join(objects(l), "objects/pack/*.pack")); err != nil || len(packs) > 10 {
			t.Errorf("%d packs, %v", len(packs), err)
		}
		for _, id := range []string{tip, left, kept} {
			tree, err := s.Tree(core.Revision{Commit: id})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := fs.ReadFile(tree.FS, "tools/mlflow.yaml"); err != nil {
				t.Errorf("file of %s: %v", id, err)
			}
		}
		if got := s.Applied().Commit; got != kept {
			t.Errorf("applied is %q, want %s", got, kept)
		}
		if v, err := s.Judge(t.Context(), "", tip); err != nil || v.Refusal != nil {
			t.Errorf("from the introduction: %+v, %v", v.Refusal, err)
		}
		if _, err := s.Resolve(t.Context(), refused); !errors.Is(err, git.ErrNotFound) {
			t.Errorf("what was refused is there: %v", err)
		}
	}
	check(s)
	s = open(t, l, serve)
	check(s)
	advanced(t, s, tip, "")
	tip = commit(t, l, "flo", "tools/jupyter.yaml") // and is compared with what was left
	advanced(t, s, tip, "")
	if err := errors.Join(l.Repo.Reset(left), l.Repo.PushForce(l.Origin)); err != nil {
		t.Fatal(err)
	}
	advanced(t, s, tip, trust.CodeRewritten)
}

// TestTidyFull: a store that is full of what was refused makes room for what is not;
// one that is full of history says so, and keeps what is in force.
func TestTidyFull(t *testing.T) {
	l, err := lab.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	good := l.Repo.Head()
	open := func() *source.Source {
		return open(t, l, func(o *source.Options) { o.StoreBytes = 3 << 20 })
	}
	s := open()
	advanced(t, s, good, "")
	for range 6 {
		if err := l.Repo.Reset(good); err != nil {
			t.Fatal(err)
		}
		model(t, l, 1<<20)
		advanced(t, s, good, trust.CodePath)
		if sum := total(usage(t, objects(l))); sum > 3<<20 {
			t.Errorf("the store takes %d bytes", sum)
		}
	}
	if err := l.Repo.Reset(good); err != nil {
		t.Fatal(err)
	}
	model(t, l, 4<<20)
	for range 2 {
		rev, _, err := s.Advance(t.Context())
		if !errors.Is(err, git.ErrFull) || !strings.Contains(err.Error(), "storeMiB") || rev.Commit != good {
			t.Errorf("in force %s, error %v; want %s, and that the store is full", rev.Commit, err, good)
		}
	}
	if err := errors.Join(l.Repo.Reset(good), l.Repo.PushForce(l.Origin)); err != nil {
		t.Fatal(err)
	}
	advanced(t, s, good, "")
	next := commit(t, l, "flo", "tools/label-studio.yaml")
	advanced(t, open(), next, "")
}

// TestTidyFails: a disk without room for a new pack is told, and stops nothing.
func TestTidyFails(t *testing.T) {
	disk := smalldisk.Mount(t, 8<<20)
	l, err := lab.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, l, func(o *source.Options) { o.Dir = filepath.Join(disk, "state") })
	good := l.Repo.Head()
	advanced(t, s, good, "")
	if err := l.Repo.Write("tools/README.md", nil); err != nil {
		t.Fatal(err)
	}
	// What is reachable and does not compress takes more than is free.
	noise := make([]byte, 3<<20)
	_, _ = rand.Read(noise)
	if err := l.Repo.Write("tools/noise.bin", noise); err != nil {
		t.Fatal(err)
	}
	tip := many(t, l, s)
	filler := filepath.Join(disk, "filler")
	if err := smalldisk.Fill(filler, 1<<20); err != nil {
		t.Fatal(err)
	}
	warned := false
	for i := range 52 {
		if err := l.Repo.Write("tools/README.md", fmt.Appendf(nil, "again %d\n", i)); err != nil {
			t.Fatal(err)
		}
		if tip, err = l.Commit("flo", "again"); err == nil {
			err = l.Push()
		}
		if err != nil {
			t.Fatal(err)
		}
		advanced(t, s, tip, "")
		warned = warned || slices.ContainsFunc(s.Warnings(), func(w core.Warning) bool { return strings.Contains(w.Found, "no space left") })
	}
	if !warned {
		t.Error("nobody is told that the store cannot be packed anew")
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	advanced(t, s, tip, "")
	if w := s.Warnings(); len(w) > 0 {
		t.Errorf("with room: %+v", w)
	}
}

func total(sizes map[string]int64) (sum int64) {
	for size := range maps.Values(sizes) {
		sum += size
	}
	return sum
}

// TestOldProposals: what an older version fetched of pull requests into the store of
// the branch goes with the next packing.
func TestOldProposals(t *testing.T) {
	l, err := lab.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Repo.Branch("idea"); err != nil {
		t.Fatal(err)
	}
	idea := model(t, l, 1<<20)
	old, err := git.Open(objects(l), git.Remote{URL: l.Origin}, git.Limits{})
	if err == nil {
		_, err = old.Fetch(t.Context(), "idea")
	}
	if err = errors.Join(err, l.Repo.Checkout("main")); err != nil {
		t.Fatal(err)
	}
	s := open(t, l)
	advanced(t, s, l.Repo.Head(), "")
	many(t, l, s)
	if _, err := s.Resolve(t.Context(), idea); !errors.Is(err, git.ErrNotFound) {
		t.Errorf("the old proposal is there: %v", err)
	}
	if diff := cmp.Diff([]string{"main"}, refs(t, filepath.Join(objects(l), "refs/prumo/fetched/refs/heads"))); diff != "" {
		t.Errorf("refs (-want +got):\n%s", diff)
	}
}

func refs(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
