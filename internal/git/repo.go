package git

import (
	"context"
	"errors"

	"prumo.dev/prumo/internal/core"
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
	KnownHosts         []byte // lines of known_hosts; empty: the user's and the system's file
	CA                 []byte // PEM; further authorities for https
}

// An Op is what a commit does to a path.
type Op string

// The ops. A rename is a delete and an add.
const (
	OpAdd    Op = "add"
	OpModify Op = "modify"
	OpDelete Op = "delete"
)

// A Change is one path that differs between two commits.
type Change struct {
	Path             string
	Op               Op
	OldMode, NewMode string // such as 100644; empty where the path is absent
	OldID, NewID     string // of the blob; empty where the path is absent
}

// A Repo is a bare store on disk and the remote that it follows.
type Repo struct{}

var errEarly = errors.New("being built")

func Open(dir string, remote Remote, limits Limits) (*Repo, error)            { return nil, errEarly }
func (r *Repo) Fetch(ctx context.Context, ref string) (tip string, err error) { return "", errEarly }
func (r *Repo) Resolve(ctx context.Context, name string) (string, error)      { return "", errEarly }
func (r *Repo) Commit(id string) (*Commit, error)                             { return nil, errEarly }
func (r *Repo) Changes(ctx context.Context, parent, commit string) ([]Change, error) {
	return nil, errEarly
}
func (r *Repo) Range(ctx context.Context, from, to string) ([]*Commit, error) { return nil, errEarly }
func (r *Repo) ReadFile(ctx context.Context, commit, path string) ([]byte, error) {
	return nil, errEarly
}
func (r *Repo) Tree(rev core.Revision) (core.Tree, error) { return core.Tree{}, errEarly }
func (r *Repo) Merge(ctx context.Context, base, head string) (core.Tree, []string, error) {
	return core.Tree{}, nil, errEarly
}
func OpenDir(dir string) (core.Tree, error) { return core.Tree{}, errEarly }
