package git

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"
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

// index has go-git copy a pack into a folder beside the store and index it there,
// which reads every object of it. write writes the pack. The result is the name of
// the pack, without an ending; empty if the pack is.
func index(folder string, write func(io.Writer) error) (string, error) {
	w, err := dotgit.New(osfs.New(folder)).NewObjectPack()
	if err != nil {
		return "", err
	}
	err, closed := write(w), w.Close()
	if err = cmp.Or(err, closed); err != nil {
		return "", err
	}
	names, err := packNames(folder)
	if err != nil || len(names) == 0 {
		return "", err
	}
	return names[0], nil
}

// install moves an indexed pack into the store. It is whole on disk before the
// store sees it, and the store sees it by the .pack: at whatever point the machine
// stops, the store has all of it or none.
func (s *store) install(folder, name string) error {
	from, to := filepath.Join(folder, packDir, name), filepath.Join(s.dir, packDir, name)
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
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objs.Reindex()
	return syncFile(filepath.Dir(to))
}

// drop removes packs. The .pack goes first: go-git takes a .pack without its .idx
// for a damaged store, and does not look at an .idx alone.
func (s *store) drop(names []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.objs
	s.objs = openObjects(s.dir)
	errs := []error{old.Close()}
	for _, name := range names {
		for _, end := range []string{".pack", ".idx"} {
			errs = append(errs, os.Remove(filepath.Join(s.dir, packDir, name+end)))
		}
	}
	return errors.Join(errs...)
}

// dropOrphans removes what a drop that was killed has left.
func (s *store) dropOrphans() error {
	orphans, err := filepath.Glob(filepath.Join(s.dir, packDir, "pack-*.idx"))
	if err != nil {
		return err
	}
	for _, name := range orphans {
		_, err := os.Lstat(strings.TrimSuffix(name, ".idx") + ".pack")
		if errors.Is(err, fs.ErrNotExist) {
			err = os.Remove(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// packNames lists the packs of a store, or of a folder beside it.
func packNames(dir string) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(dir, packDir, "pack-*.pack"))
	for i, name := range names {
		names[i] = strings.TrimSuffix(filepath.Base(name), ".pack")
	}
	return names, err
}

// readIndex says which objects a pack holds.
func readIndex(dir, name string) (*idxfile.MemoryIndex, error) {
	f, err := os.Open(filepath.Join(dir, packDir, name+".idx"))
	if err != nil {
		return nil, err
	}
	idx := idxfile.NewMemoryIndex()
	err = idxfile.NewDecoder(f).Decode(idx)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("index of %s: %w", name, err)
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
