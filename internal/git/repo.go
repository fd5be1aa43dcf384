package git

import (
	"context"
	"errors"
	"fmt"
	"path"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
)

// A Remote is where commits come from: an https, http or ssh URL, user@host:path,
// file:// or a local path.
type Remote struct {
	URL  string
	Auth Auth
}

// Auth is what a remote asks for, and how it proves itself. All fields are
// optional.
type Auth struct {
	Username, Password string // https; for ssh the user, and the passphrase of SSHKey
	SSHKey             []byte // PEM; empty: the running ssh-agent
	KnownHosts         []byte // lines of known_hosts; empty: the system's and the user's file
	CA                 []byte // PEM; further authorities for https
}

// A Repo is a bare store on disk and the remote that it follows. Its methods
// may be called from several goroutines.
type Repo struct {
	dir      string
	remote   Remote
	limits   Limits
	source   source
	store    *store
	fetching sync.Mutex // one fetch at a time

	tagging sync.Mutex
	tags    map[string]string // ref -> object; of the last FetchTags
}

// Open opens the store in dir, which it creates if it is absent or empty, to
// follow a remote. Nothing is fetched yet. A store that was shallow, grafted,
// borrowing objects or of SHA-256 ids is refused.
func Open(dir string, remote Remote, limits Limits) (*Repo, error) {
	limits = limits.withDefaults()
	src, err := newSource(remote, limits)
	if err != nil {
		return nil, fmt.Errorf("remote repository: %w", err)
	}
	s, err := openStore(dir)
	if err != nil {
		return nil, fmt.Errorf("open the Git store %s: %w", dir, err)
	}
	return &Repo{dir: dir, remote: remote, limits: limits, source: src, store: s}, nil
}

// minPrefix is the fewest digits that stand for a commit.
const minPrefix = 7

// Resolve returns the id of a fetched commit, named by its id, by a prefix of at
// least 7 digits that is unique, or by a fetched ref. A ref wins over a prefix
// only if it is written in full.
func (r *Repo) Resolve(_ context.Context, name string) (string, error) {
	if isHex(name) && len(name) >= minPrefix && len(name) <= 40 {
		return r.resolvePrefix(name)
	}
	ref, err := fullRef(name)
	if err != nil {
		return "", err
	}
	id, err := r.store.ref(privateRef(ref))
	if err == nil && id == "" {
		err = fmt.Errorf("revision %q: %w: it is neither a commit id of at least %d digits nor a fetched ref", name, ErrNotFound, minPrefix)
	}
	return id, err
}

func (r *Repo) resolvePrefix(prefix string) (string, error) {
	ids, err := r.store.withPrefix(prefix)
	if err != nil {
		return "", err
	}
	var commits []string
	for _, id := range ids {
		if r.store.hasCommit(id) {
			commits = append(commits, id)
		}
	}
	switch len(commits) {
	case 0:
		return "", fmt.Errorf("commit %s: %w", prefix, ErrNotFound)
	case 1:
		return commits[0], nil
	}
	return "", fmt.Errorf("%s: %w: give more digits", prefix, ErrAmbiguous)
}

// Commit reads one commit by its full id. What breaks the grammar is a BadObject.
func (r *Repo) Commit(id string) (*Commit, error) {
	if !isID(id) {
		return nil, fmt.Errorf("%q is not a full commit id", id)
	}
	raw, err := r.store.read(id, plumbing.CommitObject, r.limits.CommitBytes)
	if err != nil {
		return nil, err
	}
	c, err := parseCommit(raw, r.limits.Parents)
	if err != nil {
		return nil, located(err, id, "")
	}
	c.ID = id
	return c, nil
}

// tree reads one directory; dir is where it lies.
func (r *Repo) tree(id, dir string) ([]entry, error) {
	raw, err := r.store.read(id, plumbing.TreeObject, r.limits.TreeBytes)
	if err != nil {
		return nil, located(err, id, dir)
	}
	entries, err := parseTree(raw, r.limits.TreeEntries)
	return entries, located(err, id, dir)
}

// blob reads one file; name is its path.
func (r *Repo) blob(id, name string) ([]byte, error) {
	data, err := r.store.read(id, plumbing.BlobObject, r.limits.BlobBytes)
	return data, located(err, id, name)
}

// located tells a bad object where it is.
func located(err error, id, dir string) error {
	var bad *BadObject
	if !errors.As(err, &bad) {
		return err
	}
	at := *bad
	if at.ID == "" {
		at.ID = id
	}
	at.Path = path.Join(dir, at.Path)
	return &at
}
