package git_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/test/smalldisk"
)

// TestFetchFull: a store that would be larger than it may be says so, and has what it
// had. It takes what there is room for.
func TestFetchFull(t *testing.T) {
	a := newAuthor(t)
	small := a.change("f", "x")
	dir := t.TempDir()
	r, err := git.Open(dir, git.Remote{URL: a.Dir()}, git.Limits{StoreBytes: 50_000})
	a.must(err)
	fetch(t, r, "main")
	before := files(t, dir)
	large := a.change("large.bin", noise(60_000))
	_, err = r.Fetch(t.Context(), "main")
	if !errors.Is(err, git.ErrFull) || errors.Is(err, git.ErrLimit) || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v, want that the store is full, and where", err)
	}
	if diff := cmp.Diff(before, files(t, dir)); diff != "" {
		t.Errorf("the store changed (-want +got):\n%s", diff)
	}
	a.must(a.Reset(small))
	if tip := fetch(t, r, "main"); tip != small {
		t.Errorf("tip %s, want %s", tip, small)
	}
	r, err = git.Open(dir, git.Remote{URL: a.Dir()}, git.Limits{})
	a.must(err)
	a.must(a.Reset(large))
	if tip := fetch(t, r, "main"); tip != large {
		t.Errorf("with room the tip is %s, want %s", tip, large)
	}
}

// TestDiskFull fills the disk so that the fetch stops at each of its steps. What was
// there stays, nothing half is left, and with room it goes on.
func TestDiskFull(t *testing.T) {
	disk := smalldisk.Mount(t, 2<<20)
	a := newAuthor(t)
	first := a.change("f", "x")
	dir, filler := filepath.Join(disk, "store"), filepath.Join(disk, "filler")
	r, err := git.Open(dir, git.Remote{URL: a.Dir()}, git.Limits{})
	a.must(err)
	fetch(t, r, "main")
	before := files(t, dir)
	for i := range 200 { // their index takes blocks, too
		a.write(fmt.Sprint(i), noise(100_000)[i*500:(i+1)*500])
	}
	tip := a.commit()
	stopped := 0
	for free := int64(0); free < 1<<20; free += 4 << 10 {
		a.must(smalldisk.Fill(filler, free))
		_, err := r.Fetch(t.Context(), "main")
		a.must(os.Remove(filler))
		if err == nil {
			break
		}
		stopped++
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "make room") {
			t.Errorf("with %d bytes: error %v, want that the disk is full, and what to do", free, err)
		}
		if diff := cmp.Diff(before, files(t, dir)); diff != "" {
			t.Fatalf("with %d bytes: the store changed (-want +got):\n%s", free, diff)
		}
		if got, err := r.Resolve(t.Context(), "main"); err != nil || got != first {
			t.Fatalf("with %d bytes: main is %s, %v; want %s", free, got, err, first)
		}
	}
	if stopped < 20 {
		t.Errorf("the disk was full only %d times", stopped)
	}
	r, err = git.Open(dir, git.Remote{URL: a.Dir()}, git.Limits{})
	a.must(err)
	if got, err := r.ReadFile(t.Context(), tip, "199"); err != nil || len(got) != 500 {
		t.Errorf("with room: %d bytes, %v", len(got), err)
	}
}

// TestDiskFullRepack: there is no room for two of all; the objects stay as they were.
func TestDiskFullRepack(t *testing.T) {
	g := grow(t, 5)
	disk := smalldisk.Mount(t, 4<<20)
	dir := filepath.Join(disk, "store")
	g.must(os.CopyFS(dir, os.DirFS(g.dir)))
	g.dir = dir
	g.open()
	list := files(t, dir)
	filler := filepath.Join(disk, "filler")
	for free := int64(0); free < 200<<10; free += 20 << 10 {
		g.must(smalldisk.Fill(filler, free))
		_, err := g.repo.Repack(t.Context(), "main", g.refused, g.tip)
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("with %d bytes: error %v", free, err)
		}
		if diff := cmp.Diff(list, files(t, dir)); diff != "" {
			t.Fatalf("with %d bytes: the store changed (-want +got):\n%s", free, diff)
		}
		g.must(os.Remove(filler))
	}
	if _, err := g.repo.Repack(t.Context(), "main", g.tip); err != nil {
		t.Error(err)
	}
	g.whole(g.repo)
}

// TestReadOnly: a store on a disk that cannot be written to is read all the same.
func TestReadOnly(t *testing.T) {
	disk := smalldisk.Mount(t, 1<<20)
	a := newAuthor(t)
	first := a.change("f", "x")
	r, err := git.Open(filepath.Join(disk, "store"), git.Remote{URL: a.Dir()}, git.Limits{})
	a.must(err)
	fetch(t, r, "main")
	smalldisk.ReadOnly(t, disk)
	next := a.change("f", "y")
	if _, err := r.Fetch(t.Context(), "main"); !errors.Is(err, syscall.EROFS) {
		t.Errorf("fetch: %v", err)
	}
	if got, err := r.Resolve(t.Context(), "main"); err != nil || got != first {
		t.Errorf("main is %s, %v", got, err)
	}
	if data, err := r.ReadFile(t.Context(), first, "f"); err != nil || string(data) != "x" {
		t.Errorf("f is %q, %v", data, err)
	}
	o, _ := over(t, r, git.Limits{})
	if tip := fetch(t, o, "main"); tip != next {
		t.Errorf("in a store over it the tip is %s, want %s", tip, next)
	}
}
