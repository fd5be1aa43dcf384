package git_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/git"
)

func ids(commits []*git.Commit) []string {
	var out []string
	for _, c := range commits {
		out = append(out, c.ID)
	}
	return out
}

// The history of these tests:
//
//	a - b - c - f (main)
//	 \   \     /
//	  \   d --+
//	   e ----+
func TestRange(t *testing.T) {
	h := newAuthor(t)
	a := h.change("f", "a")
	b := h.change("f", "b")
	h.must(h.Branch("d"))
	d := h.change("d", "d")
	h.must(h.Checkout("main"))
	c := h.change("f", "c")
	h.write("e", "e")
	e := h.commit(a)
	f := h.commit(c, d, e)
	g := h.change("g", "g")
	r := h.fetched("main")
	tests := map[string]struct {
		from, to string
		want     []string
		err      error
	}{
		"all":                    {"", g, []string{a, e, b, d, c, f, g}, nil},
		"one":                    {f, g, []string{g}, nil},
		"nothing":                {g, g, nil, nil},
		"sides forked before":    {c, g, []string{e, d, f, g}, nil},
		"sides forked after":     {a, g, []string{e, b, d, c, f, g}, nil},
		"from a side":            {d, f, []string{e, c, f}, nil},
		"rewind":                 {g, f, nil, git.ErrNotDescendant},
		"another branch":         {c, d, nil, git.ErrNotDescendant},
		"from not in the store":  {strings.Repeat("7", 40), g, nil, git.ErrNotDescendant},
		"to not in the store":    {a, strings.Repeat("7", 40), nil, git.ErrNotFound},
		"nothing, not in store":  {strings.Repeat("7", 40), strings.Repeat("7", 40), nil, git.ErrNotFound},
		"side branch from start": {a, e, []string{e}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := r.Range(t.Context(), test.from, test.to)
			if !errors.Is(err, test.err) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if diff := cmp.Diff(test.want, ids(got)); diff != "" {
				t.Errorf("commits (-want +got):\n%s", diff)
			}
		})
	}
	limited, err := git.Open(storeOf(t, h), git.Remote{URL: h.Dir()}, git.Limits{Commits: 3})
	h.must(err)
	if _, err := limited.Range(t.Context(), a, g); !errors.Is(err, git.ErrLimit) {
		t.Errorf("more commits than the limit: %v", err)
	}
}

// Dates that lie must never hide a commit, nor make a descendant none.
func TestRangeWithLyingDates(t *testing.T) {
	h := newAuthor(t)
	a := h.change("f", "a")
	h.now = day.AddDate(-20, 0, 0)
	b := h.change("f", "b")
	h.now = day.AddDate(20, 0, 0)
	c := h.change("f", "c")
	h.now = day.AddDate(-10, 0, 0)
	d := h.change("f", "d")
	h.write("e", "e")
	e := h.commit(a)
	f := h.commit(d, e)
	r := h.fetched("main")
	for _, test := range []struct {
		from string
		want []string
	}{
		{a, []string{e, b, c, d, f}},
		{b, []string{e, c, d, f}},
		{c, []string{e, d, f}},
		{d, []string{e, f}},
	} {
		got, err := r.Range(t.Context(), test.from, f)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, id := range ids(got) {
			seen[id] = true
		}
		for _, id := range test.want {
			if !seen[id] {
				t.Errorf("from %s: commit %s is missing from %v", test.from, id, ids(got))
			}
		}
		if seen[test.from] {
			t.Errorf("from %s is in its own range", test.from)
		}
	}
}

// A malformed commit anywhere in the range stops it, and is named.
func TestRangeRefusesMalformed(t *testing.T) {
	h := newAuthor(t)
	a := h.change("f", "a")
	tree := h.raw("tree", "")
	bad := h.raw("commit", "tree "+tree+"\nparent "+a+"\nauthor A <a> 1 +0000\ncommitter A <a> 1 +0000\nextra x\n\nm")
	tip := h.commit(bad)
	r := h.fetched("main")
	_, err := r.Range(t.Context(), a, tip)
	checkBad(t, err, &git.BadObject{Code: git.CodeFormat, Reason: `header "extra" is out of place, repeated or unknown`})
	_, err = r.Commit(bad)
	var b *git.BadObject
	if !errors.As(err, &b) || b.ID != bad {
		t.Errorf("error %v does not name %s", err, bad)
	}
}

func TestChanges(t *testing.T) {
	h := newAuthor(t)
	h.write("keep/same", "x")
	h.write("nodes/n1", "one")
	h.write("tool", "t")
	h.write("was-file", "x")
	h.write("was-dir/x", "x")
	one := h.commit()
	h.write("nodes/n1", "two")
	h.write("nodes/n2", "new")
	h.must(h.Remove("was-file"))
	h.must(h.Remove("was-dir"))
	h.write("was-file/x", "x")
	h.write("was-dir", "x")
	h.must(h.Put("tool", "100755", h.raw("blob", "t")))
	two := h.commit()
	r := h.fetched("main")
	const f, x = "100644", "100755"
	id := func(s string) string { return h.raw("blob", s) }
	want := []git.Change{
		{Path: "nodes/n1", Op: git.OpModify, OldMode: f, NewMode: f, OldID: id("one"), NewID: id("two")},
		{Path: "nodes/n2", Op: git.OpAdd, NewMode: f, NewID: id("new")},
		{Path: "tool", Op: git.OpModify, OldMode: f, NewMode: x, OldID: id("t"), NewID: id("t")},
		{Path: "was-dir", Op: git.OpAdd, NewMode: f, NewID: id("x")},
		{Path: "was-dir/x", Op: git.OpDelete, OldMode: f, OldID: id("x")},
		{Path: "was-file", Op: git.OpDelete, OldMode: f, OldID: id("x")},
		{Path: "was-file/x", Op: git.OpAdd, NewMode: f, NewID: id("x")},
	}
	got, err := r.Changes(t.Context(), one, two)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	got, err = r.Changes(t.Context(), "", one)
	if err != nil || len(got) != 5 || got[0].Path != "keep/same" || got[0].Op != git.OpAdd {
		t.Errorf("changes of the first commit: %v, %v", got, err)
	}
}

func TestResolve(t *testing.T) {
	h := newAuthor(t)
	tip := h.change("f", "x")
	blob := h.raw("blob", "x")
	r := h.fetched("main", "HEAD")
	for _, name := range []string{tip, tip[:7], tip[:12], tip[:39], "main", "refs/heads/main", "HEAD"} {
		if got, err := r.Resolve(t.Context(), name); err != nil || got != tip {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	for _, name := range []string{blob, strings.Repeat("0", 40), tip[:6], "other", ""} {
		if got, err := r.Resolve(t.Context(), name); err == nil {
			t.Errorf("%q: %s", name, got)
		}
	}
}

// After a criss-cross merge there are two merge bases.
func TestMergeCrissCross(t *testing.T) {
	h := newAuthor(t)
	h.write("f", "0")
	root := h.change("g", "0")
	a := h.change("f", "a")
	h.must(h.Reset(root))
	b := h.change("f", "b")
	h.must(h.Reset(a))
	m1 := h.commit(a, b) // takes a
	h.must(h.Branch("side"))
	h.must(h.Reset(b))
	m2 := h.commit(b, a) // takes b
	r := h.fetched("main", "side")
	_, conflicts, err := r.Merge(t.Context(), m1, m2)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"f"}, conflicts); diff != "" {
		t.Errorf("conflicts (-want +got):\n%s", diff)
	}
	lone := h.commit([]string{}...)
	fetch(t, r, "side")
	fetch(t, r, "main")
	if _, _, err := r.Merge(t.Context(), m1, lone); !errors.Is(err, git.ErrNoCommon) {
		t.Errorf("merge of unrelated histories: %v", err)
	}
	if _, err := r.Range(t.Context(), m1, lone); !errors.Is(err, git.ErrNotDescendant) {
		t.Errorf("range to an unrelated history: %v", err)
	}
}

// An object whose content was changed on disk is refused.
func TestDamagedStore(t *testing.T) {
	h := newAuthor(t)
	tip := h.change("f", "good")
	r, err := git.Open(h.Dir(), git.Remote{URL: h.Dir()}, git.Limits{})
	h.must(err)
	good, evil := h.raw("blob", "good"), h.raw("blob", "evil")
	if data, err := r.ReadFile(t.Context(), tip, "f"); err != nil || string(data) != "good" {
		t.Fatalf("%q, %v", data, err)
	}
	file := func(id string) string { return filepath.Join(h.Dir(), "objects", id[:2], id[2:]) }
	h.must(os.Rename(file(evil), file(good)))
	r, err = git.Open(h.Dir(), git.Remote{URL: h.Dir()}, git.Limits{})
	h.must(err)
	data, err := r.ReadFile(t.Context(), tip, "f")
	var bad *git.BadObject
	if !errors.As(err, &bad) || bad.Code != git.CodeHash || bad.Path != "f" {
		t.Errorf("%q, error %v", data, err)
	}
}
