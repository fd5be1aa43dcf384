package render

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/token"

	"prumo.dev/prumo/internal/core"
)

var inPath = cue.ParsePath("in")

// newUnit asks the kind of a document what it needs and what others may see. A
// spec that needs nothing is completed at once. Without kind and name there is no
// unit, only problems.
func (sh *shared) newUnit(doc *document) (*unit, []core.Problem) {
	id, problems := sh.identify(doc)
	if id == (core.SpecID{}) {
		return nil, problems
	}
	if len(problems) > 0 {
		return newBroken(id, doc.Pos, problems), nil
	}
	k := sh.kinds[id.Kind]
	v, problems := checkSpec(k, doc)
	if len(problems) > 0 {
		return newBroken(id, doc.Pos, problems), nil
	}
	u := &unit{Spec: core.Spec{ID: id, Pos: doc.Pos}, Places: doc.places}
	u.readAnnotations(doc)
	if err := u.readContract(v); err != nil {
		u.blame(doc.Pos, "kind %s: %v", id.Kind, err)
	}
	if len(u.Problems) == 0 {
		if !k.early.Exists() && len(u.Refs) == 0 {
			u.Outcome = u.render(v)
		} else if err := u.keep(v); err != nil {
			u.blame(doc.Pos, "%v", err)
		}
	}
	if u.In == nil {
		u.Places = places{} // nothing is evaluated again
	}
	return u, nil
}

// keep keeps what it takes to render the spec later.
func (u *unit) keep(v cue.Value) error {
	data, err := toGo(v.LookupPath(inPath))
	if err != nil {
		return err
	}
	u.In = pack(data)
	u.Places = u.Places.pack()
	return nil
}

func (u *unit) blame(pos core.Pos, format string, args ...any) {
	p := problem(pos, format, args...)
	p.Spec = u.Spec.ID
	u.Problems = append(u.Problems, p)
}

// identify reads the envelope as far as needed to find the kind. The rest of it
// is for the kind's schema to check. The id is zero if there is none.
func (sh *shared) identify(doc *document) (core.SpecID, []core.Problem) {
	st, ok := doc.expr.(*ast.StructLit)
	if !ok {
		return core.SpecID{}, []core.Problem{problem(doc.Pos, "is no spec; want apiVersion: %s, kind, metadata and spec", core.APIVersion)}
	}
	var problems []core.Problem
	api, _ := text(st, "apiVersion")
	switch {
	case api == "":
		problems = append(problems, problem(doc.label([]string{"apiVersion"}), "apiVersion: missing or no text; want %s", core.APIVersion))
	case api != core.APIVersion:
		problems = append(problems, problem(doc.at([]string{"apiVersion"}), "apiVersion: unknown apiVersion %q; want %s", api, core.APIVersion))
	}
	id := core.SpecID{}
	id.Kind, _ = text(st, "kind")
	switch _, known := sh.kinds[id.Kind]; {
	case id.Kind == "":
		problems = append(problems, problem(doc.label([]string{"kind"}), "kind: missing or no text; want one of %s", strings.Join(sh.names, ", ")))
	case !known && api == core.APIVersion:
		problems = append(problems, problem(doc.at([]string{"kind"}), "kind: unknown kind %q; %s", id.Kind, choose(id.Kind, sh.names)))
	}
	if meta, ok := member(st, "metadata").(*ast.StructLit); ok {
		id.Name, _ = text(meta, "name")
	}
	if id.Name == "" {
		problems = append(problems, problem(doc.label([]string{"metadata", "name"}), "metadata.name: missing or no text; want a name of lower case letters, digits and dashes"))
	}
	if id.Kind == "" || id.Name == "" || api != core.APIVersion {
		return core.SpecID{}, problems
	}
	return id, problems
}

func member(st *ast.StructLit, name string) ast.Expr {
	for _, e := range st.Elts {
		if f, ok := e.(*ast.Field); ok && labelOf(f) == name {
			return f.Value
		}
	}
	return nil
}

func text(st *ast.StructLit, name string) (string, bool) {
	lit, ok := member(st, name).(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := literal.Unquote(lit.Value)
	return s, err == nil
}

// readContract reads refs and facts, which depend on the spec and the site alone.
func (u *unit) readContract(v cue.Value) error {
	data, err := toGo(v.LookupPath(refsPath))
	if err != nil {
		return fmt.Errorf("refs: %w", err)
	}
	list, _ := data.([]any)
	seen := map[core.SpecID]bool{}
	for _, e := range list {
		m, _ := e.(map[string]any)
		rf := ref{Pos: u.Spec.Pos}
		rf.To.Kind, _ = m["kind"].(string)
		rf.To.Name, _ = m["name"].(string)
		if field, ok := m["field"].(string); ok {
			rf.Field = splitPath(field)
			rf.Pos = u.Places.at(rf.Field)
		}
		u.Refs = append(u.Refs, rf)
		if !seen[rf.To] {
			seen[rf.To] = true
			u.Spec.Refs = append(u.Spec.Refs, rf.To)
		}
	}
	facts, err := toGo(v.LookupPath(cue.ParsePath("facts")))
	if err != nil {
		return fmt.Errorf("facts: %w", err)
	}
	u.Facts = pack(facts)
	u.FactsHash = sha256.Sum256(u.Facts)
	return nil
}

// render reads checks, objects, expects and precautions of a spec whose deps are
// filled in.
func (u *unit) render(v cue.Value) *outcome {
	out := &outcome{}
	blame := func(pos core.Pos, format string, args ...any) {
		p := problem(pos, format, args...)
		p.Spec = u.Spec.ID
		out.Problems = append(out.Problems, p)
	}
	checks, err := toGo(v.LookupPath(cue.ParsePath("checks")))
	if err != nil {
		blame(u.Spec.Pos, "kind %s: checks: %v", u.Spec.ID.Kind, err)
		return out
	}
	for _, c := range checks.([]any) {
		m, _ := c.(map[string]any)
		at, _ := m["path"].(string)
		msg, _ := m["message"].(string)
		path := splitPath(at)
		if len(path) > 0 && !strings.HasPrefix(msg, at) {
			msg = shown(path) + ": " + msg
		}
		blame(u.Places.at(path), "%s", msg)
	}
	if len(out.Problems) > 0 {
		return out
	}
	for _, part := range []struct {
		name string
		to   *[]core.Object
	}{{"objects", &out.Objects}, {"expects", &out.Expects}, {"precautions", &out.Precautions}} {
		pv := v.LookupPath(cue.ParsePath(part.name))
		for key, ov := range fields(pv) {
			obj, err := u.object(ov)
			if _, ok := obj.Fields["status"]; ok && part.to != &out.Expects {
				err = errors.New("status: is the cluster's to write; leave it out, or expect it")
			}
			if err != nil {
				blame(u.Spec.Pos, "kind %s: %s.%s: %v", u.Spec.ID.Kind, part.name, key, err)
				continue
			}
			out.Fields = out.Fields.pack(obj.Fields)
			obj.Fields = nil
			*part.to = append(*part.to, obj)
		}
		if err := pv.Err(); err != nil && len(out.Problems) == 0 {
			blame(u.Spec.Pos, "kind %s: %s: %s", u.Spec.ID.Kind, part.name, brieflyWhy(err))
		}
	}
	if err := readReady(v, out.Objects); err != nil {
		blame(u.Spec.Pos, "kind %s: ready: %v", u.Spec.ID.Kind, err)
	}
	if err := u.share(v, out.Objects, blame); err != nil {
		blame(u.Spec.Pos, "kind %s: %v", u.Spec.ID.Kind, err)
	}
	out.clip()
	return out
}
