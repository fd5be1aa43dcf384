package render

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"cuelang.org/go/cue/load"
	"cuelang.org/go/mod/modconfig"
	"cuelang.org/go/mod/modfile"
	"cuelang.org/go/mod/modregistry"
	"cuelang.org/go/mod/module"

	"prumo.dev/prumo/schemas"
)

const (
	schemasPath = "prumo.dev/schemas"    // as people import it
	schemasID   = "prumo.dev/schemas@v0" // as module.cue names it
	mountPoint  = ".builtin/schemas@" + schemas.Version
)

// emptyModule stands in where a repo has no cue.mod/module.cue.
var emptyModule = fmt.Sprintf("module: \"infra.invalid@v0\"\nlanguage: version: \"v0.17.0\"\ndeps: %q: v: %q\n", schemasID, schemas.Version)

// A mount is the files that CUE may see: the *.cue files found in the tree, its
// checked module file, and the built-in schemas. Nothing else exists for CUE, no
// vendored package, no data file, no host.
type mount struct {
	repo   *repo
	module []byte
	files  map[string]bool // what may be opened
	dirs   map[string]bool // what may be listed
}

func newMount(rp *repo, moduleSrc []byte) *mount {
	m := &mount{repo: rp, module: moduleSrc, files: map[string]bool{}, dirs: map[string]bool{".": true, "cue.mod": true}}
	for _, name := range rp.cue {
		m.files[name] = true
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			m.dirs[dir] = true
		}
	}
	return m
}

// Open serves a file. Limits hold for it as for any other.
func (m *mount) Open(name string) (fs.File, error) {
	if rest, ok := strings.CutPrefix(name, mountPoint); ok && (rest == "" || rest[0] == '/') {
		return schemas.FS.Open(path.Clean("." + rest))
	}
	switch {
	case name == moduleFile:
		return newMemFile(moduleFile, m.module), nil
	case m.dirs[name]:
		return m.repo.fs.Open(name)
	case m.files[name]:
		src, p := m.repo.read(name)
		if p != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fmt.Errorf("%s", p.Msg)}
		}
		return newMemFile(name, src), nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// ReadDir lists what may be opened, so that nothing else is stumbled over.
func (m *mount) ReadDir(name string) ([]fs.DirEntry, error) {
	if strings.HasPrefix(name, mountPoint) {
		return fs.ReadDir(schemas.FS, path.Clean("."+strings.TrimPrefix(name, mountPoint)))
	}
	if !m.dirs[name] {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	all, err := fs.ReadDir(m.repo.fs, name)
	if err != nil {
		return nil, err
	}
	out := make([]fs.DirEntry, 0, len(all))
	for _, e := range all {
		full := path.Join(name, e.Name())
		if m.files[full] || m.dirs[full] {
			out = append(out, e)
		}
	}
	return out, nil
}

// config returns how to load packages of the repo. A name that starts with
// schemasPath in a position is one of the built-in files.
func (m *mount) config(parse parseFunc) *load.Config {
	return &load.Config{
		FS:         m,
		Dir:        "/",
		ModuleRoot: "/",
		Registry:   registry{},
		Env:        []string{},
		ParseFile:  parse,
		FromFSPath: func(p string) string {
			p = strings.TrimPrefix(p, "/")
			if rest, ok := strings.CutPrefix(p, mountPoint); ok {
				return schemasPath + rest
			}
			return p
		},
	}
}

// registry is a CUE module registry that holds one module in one version.
type registry struct{}

var _ modconfig.Registry = registry{}

func (registry) served(mv module.Version) error {
	if mv.Path() != schemasID || mv.Version() != schemas.Version {
		return fmt.Errorf("module %v: %w", mv, modregistry.ErrNotFound)
	}
	return nil
}

// ModFile returns the module file of the built-in schemas.
func (r registry) ModFile(_ context.Context, mv module.Version) (*modfile.File, error) {
	if err := r.served(mv); err != nil {
		return nil, err
	}
	src, err := fs.ReadFile(schemas.FS, moduleFile)
	if err != nil {
		return nil, err
	}
	return modfile.Parse(src, schemasPath+"/"+moduleFile)
}

// Fetch returns where the module is mounted.
func (r registry) Fetch(_ context.Context, mv module.Version) (module.SourceLoc, error) {
	if err := r.served(mv); err != nil {
		return module.SourceLoc{}, err
	}
	return module.SourceLoc{FS: rooted{schemas.FS}, Dir: "."}, nil
}

// ModuleVersions returns the one version of the one module.
func (registry) ModuleVersions(_ context.Context, mpath string) ([]string, error) {
	if mpath == schemasID || mpath == schemasPath {
		return []string{schemas.Version}, nil
	}
	return nil, nil
}

// rooted says where a file system is mounted. The loader takes that for a path
// on the host, and then looks it up in load.Config.FS.
type rooted struct{ fs.FS }

// OSRoot implements module.OSRootFS.
func (rooted) OSRoot() string { return "/" + mountPoint }
