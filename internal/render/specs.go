package render

import (
	"bytes"
	"path"
	"slices"
	"strconv"

	"cuelang.org/go/cue"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/objpath"
)

// A unit is one spec on its way through the renderer: what its kind said of it,
// and, once complete, what it renders to. What is in here depends on the file and
// on what specs share alone, except for outcome, which has its own key.
type unit struct {
	spec     core.Spec
	refs     []ref
	facts    packed
	in       packed // the spec as plain data; nil if outcome needs nothing else
	places   places
	ignore   []objpath.Rule // of its annotations
	force    []objpath.Rule
	problems []core.Problem

	factsHash  [32]byte
	outcomeKey [32]byte // of the facts that outcome was made from
	outcome    *outcome
}

// A ref is a spec that this one needs, and where that is said.
type ref struct {
	to    core.SpecID
	field []string
	pos   core.Pos
}

// An outcome is what a spec renders to.
type outcome struct {
	objects, expects, precautions []core.Object
	fields                        packed // of all these, until unpack
	problems                      []core.Problem
}

// clip lets go of memory that was there to grow into.
func (o *outcome) clip() {
	o.objects, o.expects, o.precautions = slices.Clone(o.objects), slices.Clone(o.expects), slices.Clone(o.precautions)
	o.fields = bytes.Clone(o.fields)
}

// unpack gives objects their fields.
func (o *outcome) unpack(in *interner) {
	rest := o.fields
	for _, objects := range [][]core.Object{o.objects, o.expects, o.precautions} {
		for i := range objects {
			if len(rest) == 0 {
				return // it was done before
			}
			var v any
			v, rest = rest.unpack(in)
			objects[i].Fields = in.fields(v.(map[string]any))
		}
	}
	o.fields = nil
}

// maxProblems is how many problems of one file are told; a file of garbage has one
// for every byte.
const maxProblems = 100

func atMost(n int, ps []core.Problem) []core.Problem {
	if len(ps) <= n {
		return ps
	}
	kept := sorted(ps)[:n:n]
	return append(kept, problem(kept[n-1].Pos, "%d more problems in this file are not shown", len(ps)-n))
}

// read fills in what a spec file says.
func (res *fileResult) read(sh *shared, src []byte) {
	name := res.name
	defer func() { res.problems = atMost(maxProblems, res.problems) }()
	if path.Ext(name) != ".cue" {
		docs, problems := readYAML(name, src)
		res.problems = problems
		for _, doc := range docs {
			res.add(sh.newUnit(doc))
		}
		if len(docs) == 0 && len(problems) == 0 {
			res.problems = append(res.problems, noSpec(name))
		}
		return
	}
	v, problems := sh.build(name, src)
	if len(problems) > 0 {
		res.problems = problems
		return
	}
	f := &finder{sh: sh, file: name, res: res}
	f.find(v, nil)
	if !f.found && len(res.problems) == 0 && !isLibrary(v) {
		res.problems = append(res.problems, noSpec(name))
	}
}

// fail says why the file could not be read.
func (res *fileResult) fail(p core.Problem) { res.units, res.problems = nil, []core.Problem{p} }

func noSpec(name string) core.Problem {
	return problem(core.Pos{File: name, Line: 1},
		"has no spec; want apiVersion: %q, kind, metadata and spec (what other files import belongs in definitions, #name)", core.APIVersion)
}

// isLibrary reports whether a file has nothing to show and something to import.
func isLibrary(v cue.Value) bool {
	for range fields(v) {
		return false
	}
	it, err := v.Fields(cue.Definitions(true))
	return err == nil && it.Next()
}

func (res *fileResult) add(u *unit, problems []core.Problem) {
	res.problems = append(res.problems, problems...)
	if u != nil {
		res.units = append(res.units, u)
	}
}

// A finder looks for specs in the value of a CUE file, through plain structs and
// lists.
type finder struct {
	sh    *shared
	file  string
	res   *fileResult
	found bool
}

func (f *finder) find(v cue.Value, at []string) {
	if len(at) > maxDepth {
		f.res.problems = append(f.res.problems, problem(userPos(v, f.file), "nests deeper than %d levels", maxDepth))
		return
	}
	if isEnvelope(v) {
		f.found = true
		doc, problems := documentOf(v, f.file, at, f.schema(v))
		if len(problems) > 0 {
			f.res.add(brokenUnit(v, f.file, problems))
			return
		}
		f.res.add(f.sh.newUnit(doc))
		return
	}
	// A struct or list with a mistake in it is no struct or list for CUE, but its
	// parts can be looked at: the mistake is in one of them, the others are fine.
	before := len(f.res.problems) + len(f.res.units)
	for name, fv := range fields(v) {
		f.find(fv, append(slices.Clone(at), name))
	}
	for i := 0; ; i++ {
		ev := v.LookupPath(cue.MakePath(cue.Index(i)))
		if !ev.Exists() {
			break
		}
		f.find(ev, append(slices.Clone(at), strconv.Itoa(i)))
	}
	if err := v.Err(); err != nil && len(f.res.problems)+len(f.res.units) == before {
		f.res.problems = append(f.res.problems, plain(err, f.file)...)
	}
}

// schema is what the kind of a value says of it; nothing if the kind is unknown.
func (f *finder) schema(v cue.Value) cue.Value {
	name, _ := v.LookupPath(cue.ParsePath("kind")).String()
	if k := f.sh.kinds[name]; k != nil {
		return k.schema.LookupPath(inPath)
	}
	return cue.Value{}
}

// isEnvelope reports whether a value is a spec, or was meant to be one.
func isEnvelope(v cue.Value) bool {
	has := func(name string) bool { return v.LookupPath(cue.MakePath(cue.Str(name))).Exists() }
	if v.IncompleteKind() != cue.StructKind && v.IncompleteKind() != cue.BottomKind {
		return false
	}
	return has("apiVersion") || has("kind") && (has("metadata") || has("spec"))
}

// brokenUnit stands for a spec that has mistakes but a name, so that what depends
// on it is told.
func brokenUnit(v cue.Value, file string, problems []core.Problem) (*unit, []core.Problem) {
	str := func(path string) string {
		s, _ := v.LookupPath(cue.ParsePath(path)).String()
		return s
	}
	id := core.SpecID{Kind: str("kind"), Name: str("metadata.name")}
	if id.Kind == "" || id.Name == "" {
		return nil, problems
	}
	return newBroken(id, userPos(v, file), problems), nil
}

func newBroken(id core.SpecID, pos core.Pos, problems []core.Problem) *unit {
	u := &unit{spec: core.Spec{ID: id, Pos: pos, Drift: core.DriftCorrect}}
	for _, p := range atMost(maxProblems, problems) {
		p.Spec = id
		u.problems = append(u.problems, p)
	}
	return u
}
