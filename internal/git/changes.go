package git

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// An Op is what a commit does to a path.
type Op string

// The ops. A rename is a delete and an add.
const (
	OpAdd    Op = "add"
	OpModify Op = "modify"
	OpDelete Op = "delete"
)

// A Change is one file that differs between two commits.
type Change struct {
	Path             string
	Op               Op
	OldMode, NewMode string // 100644 or 100755; empty where the file is absent
	OldID, NewID     string // of the blob; empty where the file is absent
}

// Changes returns the files that differ between a parent and a commit, sorted by
// path; all files of the commit if parent is empty. A directory that both have
// is not opened, so trees are judged where they change.
func (r *Repo) Changes(ctx context.Context, parent, commit string) ([]Change, error) {
	var oldTree string
	if parent != "" {
		old, err := r.Commit(parent)
		if err != nil {
			return nil, err
		}
		oldTree = old.Tree
	}
	c, err := r.Commit(commit)
	if err != nil {
		return nil, err
	}
	d := &differ{repo: r, ctx: ctx}
	if err := d.dirs("", oldTree, c.Tree, 0); err != nil {
		return nil, fmt.Errorf("changes of commit %s: %w", commit, err)
	}
	slices.SortFunc(d.changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return d.changes, nil
}

// A differ compares two trees. An absent directory has no id, an absent file is
// the zero entry.
type differ struct {
	repo    *Repo
	ctx     context.Context
	changes []Change
}

func (d *differ) dirs(dir, oldID, newID string, depth int) error {
	if oldID == newID {
		return nil
	}
	if err := d.ctx.Err(); err != nil {
		return err
	}
	if depth > d.repo.limits.Depth {
		return &BadObject{Path: dir, Code: CodeSize, Reason: fmt.Sprintf("more than %d directories below each other", depth-1)}
	}
	old, err1 := d.read(oldID, dir)
	cur, err2 := d.read(newID, dir)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	for name, e := range cur {
		if err := d.entries(path.Join(dir, name), old[name], e, depth); err != nil {
			return err
		}
	}
	for name, e := range old {
		if _, ok := cur[name]; ok {
			continue
		}
		if err := d.entries(path.Join(dir, name), e, entry{}, depth); err != nil {
			return err
		}
	}
	return nil
}

func (d *differ) read(id, dir string) (map[string]entry, error) {
	if id == "" {
		return nil, nil
	}
	entries, err := d.repo.tree(id, dir)
	byName := make(map[string]entry, len(entries))
	for _, e := range entries {
		byName[e.name] = e
	}
	return byName, err
}

// entries compares what a path was and is. A file that becomes a directory is
// deleted, and what the directory holds is added.
func (d *differ) entries(name string, old, cur entry, depth int) error {
	if old.id == cur.id && old.mode == cur.mode {
		return nil
	}
	var oldDir, newDir string
	if old.mode == modeDir {
		oldDir, old = old.id, entry{}
	}
	if cur.mode == modeDir {
		newDir, cur = cur.id, entry{}
	}
	if old.mode != "" || cur.mode != "" {
		op := OpModify
		switch {
		case old.mode == "":
			op = OpAdd
		case cur.mode == "":
			op = OpDelete
		}
		d.changes = append(d.changes, Change{Path: name, Op: op,
			OldMode: old.mode, NewMode: cur.mode, OldID: old.id, NewID: cur.id})
		if len(d.changes) > d.repo.limits.Files {
			return fmt.Errorf("more than %d changed files: %w (files)", d.repo.limits.Files, ErrLimit)
		}
	}
	return d.dirs(name, oldDir, newDir, depth+1)
}
