package git

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"prumo.dev/prumo/internal/core"
)

// OpenDir serves a plain directory as a Tree without a revision, under the rules
// that a commit of it would meet: no symbolic links, no odd files, names and
// sizes within the default limits. They are checked where the directory is read.
// Entries named .git are left out. Nothing outside of dir can be reached.
func OpenDir(dir string) (core.Tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return core.Tree{}, fmt.Errorf("%w; want the folder of an infra repo", err)
	}
	return core.Tree{FS: &dirFS{root: root, limits: Limits{}.withDefaults()}}, nil
}

// A dirFS implements fs.ReadDirFS, fs.StatFS and fs.ReadFileFS.
type dirFS struct {
	root   *os.Root
	limits Limits
}

// Stat checks every element of the path: os.Root follows links that stay inside.
func (d *dirFS) Stat(name string) (fs.FileInfo, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrInvalid}
	}
	if dir := path.Dir(name); dir != "." {
		if _, err := d.Stat(dir); err != nil {
			return nil, err
		}
	}
	if path.Base(name) == ".git" {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	info, err := d.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	return info, d.check(name, info)
}

func (d *dirFS) check(name string, info fs.FileInfo) error {
	var bad *BadObject
	switch mode := info.Mode(); {
	case name == ".":
	case mode&fs.ModeSymlink != 0:
		bad = entry{name: path.Base(name), mode: modeSymlink}.check()
	case !mode.IsDir() && !mode.IsRegular():
		bad = badf(CodeMode, "%s is neither a file nor a directory", mode)
	default:
		bad = checkName(path.Base(name))
	}
	if bad == nil {
		return nil
	}
	bad.Path = name
	return bad
}

// ReadDir fails if any name is refused, so that no walk passes it over. Links and
// odd files are listed as what they are, and refused when they are opened: one of
// them does not hide what lies beside it.
func (d *dirFS) ReadDir(name string) ([]fs.DirEntry, error) {
	info, err := d.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	all, err := fs.ReadDir(d.root.FS(), name)
	if err != nil {
		return nil, err
	}
	var entries []fs.DirEntry
	var bad []error
	for _, e := range all {
		if e.Name() == ".git" {
			continue
		}
		if b := checkName(e.Name()); b != nil && len(bad) < maxBad {
			b.Path = path.Join(name, e.Name())
			bad = append(bad, b)
		}
		entries = append(entries, e)
	}
	if len(entries) > d.limits.TreeEntries {
		bad = append(bad, &BadObject{Path: name, Code: CodeSize,
			Reason: fmt.Sprintf("a directory of %d entries; the limit is %d", len(entries), d.limits.TreeEntries)})
	}
	return entries, errors.Join(bad...)
}

func (d *dirFS) ReadFile(name string) (data []byte, err error) {
	info, err := d.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, d.limits.BlobBytes+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > d.limits.BlobBytes {
		return nil, &BadObject{Path: name, Code: CodeSize,
			Reason: fmt.Sprintf("blob of %d bytes; the limit is %d", info.Size(), d.limits.BlobBytes)}
	}
	return data, nil
}

func (d *dirFS) Open(name string) (fs.File, error) {
	info, err := d.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		entries, err := d.ReadDir(name)
		if err != nil {
			return nil, err
		}
		return &openDir{info: info, left: entries}, nil
	}
	data, err := d.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return &openFile{Reader: bytes.NewReader(data), info: info}, nil
}
