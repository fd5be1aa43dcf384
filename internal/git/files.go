package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"prumo.dev/prumo/internal/core"
)

// maxBad is how many bad objects of one tree are told at once.
const maxBad = 20

// A listing is all files of a commit by path.
type listing map[string]entry

// list reads every directory of a commit. What is refused is told together.
func (r *Repo) list(ctx context.Context, commit string) (listing, error) {
	c, err := r.Commit(commit)
	if err != nil {
		return nil, err
	}
	l := &lister{repo: r, ctx: ctx, files: listing{}}
	if err := l.dir(c.Tree, "", 0); err != nil {
		return nil, fmt.Errorf("files of commit %s: %w", commit, err)
	}
	if len(l.bad) > 0 {
		return nil, fmt.Errorf("files of commit %s: %w", commit, errors.Join(l.bad...))
	}
	return l.files, nil
}

type lister struct {
	repo  *Repo
	ctx   context.Context
	files listing
	seen  int // files and directories
	bad   []error
}

func (l *lister) dir(id, dir string, depth int) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	entries, err := l.repo.tree(id, dir)
	var bad *BadObject
	if errors.As(err, &bad) && len(l.bad) < maxBad {
		l.bad = append(l.bad, bad)
		return nil
	}
	if err != nil {
		return err
	}
	if l.seen += len(entries); l.seen > l.repo.limits.Files || depth > l.repo.limits.Depth {
		return &BadObject{ID: id, Path: dir, Code: CodeSize, Reason: fmt.Sprintf(
			"more than %d files and directories, or %d directories below each other", l.repo.limits.Files, l.repo.limits.Depth)}
	}
	for _, e := range entries {
		name := path.Join(dir, e.name)
		if e.mode != modeDir {
			l.files[name] = e
		} else if err := l.dir(e.id, name, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// Tree returns the files of a revision, read from the store when they are
// opened. A symbolic link, a submodule or anything else that is refused anywhere
// in it is an error that names it (BadObject), as is reading a file over the
// size limit.
func (r *Repo) Tree(rev core.Revision) (core.Tree, error) {
	files, err := r.list(context.Background(), rev.Commit)
	if err != nil {
		return core.Tree{}, err
	}
	return core.Tree{Revision: rev, FS: r.newFS(rev, files)}, nil
}

// ReadFile returns one file of a commit; fs.ErrNotExist if there is none.
func (r *Repo) ReadFile(ctx context.Context, commit, name string) ([]byte, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	c, err := r.Commit(commit)
	if err != nil {
		return nil, err
	}
	e := entry{mode: modeDir, id: c.Tree}
	dir := ""
	for part := range strings.SplitSeq(name, "/") {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if e.mode != modeDir {
			return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
		}
		entries, err := r.tree(e.id, dir)
		if err != nil {
			return nil, err
		}
		if e = find(entries, part); e.mode == "" {
			return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
		}
		dir = path.Join(dir, part)
	}
	if e.mode == modeDir {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("is a directory")}
	}
	return r.blob(e.id, name)
}

// find returns the entry of a name, or the zero entry.
func find(entries []entry, name string) entry {
	for _, e := range entries {
		if e.name == name {
			return e
		}
	}
	return entry{}
}
