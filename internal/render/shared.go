package render

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/load"

	"prumo.dev/prumo/internal/core"
)

// shared is what all specs of a tree have in common: the module, the kinds, and
// site.cue. If one of them is wrong nothing is rendered, because everything
// depends on it.
type shared struct {
	key     [32]byte // of all that it was made from
	src     map[string][]byte
	mount   *mount
	module  string // path of the repo's module without its version; empty if it has none
	kinds   map[string]*kind
	names   []string // of kinds, sorted
	cueHash [32]byte // of all *.cue files; only what imports the repo's own packages depends on it
	hashed  bool
	imports map[string]*build.Instance // of the repo's own packages, by import path
	loader  *builtin
	batch   batch
}

// A kind is one kind: its CUE value with the site filled in.
type kind struct {
	name   string
	schema cue.Value
	early  cue.Value // schema without lateFields; there only if the kind has refs
}

var (
	kindsPath = cue.ParsePath("kinds")
	refsPath  = cue.ParsePath("refs")
	sitePath  = cue.ParsePath("site")
)

// newKind returns a kind, given its schema and the early form of its package.
func newKind(name string, schema, early cue.Value) *kind {
	k := &kind{name: name, schema: schema}
	// A list that is open has none but the contract's say.
	if refs := schema.LookupPath(refsPath); refs.Err() == nil && refs.Allows(cue.AnyIndex) {
		return k
	}
	if v := early.LookupPath(kindsPath).LookupPath(cue.MakePath(cue.Str(name))); v.Err() == nil {
		k.early = v
	}
	return k
}

// withSite fills in what the kind may know of the house.
func (k *kind) withSite(site any) *kind {
	out := &kind{name: k.name, schema: k.schema.FillPath(sitePath, site)}
	if k.early.Exists() {
		out.early = k.early.FillPath(sitePath, site)
	}
	return out
}

// first is the form of the kind that tells what a spec needs.
func (k *kind) first() cue.Value {
	if k.early.Exists() {
		return k.early
	}
	return k.schema
}

// loadShared returns what the specs of the repo share, or why there is none. It
// evaluates only what is not what it was.
func (r *Renderer) loadShared(rp *repo) (*shared, []core.Problem) {
	src, problems := rp.readAll(slices.Concat(rp.kinds, []string{siteFile}, nonEmpty(rp.module)))
	if rp.site == "" {
		problems = []core.Problem{problem(core.Pos{File: siteFile},
			"not found; want a file that says: package infra, import %q, site: schemas.#Site & {name: …, zones: …, teams: …, currency: …, energyPrice: …}", schemasPath)}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	sh := &shared{src: src, imports: map[string]*build.Instance{}, loader: r.builtin}
	moduleSrc, known := src[rp.module]
	switch {
	case !known:
		moduleSrc = []byte(emptyModule)
	case r.shared != nil && bytes.Equal(moduleSrc, r.shared.src[moduleFile]):
		sh.module = r.shared.module
	default:
		if sh.module, problems = checkModule(moduleSrc); len(problems) > 0 {
			return nil, problems
		}
	}
	sh.mount = newMount(rp, moduleSrc)
	sh.key = sh.hash(rp, src)
	if r.shared != nil && r.shared.key == sh.key {
		sh.kinds, sh.names = r.shared.kinds, r.shared.names
	} else {
		r.evaluate.shared++
		if problems = sh.load(); len(problems) > 0 {
			return nil, problems
		}
	}
	r.shared = &shared{key: sh.key, src: src, module: sh.module, kinds: sh.kinds, names: sh.names} // not the tree
	return sh, nil
}

// twin loads the same for another goroutine.
func (sh *shared) twin() (*shared, error) {
	b, err := loadBuiltin()
	if err != nil {
		return nil, err
	}
	t := &shared{key: sh.key, src: sh.src, mount: sh.mount, module: sh.module, imports: map[string]*build.Instance{}, loader: b}
	if problems := t.load(); len(problems) > 0 {
		return nil, fmt.Errorf("%s", problems[0])
	}
	return t, nil
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// hash is over all that kinds and site are made from.
func (sh *shared) hash(rp *repo, src map[string][]byte) [32]byte {
	h := newHash("shared", sh.mount.module)
	for _, name := range slices.Sorted(maps.Keys(src)) {
		h.add(name, src[name])
		if name != moduleFile && sh.importsOwn(src[name]) {
			sum := sh.allCUE()
			h.add("imports", sum[:])
		}
	}
	return h.sum()
}

// importsOwn reports whether a file may import packages of the repo's module.
func (sh *shared) importsOwn(src []byte) bool {
	return sh.module != "" && bytes.Contains(src, []byte(`"`+sh.module))
}

// allCUE is the hash of every *.cue file of the repo.
func (sh *shared) allCUE() [32]byte {
	if !sh.hashed {
		h := newHash("cue", sh.mount.module)
		for _, name := range sh.mount.repo.cue {
			src, _ := sh.mount.repo.read(name) // what cannot be read fails where it is imported
			h.add(name, src)
		}
		sh.cueHash, sh.hashed = h.sum(), true
	}
	return sh.cueHash
}

// load evaluates kinds and site.
func (sh *shared) load() []core.Problem {
	sh.kinds = maps.Clone(sh.loader.kinds)
	var problems []core.Problem
	if len(sh.mount.repo.kinds) > 0 {
		if cause := survive(func() { problems = sh.loadKinds() }); cause != nil {
			problems = []core.Problem{panicked(core.Pos{File: kindsDir}, cause)}
		}
	}
	if len(problems) > 0 {
		return problems
	}
	var site any
	if cause := survive(func() { site, problems = sh.loadSite(sh.src[siteFile]) }); cause != nil {
		problems = []core.Problem{panicked(core.Pos{File: siteFile, Line: 1}, cause)}
	}
	if len(problems) > 0 {
		return problems
	}
	for name, k := range sh.kinds {
		sh.kinds[name] = k.withSite(site)
	}
	sh.names = slices.Sorted(maps.Keys(sh.kinds))
	return nil
}

// loadKinds adds the team's own kinds.
func (sh *shared) loadKinds() []core.Problem {
	files := sh.mount.repo.kinds
	for _, name := range files {
		file, problems := parseCUE(name, sh.src[name])
		if len(problems) == 0 {
			problems = sh.checkImports(name, file)
		}
		if len(problems) > 0 {
			return problems
		}
	}
	inst := load.Instances([]string{"./" + kindsDir}, sh.mount.config(nil))[0]
	if inst.Err != nil {
		return plain(inst.Err, kindsDir)
	}
	v := cuecontext.New().BuildInstance(inst)
	var problems []core.Problem
	if err := v.Validate(); err != nil {
		problems = plain(err, kindsDir)
	}
	early := cuecontext.New().BuildInstance(load.Instances([]string{"./" + kindsDir}, sh.mount.config(parseEarly))[0])
	kinds := v.LookupPath(kindsPath)
	if !kinds.Exists() && len(problems) == 0 {
		return []core.Problem{problem(core.Pos{File: files[0]}, "declares no kind; want: kinds: NAME: schemas.#Kind & {…}")}
	}
	for name, kv := range fields(kinds) {
		if _, ok := sh.loader.kinds[name]; ok {
			problems = append(problems, problem(userPos(kv, kindsDir+"/"), "kinds.%s: is a built-in kind and cannot be declared again; choose another name", name))
			continue
		}
		k, more := sh.teamKind(name, kv, early)
		sh.kinds[name] = k
		problems = append(problems, more...)
	}
	return problems
}

// teamKind holds a kind to the contract. One that forgot to unify with it lacks
// some of its fields; the others are left as they are, because what is unified
// twice is evaluated twice for each spec.
func (sh *shared) teamKind(name string, kv, early cue.Value) (*kind, []core.Problem) {
	full := kv
	if !hasAll(kv, sh.loader.contract) {
		full = kv.Unify(sh.loader.contract)
	}
	if err := full.Validate(); err != nil {
		return nil, plain(err, kindsDir)
	}
	return newKind(name, full, early), nil
}

// hasAll reports whether a kind has every field of the contract.
func hasAll(kind, contract cue.Value) bool {
	for name := range fields(contract) {
		if !kind.LookupPath(cue.MakePath(cue.Str(name))).Exists() {
			return false
		}
	}
	return true
}

// loadSite returns the site as plain data.
func (sh *shared) loadSite(src []byte) (any, []core.Problem) {
	defer sh.batch.end()
	v, problems := sh.build(siteFile, src)
	if len(problems) > 0 {
		return nil, problems
	}
	sv := v.LookupPath(sitePath)
	if !sv.Exists() {
		return nil, []core.Problem{problem(core.Pos{File: siteFile, Line: 1}, "has no field site; want: site: schemas.#Site & {…}")}
	}
	doc, problems := documentOf(sv, siteFile, []string{"site"}, sh.loader.site)
	if len(problems) > 0 {
		return nil, problems
	}
	full := sh.loader.site.FillPath(cue.MakePath(), doc.expr)
	if err := full.Validate(cue.Concrete(true)); err != nil {
		return nil, explain(err, sh.loader.site, doc, nil)
	}
	data, err := toGo(full)
	if err != nil {
		return nil, []core.Problem{problem(doc.pos, "site: %v", err)}
	}
	return data, nil
}
