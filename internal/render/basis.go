package render

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"sync"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/schemas"
)

// A basis is what all specs of a tree have in common, as files: the module, the
// kinds, and site.cue. Every evaluator loads it before anything else.
type basis struct {
	Files map[string][]byte // by name
	Kinds []string          // names of those with kinds
	CUE   []string          // names of all *.cue files: what an import can reach

	// read returns a file of CUE, or what is wrong with it as text.
	read func(name string) ([]byte, *core.Problem)

	// Known once it was loaded:
	path string   // of the repo's module, without its version; empty if it has none
	key  [32]byte // of all that it was made from

	cueOnce sync.Once
	cueHash [32]byte // of all *.cue files; only what imports the repo's own packages depends on it
}

// readBasis reads the basis of a repo.
func readBasis(rp *repo) (*basis, []core.Problem) {
	if rp.site == "" {
		return nil, []core.Problem{problem(core.Pos{File: siteFile},
			"not found; want a file that says: package infra, import %q, site: schemas.#Site & {name: …, zones: …, teams: …, currency: …, energyPrice: …}", schemasPath)}
	}
	names := append(slices.Clone(rp.kinds), rp.site)
	if rp.module != "" {
		names = append(names, rp.module)
	}
	files, problems := rp.readAll(names)
	return &basis{Files: files, Kinds: rp.kinds, CUE: rp.cue, read: rp.read}, problems
}

// follow reports whether the basis says what the last one said, which was loaded.
func (b *basis) follow(last *basis) bool {
	if !bytes.Equal(last.module(), b.module()) {
		return false
	}
	b.loaded(last.path)
	return b.key == last.key
}

// loaded is told the path of the module, which the key depends on.
func (b *basis) loaded(path string) {
	b.path = path
	b.key = b.hash()
}

// forget lets go of the tree.
func (b *basis) forget() *basis { return &basis{Files: b.Files, path: b.path, key: b.key} }

// emptyModule stands in where a repo has no cue.mod/module.cue.
var emptyModule = fmt.Appendf(nil, "module: \"infra.invalid@v0\"\nlanguage: version: \"v0.17.0\"\ndeps: %q: v: %q\n", schemasID, schemas.Version)

// module returns the file that names the repo's module.
func (b *basis) module() []byte {
	if src, ok := b.Files[moduleFile]; ok {
		return src
	}
	return emptyModule
}

// hash is over all that kinds and site are made from.
func (b *basis) hash() [32]byte {
	h := newHash("shared", b.module())
	for _, name := range slices.Sorted(maps.Keys(b.Files)) {
		h.add(name, b.Files[name])
		if name != moduleFile && b.importsOwn(b.Files[name]) {
			sum := b.allCUE()
			h.add("imports", sum[:])
		}
	}
	return h.sum()
}

// importsOwn reports whether a file may import packages of the repo's module.
func (b *basis) importsOwn(src []byte) bool {
	return b.path != "" && bytes.Contains(src, []byte(`"`+b.path))
}

// allCUE is the hash of every *.cue file of the repo.
func (b *basis) allCUE() [32]byte {
	b.cueOnce.Do(func() {
		h := newHash("cue", b.module())
		for _, name := range b.CUE {
			src, _ := b.read(name) // what cannot be read fails where it is imported
			h.add(name, src)
		}
		b.cueHash = h.sum()
	})
	return b.cueHash
}
