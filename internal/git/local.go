package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// A localSource copies from a repository on this machine, bare or not. It reads
// the objects itself: neither git-upload-pack nor the server of go-git is
// needed, whose cost grows with all of history.
type localSource struct {
	path   string
	limits Limits
}

func (s *localSource) fetch(ctx context.Context, what want, have *store, w io.Writer) (map[string]string, error) {
	repo, err := gogit.PlainOpenWithOptions(s.path, &gogit.PlainOpenOptions{EnableDotGitCommonDir: true})
	if errors.Is(err, gogit.ErrRepositoryNotExists) || errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: no Git repository is there", ErrUnreachable)
	}
	if errors.Is(err, gogit.ErrUnknownExtension) && strings.Contains(err.Error(), "objectformat") {
		return nil, errSHA256
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if shallow, err := repo.Storer.Shallow(); err != nil || len(shallow) > 0 {
		return nil, errors.Join(err, errors.New("the remote is a shallow clone, which hides history: use a full one"))
	}
	c := &copier{from: repo.Storer, have: have, limits: s.limits, seen: map[plumbing.Hash]bool{}}
	if what.match != nil {
		refs, err := c.tags(ctx, repo, what)
		if err != nil {
			return nil, err
		}
		return refs, c.write(w)
	}
	found, err := repo.Reference(plumbing.ReferenceName(what.ref), true)
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return nil, fmt.Errorf("%s: %w: it was deleted, or has no commit yet", what.ref, ErrRefMissing)
	}
	if err != nil {
		return nil, err
	}
	if err := c.commits(ctx, found.Hash()); err != nil {
		return nil, err
	}
	return map[string]string{what.ref: found.Hash().String()}, c.write(w)
}

// tags finds tag objects alone: what they are about is of use only if the store
// has it anyway.
func (c *copier) tags(ctx context.Context, repo *gogit.Repository, what want) (map[string]string, error) {
	iter, err := repo.References()
	if err != nil {
		return nil, err
	}
	refs := map[string]string{}
	return refs, iter.ForEach(func(ref *plumbing.Reference) error {
		if ref.Type() != plumbing.HashReference {
			return nil
		}
		before := len(refs)
		if err := what.collect(refs, ref.Name().String(), ref.Hash().String()); err != nil || len(refs) == before {
			return err
		}
		if typ, _, err := c.read(ref.Hash()); err == nil && typ == plumbing.TagObject {
			c.add(ref.Hash())
		}
		return ctx.Err()
	})
}

// A copier finds the objects that the store does not have. What has one has all
// below it, as packs are complete.
type copier struct {
	from   storer.EncodedObjectStorer
	have   *store
	limits Limits
	seen   map[plumbing.Hash]bool
	want   []plumbing.Hash
}

// add reports whether an object is new.
func (c *copier) add(h plumbing.Hash) bool {
	if c.seen[h] || c.have.has(h) {
		return false
	}
	c.seen[h] = true
	c.want = append(c.want, h)
	return true
}

func (c *copier) commits(ctx context.Context, tip plumbing.Hash) error {
	for todo := []plumbing.Hash{tip}; len(todo) > 0; {
		h := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !c.add(h) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		_, raw, err := c.read(h)
		if err != nil {
			return err
		}
		links := looseLinks(raw)
		for _, p := range links.parents {
			todo = append(todo, plumbing.NewHash(p))
		}
		if err := c.tree(plumbing.NewHash(links.tree), 0); err != nil {
			return fmt.Errorf("commit %s: %w", h, err)
		}
	}
	return nil
}

func (c *copier) tree(h plumbing.Hash, depth int) error {
	if !c.add(h) {
		return nil
	}
	if len(c.want) > c.limits.PackObjects {
		return fmt.Errorf("more than %d new objects: %w (pack objects)", c.limits.PackObjects, ErrLimit)
	}
	if depth > c.limits.Depth {
		return fmt.Errorf("more than %d directories below each other: %w (depth)", c.limits.Depth, ErrLimit)
	}
	_, raw, err := c.read(h)
	if err != nil {
		return err
	}
	entries, err := splitTree(raw)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch e.mode {
		case modeDir:
			if err := c.tree(plumbing.NewHash(e.id), depth+1); err != nil {
				return err
			}
		case modeSubmodule: // a commit of another repository
		default:
			c.add(plumbing.NewHash(e.id))
		}
	}
	return nil
}

// read returns an object after checking its size. Objects that the repository
// borrows from another have no size until they are read.
func (c *copier) read(h plumbing.Hash) (plumbing.ObjectType, []byte, error) {
	size, err := c.from.EncodedObjectSize(h)
	if err == nil {
		err = checkObjectSize(size, c.limits)
	} else if errors.Is(err, plumbing.ErrObjectNotFound) {
		err = nil
	}
	if err != nil {
		return 0, nil, fmt.Errorf("object %s: %w", h, err)
	}
	obj, err := c.from.EncodedObject(plumbing.AnyObject, h)
	if err != nil {
		return 0, nil, readError(h.String(), err)
	}
	if err := checkObjectSize(obj.Size(), c.limits); err != nil {
		return 0, nil, fmt.Errorf("object %s: %w", h, err)
	}
	raw, err := readObject(obj, obj.Size())
	return obj.Type(), raw, err
}

func (c *copier) write(w io.Writer) error {
	if len(c.want) == 0 {
		return nil
	}
	pack, err := newPackWriter(w, len(c.want))
	if err != nil {
		return err
	}
	for _, h := range c.want {
		typ, raw, err := c.read(h)
		if err != nil {
			return err
		}
		if err := pack.add(typ, raw); err != nil {
			return err
		}
	}
	return pack.close()
}
