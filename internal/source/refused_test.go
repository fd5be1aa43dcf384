package source_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/source"
	"prumo.dev/prumo/internal/trust"
	"prumo.dev/prumo/test/lab"
)

// TestRefusedStaysRefused: what the followed branch was refused stays refused when
// the reason is gone, after the loss of the folder too, until root says otherwise.
// What was merely proposed is not remembered.
func TestRefusedStaysRefused(t *testing.T) {
	l, err := lab.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	plain, err := os.ReadFile(l.Trust)
	if err != nil {
		t.Fatal(err)
	}
	plain = append(plain, "repo: {id: lab, ref: refs/heads/main}\n"...)
	revoked := fmt.Appendf(plain[:len(plain):len(plain)], "revoked: {ssh: [%q]}\n", l.Keys["flo"].Fingerprint())
	docs := documents(t)
	open := func(trustFile []byte) *source.Source {
		t.Helper()
		if err := os.WriteFile(l.Trust, trustFile, 0o600); err != nil {
			t.Fatal(err)
		}
		return open(t, l, func(o *source.Options) { o.Cluster = docs })
	}
	check := func(what string, v *core.Verdict, err error, want string) {
		t.Helper()
		got := ""
		if v != nil && v.Refusal != nil {
			got = v.Refusal.Code
		}
		if err != nil || got != want {
			t.Fatalf("%s: got %q (%+v), %v; want %q", what, got, v, err, want)
		}
	}
	good := l.Repo.Head()
	s := open(plain)
	_, v, err := s.Advance(t.Context())
	check("at the beginning", v, err, "")
	s = open(revoked)
	_, v, err = s.Advance(t.Context())
	check("nothing new", v, err, "")

	record := filepath.Join(l.Dir, "state", "accepted.json")
	before, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Repo.Branch("idea"); err != nil {
		t.Fatal(err)
	}
	idea := commit(t, l, "flo", "tools/mlflow.yaml")
	p, err := propose(t, s.Proposals(), "idea")
	check("as a proposal", &p.Verdict, err, trust.CodeKeyRevoked)
	if after, err := os.ReadFile(record); err != nil || string(after) != string(before) {
		t.Errorf("a proposal changed what is remembered: %s, %v", after, err)
	}

	if err := l.Repo.Checkout("main"); err != nil {
		t.Fatal(err)
	}
	tip := commit(t, l, "flo", "tools/label-studio.yaml")
	_, v, err = s.Advance(t.Context())
	check("by a revoked key", v, err, trust.CodeKeyRevoked)

	s = open(plain)
	_, v, err = s.Advance(t.Context())
	check("the key is good again", v, err, trust.CodeRefused)
	_, found, err := s.Find(t.Context(), "")
	check("asked about the tip", &found, err, trust.CodeRefused)
	p, err = propose(t, s.Proposals(), "idea")
	if check("the proposal", &p.Verdict, err, ""); p.Head != idea {
		t.Errorf("the proposal is %s, want %s", p.Head, idea)
	}

	// look is what somebody hears who only asks about the tip, and by the policy alone.
	look := func(what, want string) {
		t.Helper()
		s := open(plain)
		if torn := s.Look(t.Context()); torn != nil {
			t.Fatalf("%s: %s", what, torn)
		}
		at, err := s.Tip(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		v, err := s.JudgeTip(t.Context(), at)
		check(what, &v, err, want)
		if line := v.Commits[len(v.Commits)-1]; line.Commit != at || (line.Refusal != nil) != (want != "") {
			t.Errorf("%s: the line of the tip is %+v", what, line)
		}
		v, err = s.Judge(t.Context(), "", at)
		check(what+", by the policy alone", &v, err, "")
	}
	look("who asks about the tip", trust.CodeRefused)
	if err := os.RemoveAll(filepath.Join(l.Dir, "state")); err != nil {
		t.Fatal(err)
	}
	look("who asks without the folder", trust.CodeRefused)
	if _, err := os.Stat(record); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("who asks wrote %s: %v", record, err)
	}
	s = open(plain)
	rev, v, err := s.Advance(t.Context())
	if check("without its folder", v, err, trust.CodeRefused); rev.Commit != good {
		t.Errorf("in force %s, want %s", rev.Commit, good)
	}

	override(t, l, good, tip)
	look("who asks after the word of root", "")
	rev, v, err = s.Advance(t.Context())
	if check("by the word of root", v, err, ""); rev.Commit != tip {
		t.Errorf("in force %s, want %s", rev.Commit, tip)
	}
	next := commit(t, l, "flo", "tools/jupyter.yaml")
	rev, v, err = s.Advance(t.Context())
	if check("what builds on it", v, err, ""); rev.Commit != next {
		t.Errorf("in force %s, want %s", rev.Commit, next)
	}
}
