package render

import (
	"maps"
	"slices"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/load"

	"prumo.dev/prumo/internal/core"
)

// shared is a basis that was evaluated: the evaluator of this process. If anything in
// it is wrong nothing is rendered, because everything depends on it.
type shared struct {
	*basis
	mount   *mount
	path    string // of the repo's module, without its version; empty if it has none
	kinds   map[string]*kind
	names   []string                   // of kinds, sorted
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

// load evaluates a basis.
func (b *builtin) load(ba *basis) (*shared, []core.Problem) {
	sh := &shared{kinds: maps.Clone(b.kinds), loader: b}
	sh.rebase(ba)
	var site any
	for _, part := range []struct {
		pos  core.Pos
		load func() []core.Problem
	}{
		{core.Pos{File: moduleFile, Line: 1}, sh.loadModule},
		{core.Pos{File: kindsDir}, sh.loadKinds},
		{core.Pos{File: siteFile, Line: 1}, func() (problems []core.Problem) { site, problems = sh.loadSite(); return problems }},
	} {
		var problems []core.Problem
		if err := survive(func() { problems = part.load() }); err != nil {
			problems = []core.Problem{problem(part.pos, "%v", err)}
		}
		if len(problems) > 0 {
			return nil, problems
		}
	}
	for name, k := range sh.kinds {
		sh.kinds[name] = k.withSite(site)
	}
	sh.names = slices.Sorted(maps.Keys(sh.kinds))
	return sh, nil
}

// rebase is for a basis that says the same, in a tree with other files to import.
func (sh *shared) rebase(b *basis) {
	sh.basis, sh.mount, sh.imports = b, newMount(b), map[string]*build.Instance{}
}

// loadModule finds out how the repo's own packages are called.
func (sh *shared) loadModule() (problems []core.Problem) {
	if src, ok := sh.Files[moduleFile]; ok {
		sh.path, problems = checkModule(src)
	}
	return problems
}

// loadKinds adds the team's own kinds.
func (sh *shared) loadKinds() []core.Problem {
	if len(sh.Kinds) == 0 {
		return nil
	}
	for _, name := range sh.Kinds {
		file, problems := parseCUE(name, sh.Files[name])
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
		return []core.Problem{problem(core.Pos{File: sh.Kinds[0]}, "declares no kind; want: kinds: NAME: schemas.#Kind & {…}")}
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
func (sh *shared) loadSite() (any, []core.Problem) {
	defer sh.batch.end()
	v, problems := sh.build(siteFile, sh.Files[siteFile])
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
		return nil, []core.Problem{problem(doc.Pos, "site: %v", err)}
	}
	return data, nil
}
