package gitrepo

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// Modes for Put.
const (
	File      = "100644"
	Exec      = "100755"
	Symlink   = "120000"
	Submodule = "160000"
	dirMode   = "40000"
)

// A Repo is a bare repository with one branch checked out in memory. It is not
// safe for concurrent use.
type Repo struct {
	CA []byte // PEM; a further authority for pushes over https

	dir    string
	objs   *filesystem.Storage
	branch string
	files  map[string]file
}

type file struct{ mode, id string }

// New creates an empty repository in dir, on branch main.
func New(dir string) (*Repo, error) {
	objs, err := initBare(dir)
	if err != nil {
		return nil, fmt.Errorf("create repository %s: %w", dir, err)
	}
	return &Repo{dir: dir, objs: objs, branch: "main", files: map[string]file{}}, nil
}

func initBare(dir string) (*filesystem.Storage, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	objs := openStorage(dir)
	if err := objs.Init(); err != nil {
		return nil, err
	}
	cfg, err := objs.Config()
	if err != nil {
		return nil, err
	}
	cfg.Core.IsBare = true
	return objs, errors.Join(objs.SetConfig(cfg),
		objs.SetReference(plumbing.NewSymbolicReference(plumbing.HEAD, plumbing.Main)))
}

func openStorage(dir string) *filesystem.Storage {
	return filesystem.NewStorage(osfs.New(dir), cache.NewObjectLRU(4*cache.MiByte))
}

// Dir is where the repository lies; it can be fetched from there.
func (r *Repo) Dir() string { return r.dir }

// Write sets a file of the next commit.
func (r *Repo) Write(name string, data []byte) error {
	id, err := r.WriteRaw("blob", data)
	if err != nil {
		return err
	}
	return r.Put(name, File, id)
}

// Put sets an entry of the next commit to an object that exists, or not: a
// symbolic link, a submodule, an executable file.
func (r *Repo) Put(name, mode, id string) error {
	if !fs.ValidPath(name) || name == "." {
		return &fs.PathError{Op: "write", Path: name, Err: fs.ErrInvalid}
	}
	r.files[name] = file{mode, id}
	return nil
}

// WriteFS writes all files of fsys below prefix ("" for the root).
func (r *Repo) WriteFS(fsys fs.FS, prefix string) error {
	return fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		return r.Write(path.Join(prefix, name), data)
	})
}

// Remove removes a file, or a directory and all below it.
func (r *Repo) Remove(name string) error {
	n := len(r.files)
	maps.DeleteFunc(r.files, func(p string, _ file) bool { return p == name || strings.HasPrefix(p, name+"/") })
	if len(r.files) == n {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	return nil
}

// Options says how to commit. The zero value is an unsigned commit of now on
// top of the branch.
type Options struct {
	Message     string
	Name, Email string    // of author and committer; default "Ana Author <ana@example.org>"
	When        time.Time // default now
	Key         Signer    // nil: unsigned
	Parents     []string  // nil: the tip of the branch; empty: none; several: a merge
}

// Commit writes what was written and removed as a commit, moves the branch to
// it and returns its id.
func (r *Repo) Commit(o Options) (string, error) {
	tree, err := r.writeTree("", slices.Sorted(maps.Keys(r.files)))
	if err != nil {
		return "", err
	}
	if tip := r.Head(); o.Parents == nil && tip != "" {
		o.Parents = []string{tip}
	}
	payload := o.payload(tree)
	raw := payload
	if o.Key != nil {
		sig, err := o.Key.Sign(payload)
		if err != nil {
			return "", err
		}
		raw = WithSignature(payload, sig)
	}
	id, err := r.WriteRaw("commit", raw)
	if err != nil {
		return "", err
	}
	return id, r.SetRef("refs/heads/"+r.branch, id)
}

func (o Options) payload(tree string) []byte {
	if o.Name == "" {
		o.Name, o.Email = "Ana Author", "ana@example.org"
	}
	if o.When.IsZero() {
		o.When = time.Now()
	}
	if o.Message == "" {
		o.Message = "change"
	}
	ident := fmt.Sprintf("%s <%s> %d %s", o.Name, o.Email, o.When.Unix(), o.When.Format("-0700"))
	var b strings.Builder
	fmt.Fprintf(&b, "tree %s\n", tree)
	for _, p := range o.Parents {
		fmt.Fprintf(&b, "parent %s\n", p)
	}
	fmt.Fprintf(&b, "author %s\ncommitter %s\n\n%s\n", ident, ident, strings.TrimSuffix(o.Message, "\n"))
	return []byte(b.String())
}

// WithSignature puts an armored signature into a commit's headers, as git does.
func WithSignature(payload []byte, armored string) []byte {
	head, message, _ := strings.Cut(string(payload), "\n\n")
	folded := strings.ReplaceAll(strings.TrimSuffix(armored, "\n"), "\n", "\n ")
	return []byte(head + "\ngpgsig " + folded + "\n\n" + message)
}

// writeTree writes the directory of sorted paths that begin with prefix.
func (r *Repo) writeTree(prefix string, paths []string) (string, error) {
	type entry struct{ key, mode, name, id string }
	var entries []entry
	for len(paths) > 0 {
		name, _, isDir := strings.Cut(paths[0][len(prefix):], "/")
		if !isDir {
			f := r.files[paths[0]]
			entries = append(entries, entry{name, f.mode, name, f.id})
			paths = paths[1:]
			continue
		}
		dir := prefix + name + "/"
		n := slices.IndexFunc(paths, func(p string) bool { return !strings.HasPrefix(p, dir) })
		if n < 0 {
			n = len(paths)
		}
		id, err := r.writeTree(dir, paths[:n])
		if err != nil {
			return "", err
		}
		entries = append(entries, entry{name + "/", dirMode, name, id})
		paths = paths[n:]
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	var raw []byte
	for _, e := range entries {
		raw = append(raw, TreeEntry(e.mode, e.name, e.id)...)
	}
	return r.WriteRaw("tree", raw)
}

// TreeEntry returns one entry of a raw tree object.
func TreeEntry(mode, name, id string) []byte {
	sum, err := hex.DecodeString(id)
	if err != nil {
		panic("gitrepo: bad object id " + id)
	}
	return append([]byte(mode+" "+name+"\x00"), sum...)
}

// WriteRaw writes an object of any content and returns its id. The type is
// commit, tree, blob or tag.
func (r *Repo) WriteRaw(typ string, data []byte) (string, error) {
	t, err := plumbing.ParseObjectType(typ)
	if err != nil {
		return "", err
	}
	obj := r.objs.NewEncodedObject()
	obj.SetType(t)
	w, err := obj.Writer()
	if err != nil {
		return "", err
	}
	if _, err := w.Write(data); err != nil {
		return "", err
	}
	id, err := r.objs.SetEncodedObject(obj)
	return id.String(), errors.Join(err, w.Close())
}
