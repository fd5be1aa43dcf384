package git_test

import (
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/test/gitrepo"
)

// day is when the history of these tests begins.
var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600))

// An author writes a history, one minute per commit.
type author struct {
	*gitrepo.Repo
	t   *testing.T
	now time.Time
}

func newAuthor(t *testing.T) *author {
	t.Helper()
	r, err := gitrepo.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &author{Repo: r, t: t, now: day}
}

func (a *author) write(name, data string) {
	a.t.Helper()
	if err := a.Write(name, []byte(data)); err != nil {
		a.t.Fatal(err)
	}
}

// commit commits on top of parents, or of the branch if there are none.
func (a *author) commit(parents ...string) string {
	a.t.Helper()
	a.now = a.now.Add(time.Minute)
	id, err := a.Commit(gitrepo.Options{Message: fmt.Sprintf("at %s", a.now.Format(time.TimeOnly)), When: a.now, Parents: parents})
	if err != nil {
		a.t.Fatal(err)
	}
	return id
}

// change writes one file and commits it.
func (a *author) change(name, data string) string {
	a.t.Helper()
	a.write(name, data)
	return a.commit()
}

func (a *author) raw(typ, data string) string {
	a.t.Helper()
	id, err := a.WriteRaw(typ, []byte(data))
	if err != nil {
		a.t.Fatal(err)
	}
	return id
}

func (a *author) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

func open(t *testing.T, remote git.Remote, l git.Limits) *git.Repo {
	t.Helper()
	r, err := git.Open(t.TempDir(), remote, l)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// fetched is a store that follows the author's repository and has a branch of it.
func (a *author) fetched(branches ...string) *git.Repo {
	a.t.Helper()
	r := open(a.t, git.Remote{URL: a.Dir()}, git.Limits{})
	for _, b := range branches {
		fetch(a.t, r, b)
	}
	return r
}

func fetch(t *testing.T, r *git.Repo, ref string) string {
	t.Helper()
	tip, err := r.Fetch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return tip
}

// unhex returns the bytes of an id.
func unhex(t *testing.T, id string) string {
	t.Helper()
	b, err := hex.DecodeString(id)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
