package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/forge"
	testforge "prumo.dev/prumo/test/forge"
)

// A Fixture is a forge that is ready for Check: a repository and two accounts
// that may read it, comment, and set statuses.
type Fixture struct {
	URL      string // of the API
	Repo     string // owner/name
	Bot      string // token of the account under test
	Other    string // token of somebody else
	PageSize int    // the most pull requests that come in one page

	// OpenPull opens a pull request of a new branch of the same repository. It
	// honours Title and HeadRef, and returns all that the forge knows of it.
	OpenPull func(t *testing.T, p testforge.Pull) testforge.Pull
}

// Check checks that the client of package forge and a server understand each
// other. Each call of open returns a fresh repository.
func Check(t *testing.T, open func(t *testing.T) Fixture) {
	for name, check := range map[string]func(*testing.T, Fixture){
		"self":                  contractSelf,
		"pulls on two pages":    contractPulls,
		"one pull":              contractPull,
		"comment":               contractComment,
		"deleted comment":       contractDeleted,
		"several own comments":  contractExtras,
		"comments of others":    contractOthers,
		"status":                contractStatus,
		"wrong token":           contractToken,
		"repository not there":  contractNoRepo,
		"characters come back":  contractCharacters,
		"comment on no request": contractNoPull,
	} {
		t.Run(name, func(t *testing.T) { check(t, open(t)) })
	}
}

func (f Fixture) client(t *testing.T, token string) *forge.GitHub {
	t.Helper()
	g, err := forge.NewGitHub(forge.Options{URL: f.URL, Repo: f.Repo, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func contractSelf(t *testing.T, f Fixture) {
	bot, err := f.client(t, f.Bot).Self(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other, err := f.client(t, f.Other).Self(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if bot.ID == other.ID || bot.Login == other.Login || bot.Login == "" {
		t.Errorf("accounts %+v and %+v, want two", bot, other)
	}
}

func contractPulls(t *testing.T, f Fixture) {
	var want []int
	for i := range f.PageSize + 1 {
		want = append(want, f.OpenPull(t, testforge.Pull{Title: "one", HeadRef: fmt.Sprintf("branch-%d", i)}).Number)
	}
	pulls, err := f.client(t, f.Bot).OpenPulls(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, p := range pulls {
		got = append(got, p.Number)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("open pull requests (-want +got):\n%s", diff)
	}
}

func contractPull(t *testing.T, f Fixture) {
	p := f.OpenPull(t, testforge.Pull{Title: "more <GPUs>", HeadRef: "more/gpus"})
	g := f.client(t, f.Bot)
	got, err := g.Pull(t.Context(), p.Number)
	if err != nil {
		t.Fatal(err)
	}
	want := forge.Pull{
		Number: p.Number, Title: "more <GPUs>", Author: p.Author, Open: true, URL: got.URL,
		HeadRef: "more/gpus", HeadSHA: p.HeadSHA, HeadRepo: f.Repo, BaseRef: p.BaseRef, BaseSHA: p.BaseSHA,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pull request (-want +got):\n%s", diff)
	}
	if got.URL == "" {
		t.Error("no URL for people")
	}
	_, err = g.Pull(t.Context(), p.Number+1000)
	wantError(t, err, "not found")
}

// put writes a comment through the client and checks whether it had to.
func (f Fixture) put(t *testing.T, g *forge.GitHub, number int, body string, wantChanged bool) {
	t.Helper()
	changed, err := g.PutComment(t.Context(), number, "lab", body)
	if err != nil {
		t.Fatal(err)
	}
	if changed != wantChanged {
		t.Errorf("PutComment(%q): changed = %t, want %t", body, changed, wantChanged)
	}
}

func contractComment(t *testing.T, f Fixture) {
	g, n := f.client(t, f.Bot), f.OpenPull(t, testforge.Pull{HeadRef: "x"}).Number
	f.put(t, g, n, "first", true)
	before := f.comments(t, n)
	f.put(t, g, n, "first", false)
	f.put(t, g, n, "second", true)
	after := f.comments(t, n)
	if len(before) != 1 || len(after) != 1 || before[0].ID != after[0].ID {
		t.Fatalf("comments %+v, then %+v, want one, edited in place", before, after)
	}
	if want := "<!-- prumo:plan key=lab -->\nsecond"; after[0].Body != want {
		t.Errorf("body %q, want %q", after[0].Body, want)
	}
	f.put(t, g, n, "<!-- prumo:plan key=lab head=aa at=2026-01-01T00:00:00Z -->\nthird", true)
	f.put(t, g, n, "<!-- prumo:plan key=lab head=aa at=2026-01-02T00:00:00Z -->\nthird", false)
	f.put(t, g, n, "<!-- prumo:plan key=lab head=bb at=2026-01-02T00:00:00Z -->\nthird", true)
	if changed, err := g.PutComment(t.Context(), n, "other-cluster", "text"); err != nil || !changed {
		t.Errorf("another key: %t, %v", changed, err)
	}
	if got := f.comments(t, n); len(got) != 2 {
		t.Errorf("%d comments, want one per key: %+v", len(got), got)
	}
}

func contractDeleted(t *testing.T, f Fixture) {
	g, n := f.client(t, f.Bot), f.OpenPull(t, testforge.Pull{HeadRef: "x"}).Number
	f.put(t, g, n, "text", true)
	f.raw(t, f.Other, http.MethodDelete, fmt.Sprintf("/issues/comments/%d", f.comments(t, n)[0].ID), nil, nil)
	f.put(t, g, n, "text", true)
	if got := f.comments(t, n); len(got) != 1 {
		t.Errorf("%d comments, want the one written anew: %+v", len(got), got)
	}
}

func contractExtras(t *testing.T, f Fixture) {
	g, n := f.client(t, f.Bot), f.OpenPull(t, testforge.Pull{HeadRef: "x"}).Number
	const body = "<!-- prumo:plan key=lab -->\ntext"
	for range 3 {
		f.write(t, f.Bot, n, body)
	}
	newest := f.comments(t, n)[2]
	f.put(t, g, n, "text", false)
	if diff := cmp.Diff([]testforge.Comment{newest}, f.comments(t, n)); diff != "" {
		t.Errorf("comments (-want +got):\n%s", diff)
	}
}

func contractOthers(t *testing.T, f Fixture) {
	g, n := f.client(t, f.Bot), f.OpenPull(t, testforge.Pull{HeadRef: "x"}).Number
	f.write(t, f.Other, n, "<!-- prumo:plan key=lab -->\nforged")
	f.write(t, f.Bot, n, "quoted:\n<!-- prumo:plan key=lab -->")
	f.write(t, f.Bot, n, "<!-- prumo:plan key=lab2 -->\nanother cluster's")
	foreign := f.comments(t, n)
	f.put(t, g, n, "first", true)
	f.put(t, g, n, "second", true)
	f.write(t, f.Other, n, "<!-- prumo:plan key=lab -->\nforged again")
	f.put(t, g, n, "third", true)
	got := f.comments(t, n)
	if len(got) != 5 {
		t.Fatalf("%d comments, want 5: %+v", len(got), got)
	}
	if diff := cmp.Diff(foreign, got[:3]); diff != "" {
		t.Errorf("comments of others (-want +got):\n%s", diff)
	}
	if got[3].Body != "<!-- prumo:plan key=lab -->\nthird" || !strings.HasSuffix(got[4].Body, "forged again") {
		t.Errorf("own and forged comment: %+v", got[3:])
	}
}

func contractCharacters(t *testing.T, f Fixture) {
	g, n := f.client(t, f.Bot), f.OpenPull(t, testforge.Pull{HeadRef: "x"}).Number
	text := "## Größe 😀\r\n\n```diff\n- a\n+ \"b\" & <c>\n```\n\n| a | b |\n|---|---|\n\n" + strings.Repeat("x", 60_000) + "\n\n"
	f.put(t, g, n, text, true)
	f.put(t, g, n, text, false)
}

func contractNoPull(t *testing.T, f Fixture) {
	_, err := f.client(t, f.Bot).PutComment(t.Context(), 4711, "lab", "text")
	wantError(t, err, "not found")
}

func contractStatus(t *testing.T, f Fixture) {
	g, p := f.client(t, f.Bot), f.OpenPull(t, testforge.Pull{HeadRef: "x"})
	for _, s := range []forge.Status{
		{Context: "prumo/plan", State: forge.StatePending},
		{Context: "prumo/plan", State: forge.StateSuccess, Description: strings.Repeat("é", 200), URL: "https://git.example/plan"},
	} {
		if err := g.SetStatus(t.Context(), p.HeadSHA, s); err != nil {
			t.Fatal(err)
		}
	}
	var got struct {
		Statuses []struct{ Context, State, Status, Description string }
	}
	f.raw(t, f.Bot, http.MethodGet, "/commits/"+p.HeadSHA+"/status", nil, &got)
	if len(got.Statuses) != 1 {
		t.Fatalf("statuses %+v, want one", got.Statuses)
	}
	s := got.Statuses[0]
	if s.Context != "prumo/plan" || s.State+s.Status != forge.StateSuccess || s.Description != strings.Repeat("é", 139)+"…" {
		t.Errorf("status %+v", s)
	}
}

func contractToken(t *testing.T, f Fixture) {
	_, err := f.client(t, "wrong").OpenPulls(t.Context())
	wantError(t, err, "token is wrong")
}

func contractNoRepo(t *testing.T, f Fixture) {
	f.Repo = "nobody/nothing"
	_, err := f.client(t, f.Bot).OpenPulls(t.Context())
	wantError(t, err, "not found")
}

func wantError(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want one with %q", err, text)
	}
}

// write posts a comment past the client.
func (f Fixture) write(t *testing.T, token string, number int, body string) {
	t.Helper()
	f.raw(t, token, http.MethodPost, fmt.Sprintf("/issues/%d/comments", number), map[string]string{"body": body}, nil)
}

// comments reads the first comments of a pull request past the client.
func (f Fixture) comments(t *testing.T, number int) []testforge.Comment {
	t.Helper()
	var wire []struct {
		ID   int64
		Body string
		User struct{ Login string }
	}
	f.raw(t, f.Other, http.MethodGet, fmt.Sprintf("/issues/%d/comments", number), nil, &wire)
	var list []testforge.Comment
	for _, c := range wire {
		list = append(list, testforge.Comment{ID: c.ID, Number: number, Author: c.User.Login, Body: c.Body})
	}
	return list
}

// raw sends one request below the repository and fails the test if it fails.
func (f Fixture) raw(t *testing.T, token, method, path string, in, out any) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, f.URL+"/repos/"+f.Repo+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, data, err)
	}
	if out != nil {
		if err := json.Unmarshal(data, out); err != nil {
			t.Fatal(err)
		}
	}
}
