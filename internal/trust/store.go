package trust

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// Errors of a Store, for errors.Is.
var (
	ErrConflict  = errors.New("another revision was accepted meanwhile")
	ErrBackwards = errors.New("an accepted revision is never taken back")
	ErrCorrupt   = errors.New("the record of the last accepted revision is unusable")
)

// Documents keep small texts in the cluster. A version is what Save compares
// with; an empty one stands for a document that does not exist.
type Documents interface {
	Load(ctx context.Context, name string) (data []byte, version string, err error)
	Save(ctx context.Context, name string, data []byte, version string) (string, error)
	String() string // where they are, for people
}

// document is the name of the State's copy in the cluster.
const document = "accepted"

// A Store keeps the State of one repo and ref in a file and, if it has
// Documents, in the cluster too, where both must say the same. It is safe for
// concurrent use, by several processes too.
//
// A State is written in three steps: as an intent into the file, in the cluster
// if that still holds the one before, and as the State into the file. After a
// crash the cluster has the State of the file or its intent; anything else was
// written by somebody else (see Agree).
type Store struct {
	path    string
	of      Binding
	cluster Documents // nil: in the file alone

	mu      sync.Mutex
	state   State  // zero Commit: nothing accepted yet
	agreed  bool   // file and cluster say the same
	version string // of the cluster's copy
}

// OpenStore reads the file, or begins without one. A file that cannot be used is
// an error, never "nothing accepted yet": that would allow a rollback.
func OpenStore(path string, of Binding, cluster Documents) (*Store, error) {
	s := &Store{path: path, of: of, cluster: cluster, agreed: cluster == nil}
	if of.Repo == "" || of.Ref == "" || !commitID.MatchString(of.Introduction) {
		return nil, fmt.Errorf("open %s: a store needs repo, ref and introduction, not %+v", path, of)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open the store of the last accepted revision: %w", err)
	}
	r, err := s.read()
	s.state = r.State
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
// survives a crash, and the loss of either place.
func (s *Store) Accept(ctx context.Context, next State) error {
	return s.change(ctx, func(current State) (State, error) {
		if current.Commit != "" && next.Commit == current.Commit {
			return current, nil
		}
		if err := current.allows(next); err != nil {
			return State{}, fmt.Errorf("accept %.10s after %.10s: %w", next.Commit, current.Commit, err)
		}
		return next, nil
	})
}

// Note changes what is remembered beside the accepted revision.
func (s *Store) Note(ctx context.Context, f func(State) State) error {
	return s.change(ctx, func(current State) (State, error) {
		next := f(current)
		if !current.grows(next) {
			return State{}, fmt.Errorf("note on %.10s: %w", current.Commit, ErrBackwards)
		}
		return next, nil
	})
}

// change writes the State that f makes of the current one, if it is another.
func (s *Store) change(ctx context.Context, f func(State) (State, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.agreed {
		return fmt.Errorf("%s and the %s have not been compared", s.path, s.cluster)
	}
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	current, err := s.read()
	if err != nil {
		return err
	}
	s.state = current.State
	next, err := f(current.State)
	if err != nil || next.same(current.State) {
		return err
	}
	next.Serial = current.Serial + 1
	if err := s.write(ctx, current.State, next); err != nil {
		return fmt.Errorf("store the accepted revision %.10s: %w", next.Commit, err)
	}
	s.state = next
	return nil
}

// write puts next in the place of current, in both places.
func (s *Store) write(ctx context.Context, current, next State) error {
	if s.cluster == nil {
		return s.writeFile(record{State: next})
	}
	s.agreed = false // until both have it
	if err := s.writeFile(record{State: current, Intent: &next}); err != nil {
		return err
	}
	if err := s.save(ctx, next, s.version); err != nil {
		return err
	}
	err := s.writeFile(record{State: next})
	s.agreed = err == nil
	return err
}

// save writes the cluster's copy.
func (s *Store) save(ctx context.Context, next State, over string) error {
	version, err := s.cluster.Save(ctx, document, next.encode(), over)
	if err == nil {
		s.version = version
	}
	return err
}

// load reads the cluster's copy; nil if there is none.
func (s *Store) load(ctx context.Context) (*State, error) {
	data, version, err := s.cluster.Load(ctx, document)
	if s.version = version; err != nil || version == "" {
		return nil, err
	}
	st := new(State)
	if err = decode(data, st); err == nil {
		err = st.check(s.of)
	}
	if err != nil {
		return nil, fmt.Errorf("%s, document %s: %w: %w; restore it from a backup, or, if the state folder has what was last in force, "+
			"delete it: it is written again from there", s.cluster, document, ErrCorrupt, err)
	}
	return st, nil
}

func (s *Store) lock() (unlock func(), err error) {
	unlock, err = lockedfile.MutexAt(s.path + ".lock").Lock()
	if err != nil {
		return nil, fmt.Errorf("lock the store of the last accepted revision: %w", err)
	}
	return unlock, nil
}
