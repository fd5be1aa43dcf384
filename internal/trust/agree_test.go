package trust

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/cluster"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/test/cluster/clustertest"
)

func TestMain(m *testing.M) { clustertest.Main(m) }

var errKilled = errors.New("killed")

// A mortal is a real document store whose process dies at a save, before it or
// after it.
type mortal struct {
	Documents
	before, after bool
}

func (m *mortal) Save(ctx context.Context, name string, data []byte, version string) (string, error) {
	if m.before {
		return "", errKilled
	}
	version, err := m.Documents.Save(ctx, name, data, version)
	if m.after {
		return "", errKilled
	}
	return version, err
}

// A pair is one state folder and the documents of a cluster.
type pair struct {
	*testing.T
	path string
	docs Documents
}

func newPair(t *testing.T) *pair {
	t.Helper()
	return &pair{t, filepath.Join(t.TempDir(), "accepted.json"), newDocuments(t)}
}

// newDocuments is a cluster that remembers nothing yet.
func newDocuments(t *testing.T) Documents {
	t.Helper()
	live, err := cluster.New(clustertest.Shared(t).Config(), "lab")
	if err != nil {
		t.Fatal(err)
	}
	return live.Documents(clustertest.Namespace(t))
}

// start is a daemon that starts: what it remembers then, or why nothing.
func (p *pair) start(docs Documents, check *core.Refusal) (s *Store, warned bool, refusal *core.Refusal, err error) {
	p.Helper()
	if s, err = OpenStore(p.path, binding, docs); err != nil {
		return s, false, nil, err
	}
	warning, refusal, err := s.Agree(p.Context(), func(context.Context, State) (*core.Refusal, error) { return check, nil })
	return s, warning != nil, refusal, err
}

// look returns what a command sees that writes nothing, and sees that it writes
// nothing.
func (p *pair) look() (State, *core.Refusal) {
	p.Helper()
	s, err := OpenStore(p.path, binding, p.docs)
	p.must(err)
	all := func() string {
		file, _ := os.ReadFile(p.path) // there may be none
		data, version, err := p.docs.Load(p.Context(), document)
		p.must(err)
		return fmt.Sprintf("%s %s %s", file, data, version)
	}
	before := all()
	torn, err := s.Look(p.Context())
	p.must(err)
	seen, _ := s.Accepted()
	if err := s.Note(p.Context(), func(s State) State { s.Serial++; return s }); err == nil {
		p.Error("who only looks may write")
	}
	if after := all(); after != before {
		p.Errorf("who only looks wrote %s in place of %s", after, before)
	}
	return seen, torn
}

func (p *pair) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// accepts has a daemon accept states and end.
func (p *pair) accepts(states ...State) {
	p.Helper()
	s, _, refusal, err := p.start(p.docs, nil)
	if err != nil || refusal != nil {
		p.Fatal(refusal, err)
	}
	for _, st := range states {
		p.must(s.Accept(p.Context(), st))
	}
}

// cluster replaces the cluster's copy as somebody else would.
func (p *pair) cluster(data []byte) {
	p.Helper()
	_, version, err := p.docs.Load(p.Context(), document)
	p.must(err)
	_, err = p.docs.Save(p.Context(), document, data, version)
	p.must(err)
}

func (p *pair) file() []byte {
	data, err := os.ReadFile(p.path)
	p.must(err)
	return data
}

// TestAgree starts a daemon after each thing that can happen to the two places.
func TestAgree(t *testing.T) {
	rival := second
	rival.Commit, rival.Signer = idA, "mallory"
	doubt := &core.Refusal{Code: CodeUnsigned, Found: "no signature"}
	for _, tt := range []struct {
		name   string
		before func(p *pair)
		check  *core.Refusal
		want   string // commit in force
		warned bool
		code   string
		found  []string
	}{
		{name: "nothing was ever accepted", before: func(p *pair) {}},
		{name: "both say the same", before: func(p *pair) { p.accepts(first, second) }, want: idC},
		{name: "killed before the cluster was written", before: func(p *pair) {
			p.accepts(first)
			s, _, _, err := p.start(&mortal{Documents: p.docs, before: true}, nil)
			p.must(err)
			if err := s.Accept(p.Context(), second); !errors.Is(err, errKilled) {
				p.Fatal(err)
			}
		}, want: idB},
		{name: "killed after the cluster was written", before: func(p *pair) {
			p.accepts(first)
			s, _, _, err := p.start(&mortal{Documents: p.docs, after: true}, nil)
			p.must(err)
			if err := s.Accept(p.Context(), second); !errors.Is(err, errKilled) {
				p.Fatal(err)
			}
		}, want: idC},
		{name: "killed at the first of all, before", before: func(p *pair) {
			s, _, _, err := p.start(&mortal{Documents: p.docs, before: true}, nil)
			p.must(err)
			if err := s.Accept(p.Context(), first); !errors.Is(err, errKilled) {
				p.Fatal(err)
			}
		}},
		{name: "killed at the first of all, after", before: func(p *pair) {
			s, _, _, err := p.start(&mortal{Documents: p.docs, after: true}, nil)
			p.must(err)
			if err := s.Accept(p.Context(), first); !errors.Is(err, errKilled) {
				p.Fatal(err)
			}
		}, check: doubt, want: idB},
		{name: "the folder is lost", before: func(p *pair) {
			p.accepts(first, second)
			p.must(os.Remove(p.path))
		}, want: idC, warned: true},
		{name: "the folder is lost, the repo does not bear the cluster out", before: func(p *pair) {
			p.accepts(first, second)
			p.must(os.Remove(p.path))
		}, check: doubt, code: CodeState, found: []string{idC[:10], "E-UNSIGNED: no signature"}},
		{name: "the cluster's is lost", before: func(p *pair) {
			p.accepts(first)
			p.docs = newDocuments(p.T)
		}, want: idB, warned: true},
		{name: "both are lost", before: func(p *pair) {
			p.accepts(first, second)
			p.must(os.Remove(p.path))
			p.docs = newDocuments(p.T)
		}},
		{name: "an old folder", before: func(p *pair) {
			p.accepts(first)
			old := p.file()
			p.accepts(second)
			p.must(os.WriteFile(p.path, old, 0o600))
		}, code: CodeState, found: []string{idB[:10], "record 1", idC[:10], "record 2"}},
		{name: "an old cluster", before: func(p *pair) {
			p.accepts(first, second)
			p.cluster(first.encode())
		}, code: CodeState, found: []string{idB[:10], "record 1", idC[:10], "record 2"}},
		{name: "as many records, another tip", before: func(p *pair) {
			p.accepts(first, second)
			p.cluster(rival.encode())
		}, code: CodeState, found: []string{idA[:10], "record 2", idC[:10]}},
		{name: "another tip in the place of an intent", before: func(p *pair) {
			p.accepts(first)
			s, _, _, err := p.start(&mortal{Documents: p.docs, before: true}, nil)
			p.must(err)
			if err := s.Accept(p.Context(), second); !errors.Is(err, errKilled) {
				p.Fatal(err)
			}
			p.cluster(rival.encode())
		}, code: CodeState},
		{name: "applied by another since", before: func(p *pair) {
			p.accepts(first)
			later := first
			later.Serial, later.Applied = 2, core.Applied{Revision: core.Revision{Commit: idB}}
			p.cluster(later.encode())
		}, want: idB},
		{name: "applied by another before", before: func(p *pair) {
			p.accepts(first)
			earlier := first
			earlier.Serial, earlier.Applied = 0, core.Applied{Revision: core.Revision{Commit: idB}}
			p.cluster(earlier.encode())
		}, code: CodeState},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPair(t)
			tt.before(p)
			seen, torn := p.look()
			s, warned, refusal, err := p.start(p.docs, tt.check)
			p.must(err)
			if tt.code != "" {
				if tt.check == nil && (torn == nil || torn.Code != tt.code) {
					t.Errorf("who only looks: got %+v, want %s", torn, tt.code)
				}
				if refusal == nil || refusal.Code != tt.code {
					t.Fatalf("got %+v, want %s", refusal, tt.code)
				}
				for _, found := range tt.found {
					if !strings.Contains(refusal.Found, found) {
						t.Errorf("found %q, want %q in it", refusal.Found, found)
					}
				}
				if err := s.Accept(t.Context(), second); err == nil {
					t.Error("a state is accepted while folder and cluster disagree")
				}
				return
			}
			got, _ := s.Accepted()
			if torn != nil || !cmp.Equal(seen, got) {
				t.Errorf("who only looks sees %+v, refused %+v; in force is %+v", seen, torn, got)
			}
			if refusal != nil || got.Commit != tt.want || warned != tt.warned {
				t.Fatalf("in force %q, warned %t, refused %+v; want %q, %t", got.Commit, warned, refusal, tt.want, tt.warned)
			}
			again, warned, refusal, err := p.start(p.docs, doubt)
			p.must(err)
			if now, _ := again.Accepted(); refusal != nil || warned || !cmp.Equal(now, got) {
				t.Errorf("at the next start: %+v, warned %t, refused %+v; want the same and no word", now, warned, refusal)
			}
			if got.Commit == idB {
				p.must(again.Accept(t.Context(), second))
			}
		})
	}
}

// TestAgreeNotYet: what was not compared is not written.
func TestAgreeNotYet(t *testing.T) {
	p := newPair(t)
	s, err := OpenStore(p.path, binding, p.docs)
	p.must(err)
	if err := s.Accept(t.Context(), first); err == nil {
		t.Error("a state is accepted before folder and cluster were compared")
	}
}

// TestTwoDaemons lets two daemons of one instance, each with a folder of its
// own, start from one state: one goes on, the other does not.
func TestTwoDaemons(t *testing.T) {
	p := newPair(t)
	p.accepts(first)
	other := &pair{t, filepath.Join(t.TempDir(), "accepted.json"), p.docs}
	p.must(os.WriteFile(other.path, p.file(), 0o600))
	one, _, _, err := p.start(p.docs, nil)
	p.must(err)
	two, _, _, err := other.start(p.docs, nil)
	p.must(err)

	p.must(one.Accept(t.Context(), second))
	fork := second
	fork.Commit = idA
	if err := two.Accept(t.Context(), fork); !errors.Is(err, cluster.ErrChanged) {
		t.Errorf("the second to accept: %v, want ErrChanged", err)
	}
	if got, _ := two.Accepted(); got.Commit != idB {
		t.Errorf("the second one has %s in force", got.Commit)
	}
	_, refusal, err := two.Agree(t.Context(), nil)
	if p.must(err); refusal == nil || refusal.Code != CodeState {
		t.Errorf("the second one again: %+v, want %s", refusal, CodeState)
	}
	if _, _, refusal, err = p.start(p.docs, nil); err != nil || refusal != nil {
		t.Errorf("the first one again: %+v, %v", refusal, err)
	}
}

func TestAgreeCorrupt(t *testing.T) {
	for name, data := range map[string]string{
		"empty":        "{}",
		"cut":          string(first.encode()[:80]),
		"more":         string(first.encode()) + "{}",
		"another repo": strings.Replace(string(first.encode()), "infra", "other", 1),
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			p.cluster([]byte(data))
			if _, _, _, err := p.start(p.docs, nil); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "delete it") {
				t.Errorf("got %v, want ErrCorrupt with the remedy", err)
			}
		})
	}
}

// TestRecheck judges what only the cluster remembers.
func TestRecheck(t *testing.T) {
	w := newWorld(t)
	tip := w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
	bad := w.chain(tip, "", w.files)
	elsewhere := w.chain(tip, "ana", w.files)
	h, v := w.history(bad), w.verifier()
	step, err := v.Follow(t.Context(), h, State{}, tip)
	if err != nil {
		t.Fatal(err)
	}
	good, err := v.Next(t.Context(), h, State{Binding: Binding{Introduction: w.intro}}, step)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(*State)
		code   string
	}{
		{"as it was accepted", func(*State) {}, ""},
		{"a commit that is refused", func(s *State) { s.Commit = bad }, CodeUnsigned},
		{"a commit that the repo does not hold", func(s *State) { s.Commit = elsewhere }, CodeRewritten},
		{"another payload", func(s *State) { s.Payload = strings.Repeat("0", 64) }, CodeState},
		{"another signer", func(s *State) { s.Signer = "cai" }, CodeState},
		{"another policy", func(s *State) { s.PolicySHA256 = strings.Repeat("0", 64) }, CodeState},
		{"a higher policy", func(s *State) { s.PolicyVersion++ }, CodeState},
	} {
		s := good
		tt.change(&s)
		refusal, err := v.Recheck(t.Context(), h, s)
		if err != nil {
			t.Fatal(err)
		}
		if got := refusal; (got == nil) != (tt.code == "") || got != nil && got.Code != tt.code {
			t.Errorf("%s: got %+v, want %q", tt.name, got, tt.code)
		}
	}
}
