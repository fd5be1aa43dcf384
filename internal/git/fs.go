package git

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"time"

	"prumo.dev/prumo/internal/core"
)

// A treeFS serves a listing. It implements fs.ReadDirFS, fs.StatFS and
// fs.ReadFileFS, and may be used from several goroutines.
type treeFS struct {
	repo  *Repo
	id    string
	nodes map[string]*node
}

// A node is a file or a directory of a treeFS. It is its own fs.DirEntry.
type node struct {
	repo     *Repo
	name     string // last element
	id       string // of the blob; empty for a directory
	exec     bool
	when     time.Time
	children []fs.DirEntry // of a directory, sorted by name
}

func (r *Repo) newFS(rev core.Revision, files listing) *treeFS {
	f := &treeFS{repo: r, nodes: map[string]*node{".": {repo: r, name: ".", when: rev.Time}}}
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		e := files[name]
		h.Write([]byte(e.mode + " " + name + "\x00" + e.id))
		f.insert(name, &node{repo: r, name: path.Base(name), id: e.id, exec: e.mode == modeExec, when: rev.Time})
	}
	for _, n := range f.nodes {
		slices.SortFunc(n.children, func(a, b fs.DirEntry) int { return bytes.Compare([]byte(a.Name()), []byte(b.Name())) })
	}
	f.id = hex.EncodeToString(h.Sum(nil))
	return f
}

// ContentID is the same for trees of the same files, and for no others.
func (f *treeFS) ContentID() string { return f.id }

// ContentID is the id of the blob: the same for files of the same bytes, and for no
// others. It is empty for a directory.
func (n *node) ContentID() string { return n.id }

// insert adds a node and the directories above it.
func (f *treeFS) insert(name string, n *node) {
	f.nodes[name] = n
	dir := path.Dir(name)
	if f.nodes[dir] == nil {
		f.insert(dir, &node{repo: f.repo, name: path.Base(dir), when: n.when})
	}
	f.nodes[dir].children = append(f.nodes[dir].children, n)
}

func (f *treeFS) find(op, name string) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n := f.nodes[name]
	if n == nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return n, nil
}

func (f *treeFS) Open(name string) (fs.File, error) {
	n, err := f.find("open", name)
	if err != nil {
		return nil, err
	}
	info, err := n.Info()
	if err != nil {
		return nil, err
	}
	if n.IsDir() {
		return &openDir{info: info, left: n.children}, nil
	}
	data, err := f.repo.blob(n.id, name)
	if err != nil {
		return nil, err
	}
	return &openFile{Reader: bytes.NewReader(data), info: info}, nil
}

func (f *treeFS) ReadFile(name string) ([]byte, error) {
	n, err := f.find("read", name)
	if err != nil {
		return nil, err
	}
	if n.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	return f.repo.blob(n.id, name)
}

func (f *treeFS) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := f.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if !n.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	return slices.Clone(n.children), nil
}

func (f *treeFS) Stat(name string) (fs.FileInfo, error) {
	n, err := f.find("stat", name)
	if err != nil {
		return nil, err
	}
	return n.Info()
}

func (n *node) Name() string      { return n.name }
func (n *node) IsDir() bool       { return n.id == "" }
func (n *node) Type() fs.FileMode { return n.mode().Type() }

func (n *node) mode() fs.FileMode {
	switch {
	case n.IsDir():
		return fs.ModeDir | 0o555
	case n.exec:
		return 0o555
	}
	return 0o444
}

// Info asks the store for the size.
func (n *node) Info() (fs.FileInfo, error) {
	info := &fileInfo{name: n.name, mode: n.mode(), when: n.when}
	if n.IsDir() {
		return info, nil
	}
	size, err := n.repo.store.size(n.id)
	info.size = size
	return info, err
}

type fileInfo struct {
	name string
	size int64
	mode fs.FileMode
	when time.Time
}

func (i *fileInfo) Name() string       { return i.name }
func (i *fileInfo) Size() int64        { return i.size }
func (i *fileInfo) Mode() fs.FileMode  { return i.mode }
func (i *fileInfo) ModTime() time.Time { return i.when }
func (i *fileInfo) IsDir() bool        { return i.mode.IsDir() }
func (i *fileInfo) Sys() any           { return nil }

// An openFile is a file that was read whole.
type openFile struct {
	*bytes.Reader
	info fs.FileInfo
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

// An openDir is a directory whose entries are known.
type openDir struct {
	info fs.FileInfo
	left []fs.DirEntry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }
func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.Name(), Err: fs.ErrInvalid}
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(d.left)
	} else if len(d.left) == 0 {
		return nil, io.EOF
	}
	out := slices.Clone(d.left[:min(n, len(d.left))])
	d.left = d.left[len(out):]
	return out, nil
}
