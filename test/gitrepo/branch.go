package gitrepo

import (
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Head returns the tip of the branch that is checked out, or "" before the
// first commit.
func (r *Repo) Head() string { return r.Tip(r.branch) }

// Tip returns the tip of a branch, or "".
func (r *Repo) Tip(branch string) string {
	ref, err := r.objs.Reference(plumbing.NewBranchReferenceName(branch))
	if err != nil {
		return ""
	}
	return ref.Hash().String()
}

// Branch creates a branch at the tip and checks it out, keeping what was
// written since.
func (r *Repo) Branch(name string) error {
	if r.Tip(name) != "" {
		return fmt.Errorf("branch %s exists", name)
	}
	if tip := r.Head(); tip != "" {
		if err := r.SetRef("refs/heads/"+name, tip); err != nil {
			return err
		}
	}
	r.branch = name
	return nil
}

// Checkout continues on another branch with its files; what was written and not
// committed is dropped.
func (r *Repo) Checkout(branch string) error {
	tip := r.Tip(branch)
	if tip == "" {
		return fmt.Errorf("no branch %s", branch)
	}
	if err := r.load(tip); err != nil {
		return fmt.Errorf("check out %s: %w", branch, err)
	}
	r.branch = branch
	return nil
}

// Reset moves the branch that is checked out to another commit and takes its
// files: what a rewritten history starts with.
func (r *Repo) Reset(commit string) error {
	if err := r.load(commit); err != nil {
		return fmt.Errorf("reset to %s: %w", commit, err)
	}
	return r.SetRef("refs/heads/"+r.branch, commit)
}

func (r *Repo) load(commit string) error {
	c, err := object.GetCommit(r.objs, plumbing.NewHash(commit))
	if err != nil {
		return err
	}
	tree, err := c.Tree()
	if err != nil {
		return err
	}
	files := map[string]file{}
	walker := object.NewTreeWalker(tree, true, nil)
	defer walker.Close()
	for {
		name, e, err := walker.Next()
		if err != nil {
			r.files = files
			return ignoreEOF(err)
		}
		if mode := fmt.Sprintf("%o", uint32(e.Mode)); mode != dirMode {
			files[name] = file{mode, e.Hash.String()}
		}
	}
}

// SetRef points a ref to an object.
func (r *Repo) SetRef(name, id string) error {
	return r.objs.SetReference(plumbing.NewHashReference(plumbing.ReferenceName(name), plumbing.NewHash(id)))
}

// DeleteBranch removes a branch; its commits stay.
func (r *Repo) DeleteBranch(name string) error {
	return r.objs.RemoveReference(plumbing.NewBranchReferenceName(name))
}

// ErrRewritten is what Push returns where only PushForce would do.
var ErrRewritten = errors.New("the remote branch is not an ancestor: fetch first, or force")
