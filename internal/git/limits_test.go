package git_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
)

func TestFetchLimits(t *testing.T) {
	root := t.TempDir()
	bare := filepath.Join(root, "infra.git")
	a := newAuthor(t)
	small := a.change("small", "x")
	a.must(a.Push(bare))
	https, httpsAuth := servers["https"](t, root)
	t.Cleanup(https.Stop)
	sshd, sshAuth := servers["ssh"](t, root)
	t.Cleanup(sshd.Stop)
	remotes := map[string]git.Remote{
		"https": {URL: https.URL("infra.git"), Auth: httpsAuth},
		"ssh":   {URL: sshd.URL("infra.git"), Auth: sshAuth},
		"path":  {URL: bare},
	}
	stores := map[string]string{}
	for name, remote := range remotes {
		stores[name] = t.TempDir()
		r, err := git.Open(stores[name], remote, git.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		fetch(t, r, "main")
	}
	a.change("noise.bin", noise(300_000))
	a.must(a.Push(bare))
	a.must(a.Branch("model"))
	a.must(a.Write("model.bin", make([]byte, 100<<20)))
	a.commit()
	a.must(a.Push(bare))
	tests := []struct {
		what   string
		branch string
		limits git.Limits
	}{
		{"object bytes", "model", git.Limits{}}, // 100 KiB as sent
		{"pack bytes", "main", git.Limits{PackBytes: 100_000}},
		{"pack objects", "main", git.Limits{PackObjects: 1}},
		{"inflated bytes", "main", git.Limits{InflatedBytes: 200_000}},
	}
	for name, remote := range remotes {
		for _, test := range tests {
			t.Run(name+" "+test.what, func(t *testing.T) {
				r, err := git.Open(stores[name], remote, test.limits)
				if err != nil {
					t.Fatal(err)
				}
				before := files(t, stores[name])
				_, err = r.Fetch(t.Context(), test.branch)
				if !errors.Is(err, git.ErrLimit) || !strings.Contains(err.Error(), test.what) {
					t.Errorf("error %v, want the limit of %s", err, test.what)
				}
				if diff := cmp.Diff(before, files(t, stores[name])); diff != "" {
					t.Errorf("the store changed (-want +got):\n%s", diff)
				}
				if got, err := r.Resolve(t.Context(), "main"); err != nil || got != small {
					t.Errorf("main is %s, %v; want %s", got, err, small)
				}
			})
		}
	}
}

// A file over the limit that did reach the store is not read.
func TestBlobLimit(t *testing.T) {
	a := newAuthor(t)
	tip := a.change("data/large.yaml", strings.Repeat("x", 3000))
	r := open(t, git.Remote{URL: a.Dir()}, git.Limits{BlobBytes: 2000})
	fetch(t, r, "main")
	want := &git.BadObject{ID: "", Path: "data/large.yaml", Code: git.CodeSize, Reason: "blob of 3000 bytes; the limit is 2000"}
	tree, err := r.Tree(core.Revision{Commit: tip})
	if err != nil {
		t.Fatal(err)
	}
	_, err = tree.FS.Open("data/large.yaml")
	checkBad(t, err, want)
	_, err = r.ReadFile(t.Context(), tip, "data/large.yaml")
	checkBad(t, err, want)
}

// checkBad compares all but the id.
func checkBad(t *testing.T, err error, want *git.BadObject) {
	t.Helper()
	var got *git.BadObject
	if !errors.As(err, &got) {
		t.Fatalf("error %v, want a bad object: %v", err, want)
	}
	flat := *got
	flat.ID = ""
	if diff := cmp.Diff(*want, flat); diff != "" {
		t.Errorf("bad object (-want +got):\n%s", diff)
	}
}

// files lists all files below a folder.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(name, dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
