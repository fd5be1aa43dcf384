package trust

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	idA = strings.Repeat("a", 40)
	idB = strings.Repeat("b", 40)
	idC = strings.Repeat("c", 40)

	binding = Binding{Repo: "https://git.example/infra", Ref: "refs/heads/main", Introduction: idA}
	first   = State{Binding: binding, Serial: 1, Commit: idB, Commits: 3, PolicyVersion: 2, Left: []string{idC}, Time: time.Unix(1, 0).UTC()}
	second  = State{Binding: binding, Serial: 2, Commit: idC, Previous: idB, Commits: 4, PolicyVersion: 2, Left: []string{idC}, Time: time.Unix(2, 0).UTC()}
)

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := OpenStore(path, binding, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "accepted.json")
	s := open(t, path)
	if got, ok := s.Accepted(); ok || !cmp.Equal(got, State{Binding: binding}) {
		t.Errorf("new store: got %+v, %v; want the binding alone", got, ok)
	}
	for _, st := range []State{first, first, second} {
		if err := s.Accept(t.Context(), st); err != nil {
			t.Fatal(err)
		}
	}
	got, ok := open(t, path).Accepted() // as after a restart
	if diff := cmp.Diff(second, got); diff != "" || !ok {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v, %v; want 0600", info.Mode(), err)
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*"))
	if len(left) > 0 {
		t.Errorf("temporary files are left: %v", left)
	}
}

func TestStoreRefuses(t *testing.T) {
	change := func(f func(*State)) State {
		st := second
		f(&st)
		return st
	}
	for _, tt := range []struct {
		name string
		next State
		want error  // nil: any
		msg  string // part of it
	}{
		{"back to an older one", change(func(s *State) { s.Commit = idA; s.Commits = 2 }), ErrBackwards, ""},
		{"a branch as long", change(func(s *State) { s.Commits = 3 }), ErrBackwards, ""},
		{"an older policy", change(func(s *State) { s.PolicyVersion = 1 }), ErrBackwards, ""},
		{"forgotten what was left", change(func(s *State) { s.Left = nil }), ErrBackwards, ""},
		{"fewer commits in the place of more", change(func(s *State) { s.Instead = true; s.Commits = 2 }), ErrBackwards, ""},
		{"in the place of another", change(func(s *State) { s.Instead = true; s.Previous = idA }), ErrConflict, ""},
		{"after another", change(func(s *State) { s.Previous = idA }), ErrConflict, ""},
		{"as the first", change(func(s *State) { s.Previous = "" }), ErrConflict, ""},
		{"another repo", change(func(s *State) { s.Repo = "x" }), nil, "it is of x"},
		{"another ref", change(func(s *State) { s.Ref = "refs/heads/dev" }), nil, "refs/heads/dev"},
		{"another introduction", change(func(s *State) { s.Introduction = idC }), nil, "not of"},
		{"no commit", change(func(s *State) { s.Commit = "" }), nil, "no full commit id"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "accepted.json")
			s := open(t, path)
			if err := s.Accept(t.Context(), first); err != nil {
				t.Fatal(err)
			}
			err := s.Accept(t.Context(), tt.next)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.msg) {
				t.Errorf("got %v, want %v with %q", err, tt.want, tt.msg)
			}
			if got, _ := open(t, path).Accepted(); !cmp.Equal(got, first) {
				t.Errorf("the stored state changed to %+v", got)
			}
		})
	}
}

// TestStoreTwoWriters lets a second process accept first.
func TestStoreTwoWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "accepted.json")
	one, two := open(t, path), open(t, path)
	if err := two.Accept(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	mine := first
	mine.Commit = idC
	if err := one.Accept(t.Context(), mine); !errors.Is(err, ErrConflict) {
		t.Errorf("got %v, want ErrConflict", err)
	}
	if got, _ := one.Accepted(); !cmp.Equal(got, first) {
		t.Errorf("after a conflict: got %+v, want what the other accepted", got)
	}
}

func TestStoreCorrupt(t *testing.T) {
	good := `{"repo":"https://git.example/infra","ref":"refs/heads/main","introduction":"` + idA + `","commit":"` + idB + `","commits":3,"policyVersion":2,"time":"2026-01-01T00:00:00Z"}`
	for name, data := range map[string]string{
		"empty":              "",
		"cut":                good[:80],
		"two":                good + good,
		"unknown field":      strings.Replace(good, `"commits"`, `"extra":1,"commits"`, 1),
		"no commit":          strings.Replace(good, idB, "", 1),
		"null":               "null",
		"another repo":       strings.Replace(good, "infra", "other", 1),
		"another ref":        strings.Replace(good, "main", "dev", 1),
		"other introduction": strings.Replace(good, idA, idC, 1),
		"nothing verified":   strings.Replace(good, `"commits":3`, `"commits":0`, 1),
		"no policy":          strings.Replace(good, `"policyVersion":2`, `"policyVersion":0`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "accepted.json")
			if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := OpenStore(path, binding, nil)
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "remove the file") {
				t.Errorf("got %v, want ErrCorrupt with the remedy", err)
			}
		})
	}
	path := filepath.Join(t.TempDir(), "accepted.json")
	if err := os.WriteFile(path, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, path)
}
