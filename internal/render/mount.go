package render

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"cuelang.org/go/cue/load"
	"cuelang.org/go/mod/modconfig"
	"cuelang.org/go/mod/modfile"
	"cuelang.org/go/mod/modregistry"
	"cuelang.org/go/mod/module"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/schemas"
)

const (
	schemasPath = "prumo.dev/schemas"    // as people import it
	schemasID   = "prumo.dev/schemas@v0" // as module.cue names it
	mountPoint  = ".builtin/schemas@" + schemas.Version
)

// A mount is the files that CUE may see: the *.cue files found in the tree, its
// checked module file, and the built-in schemas. Nothing else exists for CUE, no
// vendored package, no data file, no host.
type mount struct {
	module []byte
	read   func(name string) ([]byte, *core.Problem)
	files  map[string]bool          // what may be opened
	dirs   map[string][]fs.DirEntry // what may be listed, sorted
}

func newMount(b *basis) *mount {
	m := &mount{module: b.module(), read: b.read, files: map[string]bool{}, dirs: map[string][]fs.DirEntry{}}
	m.list(moduleFile)
	for _, name := range b.CUE {
		m.files[name] = true
		m.list(name)
	}
	for _, entries := range m.dirs {
		slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	}
	return m
}

// list adds a file to its folder, and that to its own.
func (m *mount) list(name string) {
	var entry fs.FileInfo = memInfo{name: path.Base(name)}
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		_, known := m.dirs[dir]
		m.dirs[dir] = append(m.dirs[dir], fs.FileInfoToDirEntry(entry))
		if known || dir == "." {
			return
		}
		entry = memInfo{name: path.Base(dir), mode: fs.ModeDir}
	}
}

// Open serves a file. Limits hold for it as for any other.
func (m *mount) Open(name string) (fs.File, error) {
	if rest, ok := strings.CutPrefix(name, mountPoint); ok && (rest == "" || rest[0] == '/') {
		return schemas.FS.Open(path.Clean("." + rest))
	}
	switch {
	case name == moduleFile:
		return newMemFile(moduleFile, m.module), nil
	case m.dirs[name] != nil:
		return memDir(name), nil
	case m.files[name]:
		src, p := m.read(name)
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
	entries, ok := m.dirs[name]
	if !ok {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	return entries, nil
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
