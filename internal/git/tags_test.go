package git_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"prumo.dev/prumo/internal/git"
)

// TestFetchTags brings only the tags that match, from every kind of server, and
// forgets them when the remote may have taken them back.
func TestFetchTags(t *testing.T) {
	eachServer(t, func(t *testing.T, f *followed) {
		commit := f.change("a", "1")
		tag := func(name, text string) string {
			return f.raw("tag", fmt.Sprintf("object %s\ntype commit\ntag %s\ntagger A <a@example.org> 1 +0000\n\n%s\n", commit, name, text))
		}
		tags := map[string]string{"x/ana": tag("approve/x/ana", "yes"), "x/light": commit,
			"x/bad": tag("approve/x/bad one", "yes"), "y/cai": tag("approve/y/cai", "no")}
		f.must(f.Push(f.bare))
		for name, id := range tags {
			file := filepath.Join(f.bare, "refs/tags/approve", name)
			f.must(os.MkdirAll(filepath.Dir(file), 0o755))
			f.must(os.WriteFile(file, []byte(id+"\n"), 0o644))
		}
		f.fetchMain(commit)
		wanted := func(ref string) bool { return strings.HasPrefix(ref, "refs/tags/approve/x/") }
		f.must(f.repo.FetchTags(t.Context(), wanted))

		got, err := f.repo.Tag("refs/tags/approve/x/ana")
		if err != nil || got.Object != commit || got.Name != "approve/x/ana" || got.Message != "yes\n" {
			t.Errorf("got %+v, %v", got, err)
		}
		if _, err := f.repo.Tag("refs/tags/approve/y/cai"); !errors.Is(err, git.ErrNotFound) {
			t.Errorf("a tag that nobody asked for: got %v, want ErrNotFound", err)
		}
		for _, name := range []string{"light", "bad"} {
			_, err := f.repo.Tag("refs/tags/approve/x/" + name)
			if bad := (*git.BadObject)(nil); !errors.As(err, &bad) || bad.Code != git.CodeFormat {
				t.Errorf("%s: got %v, want %s", name, err, git.CodeFormat)
			}
		}
		f.fetchMain(commit)
		if _, err := f.repo.Tag("refs/tags/approve/x/ana"); !errors.Is(err, git.ErrNotFound) {
			t.Errorf("after the next fetch: got %v, want ErrNotFound", err)
		}
	})
}

func TestFetchTagsLimit(t *testing.T) {
	a := newAuthor(t)
	commit := a.change("a", "1")
	for i := range 3 {
		a.must(a.SetRef(fmt.Sprintf("refs/tags/t%d", i), commit))
	}
	r := open(t, git.Remote{URL: a.Dir()}, git.Limits{Tags: 2})
	if err := r.FetchTags(t.Context(), func(string) bool { return true }); !errors.Is(err, git.ErrLimit) {
		t.Errorf("got %v, want ErrLimit", err)
	}
}
