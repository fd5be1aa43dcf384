package trust

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"

	"prumo.dev/prumo/internal/core"
)

// Errors of a Store, for errors.Is.
var (
	ErrConflict  = errors.New("another revision was accepted meanwhile")
	ErrBackwards = errors.New("an accepted revision is never taken back")
	ErrCorrupt   = errors.New("the record of the last accepted revision is unusable")
)

// A Binding says whose history a State is about.
type Binding struct {
	Repo         string `json:"repo"` // any stable name, such as the URL
	Ref          string `json:"ref"`  // full name
	Introduction string `json:"introduction"`
}

// A State is the last accepted revision. Without it a server could offer an old
// revision, correctly signed, as the newest.
type State struct {
	Binding
	Commit        string    `json:"commit"`             // full id
	Signer        string    `json:"signer,omitempty"`   // principal who signed Commit; empty for an unsigned introduction
	Previous      string    `json:"previous,omitempty"` // accepted before Commit; empty for the first
	Commits       int       `json:"commits"`            // verified so far, from the introduction to Commit: it only grows
	PolicyVersion int       `json:"policyVersion"`      // at Commit
	Time          time.Time `json:"time"`               // when it was accepted
	Instead       bool      `json:"instead,omitempty"`  // Commit does not build on Previous: root principals put it in its place
	Left          []string  `json:"left,omitempty"`     // revisions that root principals had the branch leave; they stay out
}

// Next returns the State to accept after a verdict. prev is what the Store has,
// which the verdict must start at. h is the history that was verified.
func (v *Verifier) Next(ctx context.Context, h History, prev State, verdict core.Verdict) (State, error) {
	switch {
	case verdict.Refusal != nil:
		return State{}, fmt.Errorf("accept %.10s: it was refused: %s", verdict.To, verdict.Refusal)
	case prev.Introduction != v.anchor.Introduction:
		return State{}, fmt.Errorf("accept %.10s: the state is about another introduction, %.10s", verdict.To, prev.Introduction)
	case prev.Commit == "" && verdict.From != v.anchor.Introduction, prev.Commit != "" && verdict.From != prev.Commit:
		return State{}, fmt.Errorf("accept %.10s: verified from %.10s: %w", verdict.To, verdict.From, ErrConflict)
	}
	refusal, err := v.Returns(ctx, h, prev, verdict)
	w := &walk{Verifier: v, h: h, policies: map[string]*Policy{}}
	var p *Policy
	if refusal == nil && err == nil {
		p, refusal, err = w.policy(ctx, verdict.To)
	}
	if refusal != nil {
		err = errors.New(refusal.String())
	}
	if err != nil {
		return State{}, fmt.Errorf("accept %.10s: %w", verdict.To, err)
	}
	left := prev.Left
	if len(verdict.Override) > 0 {
		left = append(slices.Clone(left), prev.Commit)
	}
	var signer string
	if n := len(verdict.Commits); n > 0 {
		signer = verdict.Commits[n-1].Signer // parents first, so the last is To
	}
	return State{
		Binding: prev.Binding, Commit: verdict.To, Signer: signer, Previous: prev.Commit,
		Commits: prev.Commits + len(verdict.Commits), PolicyVersion: p.Version, Time: v.now().UTC(),
		Instead: len(verdict.Override) > 0, Left: left,
	}, nil
}

// A Store keeps the State of one repo and ref in a file. It is safe for
// concurrent use, by several processes too.
type Store struct {
	path string
	of   Binding

	mu    sync.Mutex
	state State // zero Commit: nothing accepted yet
}

// OpenStore reads the file, or begins without one. A file that cannot be used is
// an error, never "nothing accepted yet": that would allow a rollback.
func OpenStore(path string, of Binding) (*Store, error) {
	s := &Store{path: path, of: of}
	if of.Repo == "" || of.Ref == "" || !commitID.MatchString(of.Introduction) {
		return nil, fmt.Errorf("open %s: a store needs repo, ref and introduction, not %+v", path, of)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open the store of the last accepted revision: %w", err)
	}
	var err error
	s.state, err = s.read()
	return s, err
}

// Accepted returns the last accepted State; if there is none, one that only
// says what it would be about.
func (s *Store) Accepted() (State, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, s.state.Commit != ""
}

// Accept replaces the State, if next follows it: same repo, ref and
// introduction, Previous is what is stored, nothing counts backwards. Accepting
// again what is stored is nothing. After a return without error the State
// survives a crash.
func (s *Store) Accept(next State) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	unlock, err := lockedfile.MutexAt(s.path + ".lock").Lock()
	if err != nil {
		return fmt.Errorf("lock the store of the last accepted revision: %w", err)
	}
	defer unlock()
	current, err := s.read()
	if err != nil {
		return err
	}
	s.state = current
	if current.Commit != "" && next.Commit == current.Commit {
		return nil
	}
	if err := current.allows(next); err != nil {
		return fmt.Errorf("accept %.10s after %.10s: %w", next.Commit, current.Commit, err)
	}
	if err := s.write(next); err != nil {
		return fmt.Errorf("store the accepted revision %.10s: %w", next.Commit, err)
	}
	s.state = next
	return nil
}

func (s State) allows(next State) error {
	switch {
	case next.Binding != s.Binding:
		return fmt.Errorf("it is of %s %s, not of %s %s", next.Repo, next.Ref, s.Repo, s.Ref)
	case !commitID.MatchString(next.Commit):
		return errors.New("it is no full commit id")
	case next.Previous != s.Commit:
		return ErrConflict
	case len(next.Left) < len(s.Left):
		return ErrBackwards
	case next.Instead && next.Commits >= s.Commits && next.PolicyVersion >= 1 && s.Commit != "":
		return nil
	case next.Commits <= s.Commits, next.PolicyVersion < s.PolicyVersion, next.PolicyVersion < 1:
		return ErrBackwards
	}
	return nil
}

// read returns what the file holds.
func (s *Store) read() (State, error) {
	data, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return State{Binding: s.of}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("read the last accepted revision: %w", err)
	}
	var st State
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&st); err != nil {
		return State{}, s.corrupt(err.Error())
	}
	switch {
	case dec.More():
		return State{}, s.corrupt("it goes on after its end")
	case st.Binding != s.of:
		return State{}, s.corrupt(fmt.Sprintf("it is about %+v, not %+v", st.Binding, s.of))
	case !commitID.MatchString(st.Commit) || st.Commits < 1 || st.PolicyVersion < 1:
		return State{}, s.corrupt("it names no accepted commit")
	}
	return st, nil
}

func (s *Store) corrupt(why string) error {
	return fmt.Errorf("%s: %w: %s; restore it from a backup, or, if you know which revision was last in force, "+
		"remove the file: everything is verified again from the introduction, and a rollback to an older signed revision would not be noticed",
		s.path, ErrCorrupt, why)
}

// write replaces the file in one step: a crash leaves the old or the new one.
func (s *Store) write(st State) error {
	data, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(s.path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(s.path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(data, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), s.path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
