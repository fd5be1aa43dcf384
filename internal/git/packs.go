package git

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// incoming names the files and folders of what is not in the store yet.
const incoming = "incoming-*"

// packDir is where packs lie in a store. A pack is two files: NAME.pack holds the
// objects, NAME.idx says where each begins.
const packDir = "objects/pack"

// sweep removes what a killed fetch left behind.
func sweep(dir string) error {
	for _, pattern := range []string{incoming, packDir + "/tmp_pack_*"} {
		stale, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		for _, name := range stale {
			if err := os.RemoveAll(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// A draft is a pack that the store does not have yet: two files in a folder of
// their own beside it.
type draft struct {
	folder string
	pack   *os.File
}

func (s *store) draft() (*draft, error) {
	folder, err := os.MkdirTemp(s.dir, incoming)
	if err != nil {
		return nil, err
	}
	pack, err := os.Create(filepath.Join(folder, "new.pack"))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	return &draft{folder, pack}, nil
}

// remove removes what is left of a draft.
func (d *draft) remove() error { return errors.Join(d.pack.Close(), os.RemoveAll(d.folder)) }

// index has go-git read every object of the pack and writes down where each begins.
// The name is what git gives to a pack of these bytes.
func (d *draft) index() (name string, err error) {
	if _, err := d.pack.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	var w idxfile.Writer
	parser, err := packfile.NewParser(packfile.NewScanner(d.pack), &w)
	if err != nil {
		return "", err
	}
	sum, err := parser.Parse()
	if err != nil {
		return "", err
	}
	idx, err := w.Index()
	if err != nil {
		return "", err
	}
	f, err := os.Create(filepath.Join(d.folder, "new.idx"))
	if err != nil {
		return "", err
	}
	_, err = idxfile.NewEncoder(f).Encode(idx)
	return "pack-" + sum.String(), errors.Join(err, f.Close())
}

// install moves an indexed draft into the store. It is whole on disk before the
// store sees it, and the store sees it by the .pack: at whatever point the machine
// stops, the store has all of it or none. fresh is false if it was there before,
// brought by another process perhaps.
func (s *store) install(d *draft, name string) (fresh bool, err error) {
	_, err = os.Lstat(filepath.Join(s.dir, packDir, name+".pack"))
	if fresh = errors.Is(err, fs.ErrNotExist); fresh {
		err = s.move(d, name)
	}
	return fresh, errors.Join(err, s.refresh())
}

// refresh has go-git read the list of packs again if it is another one. It reads the
// list once, and another process may have fetched, or packed, meanwhile.
func (s *store) refresh() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.relist()
}

// known returns the packs in which objects are looked for.
func (s *store) known() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.packs)
}

// relist is refresh for a caller who holds the lock.
func (s *store) relist() error {
	names, err := s.packNames()
	if err != nil || slices.Equal(names, s.packs) {
		return err
	}
	old := s.objs
	s.objs, s.packs = openObjects(s.dir), names
	return old.Close()
}

func (s *store) move(d *draft, name string) error {
	from, to := filepath.Join(d.folder, "new"), filepath.Join(s.dir, packDir, name)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	for _, end := range []string{".idx", ".pack"} {
		if err := syncFile(from + end); err != nil {
			return err
		}
		if err := os.Rename(from+end, to+end); err != nil {
			return err
		}
	}
	return syncFile(filepath.Dir(to))
}

// drop removes packs. The .pack goes first: go-git takes a .pack without its .idx
// for a damaged store, and does not look at an .idx alone.
func (s *store) drop(names []string) error {
	if len(names) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, name := range names {
		for _, end := range []string{".pack", ".idx"} {
			errs = append(errs, os.Remove(filepath.Join(s.dir, packDir, name+end)))
		}
	}
	return errors.Join(append(errs, s.relist())...)
}

// settled is how old an .idx without its .pack must be to be one that was left: a
// younger one may belong to a pack that another process moves in right now.
const settled = time.Hour

// dropOrphans removes what a drop that was killed has left.
func (s *store) dropOrphans() error {
	indexes, err := filepath.Glob(filepath.Join(s.dir, packDir, "pack-*.idx"))
	if err != nil {
		return err
	}
	for _, name := range indexes {
		info, err := os.Lstat(name)
		if err != nil {
			return err
		}
		_, err = os.Lstat(strings.TrimSuffix(name, ".idx") + ".pack")
		if orphan := errors.Is(err, fs.ErrNotExist); orphan && time.Since(info.ModTime()) > settled {
			err = os.Remove(name)
		} else if orphan {
			err = nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// packNames lists the packs of a store.
func (s *store) packNames() ([]string, error) {
	names, err := filepath.Glob(filepath.Join(s.dir, packDir, "pack-*.pack"))
	for i, name := range names {
		names[i] = strings.TrimSuffix(filepath.Base(name), ".pack")
	}
	return names, err
}

// readIndex says which objects a pack holds, by the file of its index.
func readIndex(name string) (*idxfile.MemoryIndex, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	idx := idxfile.NewMemoryIndex()
	err = idxfile.NewDecoder(f).Decode(idx)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return idx, nil
}

// A usage is what a store takes on disk.
type usage struct {
	bytes   int64 // all objects with their indexes
	largest int64 // the largest pack, without its index
	packs   int
}

func (s *store) usage() (usage, error) {
	var u usage
	err := filepath.WalkDir(filepath.Join(s.dir, "objects"), func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // dropped meanwhile
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		u.bytes += info.Size()
		if strings.HasSuffix(name, ".pack") {
			u.packs++
			u.largest = max(u.largest, info.Size())
		}
		return nil
	})
	return u, err
}

// syncFile waits until a file, or the names in a folder, are on disk.
func syncFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
