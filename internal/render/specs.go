package render

import (
	"bytes"
	"fmt"
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
	Spec     core.Spec
	Refs     []ref
	Facts    packed
	In       packed // the spec as plain data; nil if outcome needs nothing else
	Places   places
	Ignore   []objpath.Rule // of its annotations
	Force    []objpath.Rule
	Problems []core.Problem

	FactsHash  [32]byte
	outcomeKey [32]byte // of the facts that outcome was made from
	Outcome    *outcome
}

// A ref is a spec that this one needs, and where that is said.
type ref struct {
	To    core.SpecID
	Field []string
	Pos   core.Pos
}

// An outcome is what a spec renders to.
type outcome struct {
	Objects, Expects, Precautions []core.Object
	Fields                        packed // of all these, until unpack
	Problems                      []core.Problem
	retry                         retry
}

// clip lets go of memory that was there to grow into.
func (o *outcome) clip() {
	o.Objects, o.Expects, o.Precautions = slices.Clone(o.Objects), slices.Clone(o.Expects), slices.Clone(o.Precautions)
	o.Fields = bytes.Clone(o.Fields)
}

// unpack gives objects their fields. An error says that these are of other objects.
func (o *outcome) unpack(in *interner) error {
	rest := o.Fields
	for _, objects := range [][]core.Object{o.Objects, o.Expects, o.Precautions} {
		for i := range objects {
			if len(rest) == 0 {
				return nil // it was done before
			}
			var v any
			v, rest = rest.unpack(in)
			fields, _ := v.(map[string]any)
			id, err := objectID(fields)
			if err == nil && id != objects[i].ID {
				err = fmt.Errorf("they are those of %s", id)
			}
			if err != nil {
				return fmt.Errorf("the fields of %s: %w", objects[i].ID, err)
			}
			objects[i].Fields = in.fields(fields)
			in.names(&objects[i])
		}
	}
	o.Fields = nil
	return nil
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

// says is what a spec file says.
type says struct {
	Units    []*unit
	Problems []core.Problem
}

// readFile evaluates a spec file.
func (sh *shared) readFile(name string, src []byte) (said says) {
	defer func() { said.Problems = atMost(maxProblems, said.Problems) }()
	if path.Ext(name) != ".cue" {
		docs, problems := readYAML(name, src)
		said.Problems = problems
		for _, doc := range docs {
			said.add(sh.newUnit(doc))
		}
		if len(docs) == 0 && len(problems) == 0 {
			said.Problems = append(said.Problems, noSpec(name))
		}
		return said
	}
	v, problems := sh.build(name, src)
	if len(problems) > 0 {
		said.Problems = problems
		return said
	}
	f := &finder{sh: sh, file: name, said: &said}
	f.find(v, nil)
	if !f.found && len(said.Problems) == 0 && !isLibrary(v) {
		said.Problems = append(said.Problems, noSpec(name))
	}
	return said
}

// size is about how many bytes are kept of it.
func (s *says) size() (n int) {
	for _, u := range s.Units {
		n += len(u.In) + len(u.Facts) + len(u.Places.Packed)
		if u.Outcome != nil {
			n += len(u.Outcome.Fields)
		}
	}
	return n
}

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

func (s *says) add(u *unit, problems []core.Problem) {
	s.Problems = append(s.Problems, problems...)
	if u != nil {
		s.Units = append(s.Units, u)
	}
}

// A finder looks for specs in the value of a CUE file, through plain structs and
// lists.
type finder struct {
	sh    *shared
	file  string
	said  *says
	found bool
}

func (f *finder) find(v cue.Value, at []string) {
	if len(at) > maxDepth {
		f.said.Problems = append(f.said.Problems, problem(userPos(v, f.file), "nests deeper than %d levels", maxDepth))
		return
	}
	if isEnvelope(v) {
		f.found = true
		doc, problems := documentOf(v, f.file, at, f.schema(v))
		if len(problems) > 0 {
			f.said.add(brokenUnit(v, f.file, problems))
			return
		}
		f.said.add(f.sh.newUnit(doc))
		return
	}
	// A struct or list with a mistake in it is no struct or list for CUE, but its
	// parts can be looked at: the mistake is in one of them, the others are fine.
	before := len(f.said.Problems) + len(f.said.Units)
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
	if err := v.Err(); err != nil && len(f.said.Problems)+len(f.said.Units) == before {
		f.said.Problems = append(f.said.Problems, plain(err, f.file)...)
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
	u := &unit{Spec: core.Spec{ID: id, Pos: pos, Drift: core.DriftCorrect}}
	for _, p := range atMost(maxProblems, problems) {
		p.Spec = id
		u.Problems = append(u.Problems, p)
	}
	return u
}
