package git

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// privateRefs is where fetched refs live, so that nothing takes them for
// branches of ours.
const privateRefs = "refs/prumo/fetched/"

func privateRef(ref string) plumbing.ReferenceName {
	return plumbing.ReferenceName(privateRefs + ref)
}

// ref returns the commit that a private ref points to, or "".
func (s *store) ref(name plumbing.ReferenceName) (string, error) {
	for ; s != nil; s = s.under {
		id, err := s.ownRef(name)
		if id != "" || err != nil {
			return id, err
		}
	}
	return "", nil
}

func (s *store) ownRef(name plumbing.ReferenceName) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ref, err := s.objs.Reference(name)
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return ref.Hash().String(), nil
}

// setRef points a private ref to a commit in one step: go-git empties the file
// before it writes, and on a full disk it would stay empty.
func (s *store) setRef(name plumbing.ReferenceName, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	file := filepath.Join(s.dir, filepath.FromSlash(name.String()))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(s.dir, incoming)
	if err != nil {
		return err
	}
	_, err = f.WriteString(id + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncFile(filepath.Dir(file))
}

// keepRef removes all private refs but one.
func (s *store) keepRef(kept plumbing.ReferenceName) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	refs, err := s.listRefs()
	if err != nil {
		return err
	}
	for _, ref := range refs {
		if ref.Name() == kept {
			continue
		}
		if err := s.objs.RemoveReference(ref.Name()); err != nil {
			return err
		}
	}
	return nil
}

// refs returns the commits of all private refs.
func (s *store) refs() ([]string, error) {
	var ids []string
	for ; s != nil; s = s.under {
		s.mu.Lock()
		refs, err := s.listRefs()
		s.mu.Unlock()
		if err != nil {
			return nil, err
		}
		for _, ref := range refs {
			ids = append(ids, ref.Hash().String())
		}
	}
	return ids, nil
}

// listRefs lists the private refs. The caller holds the lock.
func (s *store) listRefs() ([]*plumbing.Reference, error) {
	iter, err := s.objs.IterReferences()
	if err != nil {
		return nil, err
	}
	var refs []*plumbing.Reference
	return refs, iter.ForEach(func(ref *plumbing.Reference) error {
		if strings.HasPrefix(ref.Name().String(), privateRefs) {
			refs = append(refs, ref)
		}
		return nil
	})
}
