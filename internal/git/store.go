package git

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/pjbgf/sha1cd"
)

// cacheSize bounds what go-git keeps of inflated objects, bases of deltas above all.
const cacheSize = 16 * cache.MiByte

// largeObject is the size from which on go-git streams objects instead of
// holding them in memory.
const largeObject = 1 << 20

// openPacks is how many packs stay open between reads. Opening one anew for each
// object costs more than the object.
const openPacks = 16

// A store is the bare repository on disk. Go-git's storage keeps its indexes in
// plain maps, so every use holds the lock.
type store struct {
	dir   string
	under *store // is asked for what this one does not have, and never written to; nil: none

	mu    sync.Mutex
	objs  *filesystem.Storage
	packs []string // that objs may know of
}

// openObjects opens what is in dir now: go-git reads the list of packs once.
func openObjects(dir string) *filesystem.Storage {
	return filesystem.NewStorageWithOptions(osfs.New(dir, osfs.WithBoundOS()),
		cache.NewObjectLRU(cacheSize), filesystem.Options{LargeObjectThreshold: largeObject, MaxOpenDescriptors: openPacks})
}

// openStore creates the store or finds it as it was left.
func openStore(dir string) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := refuseForeign(dir); err != nil {
		return nil, err
	}
	s := &store{dir: dir, objs: openObjects(dir)}
	if _, err := os.Stat(filepath.Join(dir, "HEAD")); errors.Is(err, os.ErrNotExist) {
		if err := initStore(s.objs, dir); err != nil {
			return nil, err
		}
	}
	cfg, err := s.objs.Config()
	if err != nil {
		return nil, fmt.Errorf("read its config: %w", err)
	}
	if f := cfg.Raw.Section("extensions").Option("objectformat"); f != "" && f != "sha1" {
		return nil, fmt.Errorf("object format %s is not supported, only sha1 is", f)
	}
	return s, errors.Join(sweep(dir), s.refresh())
}

// refuseForeign refuses what makes git see another history than the objects do.
func refuseForeign(dir string) error {
	for _, name := range []string{"shallow", "info/grafts", "objects/info/alternates", "objects/info/http-alternates", "refs/replace"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return fmt.Errorf("it has %s, which could hide or change history: delete the folder and fetch again", name)
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func initStore(objs *filesystem.Storage, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return errors.New("the folder is neither empty nor a bare Git repository")
	}
	if err := objs.Init(); err != nil {
		return err
	}
	cfg, err := objs.Config()
	if err != nil {
		return err
	}
	cfg.Core.IsBare = true
	if err := objs.SetConfig(cfg); err != nil {
		return err
	}
	return objs.SetReference(plumbing.NewSymbolicReference(plumbing.HEAD, plumbing.Main))
}

// layer returns the store that holds an object, or the lowest one if none does.
func (s *store) layer(h plumbing.Hash) *store {
	for s.under != nil && !s.holds(h) {
		s = s.under
	}
	return s
}

// read returns the object after checking, in this order, its size, its type and
// its hash.
func (s *store) read(id string, typ plumbing.ObjectType, limit int64) ([]byte, error) {
	h := plumbing.NewHash(id)
	s = s.layer(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	size, err := s.objs.EncodedObjectSize(h)
	if err != nil {
		return nil, readError(id, err)
	}
	if size > limit {
		return nil, &BadObject{ID: id, Code: CodeSize, Reason: fmt.Sprintf("%s of %d bytes; the limit is %d", typ, size, limit)}
	}
	obj, err := s.objs.EncodedObject(plumbing.AnyObject, h)
	if err != nil {
		return nil, readError(id, err)
	}
	if obj.Type() != typ {
		return nil, &BadObject{ID: id, Code: CodeFormat, Reason: fmt.Sprintf("a %s stands where a %s must be", obj.Type(), typ)}
	}
	data, err := readObject(obj, size)
	if err != nil {
		return nil, readError(id, err)
	}
	return data, checkHash(id, typ, data)
}

func readObject(obj plumbing.EncodedObject, size int64) (data []byte, err error) {
	r, err := obj.Reader()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	data = make([]byte, 0, size)
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if data = append(data, buf[:n]...); int64(len(data)) > size {
			return nil, fmt.Errorf("object is longer than the %d bytes that its header says", size)
		}
		if err == io.EOF {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// checkHash computes the id again: go-git does not, for loose objects. Sha1cd
// sees the traces that every known collision attack on SHA-1 leaves.
func checkHash(id string, typ plumbing.ObjectType, data []byte) error {
	h := sha1cd.New().(sha1cd.CollisionResistantHash)
	fmt.Fprintf(h, "%s %d\x00", typ, len(data))
	h.Write(data)
	sum, collision := h.CollisionResistantSum(nil)
	switch {
	case collision:
		return &BadObject{ID: id, Code: CodeHash, Reason: "the object is one half of a SHA-1 collision"}
	case hex.EncodeToString(sum) != id:
		return &BadObject{ID: id, Code: CodeHash, Reason: "the content does not have the id " + id + ": the store is damaged, delete it and fetch again"}
	}
	return nil
}

func readError(id string, err error) error {
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return fmt.Errorf("object %s: %w", id, ErrNotFound)
	}
	return fmt.Errorf("read object %s: %w", id, err)
}

func (s *store) has(h plumbing.Hash) bool { return s.layer(h).holds(h) }

// holds is has without what lies under the store.
func (s *store) holds(h plumbing.Hash) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objs.HasEncodedObject(h) == nil
}

// withPrefix returns the ids of all objects that begin with hexadecimal digits.
func (s *store) withPrefix(prefix string) ([]string, error) {
	whole, err := hex.DecodeString(prefix[:len(prefix)&^1])
	if err != nil {
		return nil, err
	}
	var ids []string
	for ; s != nil; s = s.under {
		hashes, err := s.beginWith(whole)
		if err != nil {
			return nil, err
		}
		for _, h := range hashes {
			if id := h.String(); strings.HasPrefix(id, prefix) && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids, nil
}

func (s *store) beginWith(bytes []byte) ([]plumbing.Hash, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objs.HashesWithPrefix(bytes)
}

// size returns how large a file is, without reading it.
func (s *store) size(id string) (int64, error) {
	h := plumbing.NewHash(id)
	s = s.layer(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.objs.EncodedObjectSize(h)
	if err != nil {
		return 0, readError(id, err)
	}
	return n, nil
}
