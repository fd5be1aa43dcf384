package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// Push sends the branch that is checked out to a bare repository: an http(s)
// URL, which may hold user and password, or a local path, which is created if
// it is absent.
func (r *Repo) Push(to string) error { return r.push(to, false) }

// PushForce is Push that may rewrite the branch.
func (r *Repo) PushForce(to string) error { return r.push(to, true) }

func (r *Repo) push(to string, force bool) error {
	tip := r.Head()
	if tip == "" {
		return errors.New("push: nothing is committed")
	}
	var err error
	if strings.HasPrefix(to, "http://") || strings.HasPrefix(to, "https://") {
		err = r.pushURL(to, force)
	} else {
		err = r.pushPath(strings.TrimPrefix(to, "file://"), plumbing.NewHash(tip), force)
	}
	if err != nil {
		return fmt.Errorf("push %s: %w", r.branch, err)
	}
	return nil
}

func (r *Repo) pushURL(url string, force bool) error {
	remote := gogit.NewRemote(r.objs, &config.RemoteConfig{Name: "to", URLs: []string{url}})
	spec := config.RefSpec(fmt.Sprintf("refs/heads/%s:refs/heads/%s", r.branch, r.branch))
	err := remote.PushContext(context.Background(), &gogit.PushOptions{
		RemoteName: "to", RefSpecs: []config.RefSpec{spec}, Force: force, CABundle: r.CA,
	})
	if errors.Is(err, gogit.NoErrAlreadyUpToDate) {
		return nil
	}
	return err
}

// pushPath copies every object that the other side does not have, broken ones
// included, and then moves its branch.
func (r *Repo) pushPath(dir string, tip plumbing.Hash, force bool) error {
	var to *filesystem.Storage
	if _, err := os.Stat(filepath.Join(dir, "HEAD")); err != nil {
		if to, err = initBare(dir); err != nil {
			return err
		}
	} else {
		to = openStorage(dir)
	}
	name := plumbing.NewBranchReferenceName(r.branch)
	old, err := to.Reference(name)
	if err != nil && !errors.Is(err, plumbing.ErrReferenceNotFound) {
		return err
	}
	if err == nil && !force && !r.contains(tip, old.Hash()) {
		return ErrRewritten
	}
	if err := r.objs.ForEachObjectHash(func(h plumbing.Hash) error { return r.copyObject(to, h) }); err != nil {
		return err
	}
	return to.SetReference(plumbing.NewHashReference(name, tip))
}

func (r *Repo) copyObject(to *filesystem.Storage, h plumbing.Hash) error {
	if to.HasEncodedObject(h) == nil {
		return nil
	}
	obj, err := r.objs.EncodedObject(plumbing.AnyObject, h)
	if err != nil {
		return err
	}
	_, err = to.SetEncodedObject(obj)
	return err
}

// contains reports whether old is tip or an ancestor of it.
func (r *Repo) contains(tip, old plumbing.Hash) bool {
	c, err := object.GetCommit(r.objs, tip)
	if err != nil {
		return false
	}
	found := false
	err = object.NewCommitPreorderIter(c, nil, nil).ForEach(func(c *object.Commit) error {
		if c.Hash == old {
			found = true
			return io.EOF
		}
		return nil
	})
	return found && ignoreEOF(err) == nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
