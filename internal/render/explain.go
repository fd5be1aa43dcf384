package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/errors"

	"prumo.dev/prumo/internal/core"
)

// plain turns errors of CUE that belong to no spec into problems, where CUE says
// that they are. file is where they are if it does not say.
func plain(err error, file string) []core.Problem {
	var out []core.Problem
	for _, e := range errors.Errors(err) {
		out = append(out, problem(nearestUserPos(e, file), "%s", message(e, e.Path())))
	}
	return sorted(out)
}

// nearestUserPos is the first position of an error in the repo, else where the
// built-in schemas say it.
func nearestUserPos(e errors.Error, file string) core.Pos {
	best := core.Pos{File: file}
	for _, p := range errors.Positions(e) {
		at := toPos(p, file)
		if at.Line > 0 && !ofBuiltin(at) {
			return at
		}
	}
	return best
}

func message(e errors.Error, path []string) string {
	format, args := e.Msg()
	msg := fmt.Sprintf(format, args...)
	if msg == "" || errors.Unwrap(e) != nil { // the text of Msg leaves out what it wraps
		msg = e.Error()
	}
	if len(path) > 0 && !strings.Contains(path[0], "/") { // not the path of an import
		return shown(path) + ": " + msg
	}
	return msg
}

// maxRounds bounds how often checkSpec looks again.
const maxRounds = 5

// checkSpec reports every mistake of a spec against its kind and returns the
// kind's value with the spec filled in. CUE is silent about some mistakes while
// there are others: fields that are missing or not allowed show once values that
// do not fit are gone. So what was reported is taken out, and the rest looked at
// again.
func checkSpec(k *kind, doc *document) (cue.Value, []core.Problem) {
	var problems []core.Problem
	for range maxRounds {
		v := k.first().FillPath(inPath, doc.expr)
		in := v.LookupPath(inPath)
		err := in.Validate(cue.Concrete(true))
		if err == nil {
			return v, problems
		}
		found := explain(err, k.schema.LookupPath(inPath), doc, nil)
		found = append(found, missing(in, doc, nil)...)
		problems = append(problems, found...)
		if len(found) == 0 {
			if len(problems) == 0 {
				problems = plain(err, doc.file)
			}
			return v, onePerPlace(problems)
		}
	}
	return cue.Value{}, onePerPlace(problems)
}

// onePerPlace keeps one of several problems that begin alike at one place: CUE
// reports a missing field as such and as incomplete.
func onePerPlace(ps []core.Problem) []core.Problem {
	type at struct {
		pos   core.Pos
		field string
	}
	seen := map[at]bool{}
	var out []core.Problem
	for _, p := range ps {
		field, _, _ := strings.Cut(p.Msg, ": ")
		if key := (at{p.Pos, field}); !seen[key] {
			seen[key] = true
			out = append(out, p)
		}
	}
	return out
}

// missing reports required fields that are not there.
func missing(v cue.Value, doc *document, path []string) []core.Problem {
	if len(path) > maxDepth {
		return nil
	}
	var out []core.Problem
	switch v.IncompleteKind() {
	case cue.StructKind, cue.BottomKind:
		it, err := v.Fields(cue.Optional(true))
		if err != nil {
			return nil
		}
		for it.Next() {
			if !named(it.Selector()) {
				continue
			}
			sub := append(path[:len(path):len(path)], it.Selector().Unquoted())
			switch it.FieldType() & (cue.RequiredConstraint | cue.OptionalConstraint) {
			case cue.RequiredConstraint:
				if doc.isOut(sub) {
					continue
				}
				doc.takeOut(sub)
				out = append(out, problem(doc.label(sub), "%s: missing; want %s", shown(sub), want(it.Value())))
			case 0:
				out = append(out, missing(it.Value(), doc, sub)...)
			}
		}
	case cue.ListKind:
		it, err := v.List()
		if err != nil {
			return nil
		}
		for i := 0; it.Next(); i++ {
			out = append(out, missing(it.Value(), doc, append(path[:len(path):len(path)], fmt.Sprint(i)))...)
		}
	}
	return out
}

// explain turns CUE's errors about one document into problems in its file, one
// for each mistake. schema says what is wanted; at is the path of the document in
// its file, to be left out of messages.
func explain(err error, schema cue.Value, doc *document, at []string) []core.Problem {
	groups := map[string][]errors.Error{}
	var order []string
	for _, e := range errors.Errors(err) {
		key := joinPath(relative(e.Path(), at))
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], e)
	}
	var out []core.Problem
	var done [][]string
	for _, key := range order {
		group := groups[key]
		path := relative(group[0].Path(), at)
		if outranked(path, order, groups) || doc.isOut(path) {
			continue
		}
		out = append(out, problem(blamed(group, doc, path), "%s", tell(group, path, schema, doc)))
		done = append(done, path)
	}
	for _, path := range done {
		doc.takeOut(path)
	}
	return out
}

// outranked reports whether a group only repeats, for a struct, what is said of a
// part of it.
func outranked(path []string, order []string, groups map[string][]errors.Error) bool {
	key := joinPath(path)
	if key != "" {
		key += "."
	}
	return disjunction(groups[joinPath(path)]) && slices.ContainsFunc(order, func(o string) bool {
		return o != joinPath(path) && strings.HasPrefix(o, key)
	})
}

func disjunction(group []errors.Error) bool {
	return slices.ContainsFunc(group, func(e errors.Error) bool {
		f, _ := e.Msg()
		return strings.Contains(f, "empty disjunction")
	})
}

// relative takes the engine's part off a path: kinds.Node.in, #Site, or where in
// its file a spec stands.
func relative(path, at []string) []string {
	if i := slices.Index(path, "in"); i >= 0 && (i == 0 || path[0] == "kinds" || path[0] == "#kinds") {
		return path[i+1:]
	}
	if len(path) > 0 && strings.HasPrefix(path[0], "#") {
		path = path[1:]
	}
	if len(path) >= len(at) && slices.Equal(path[:len(at)], at) {
		return path[len(at):]
	}
	return path
}

// blamed is where the user said what is wrong.
func blamed(group []errors.Error, doc *document, path []string) core.Pos {
	if format, _ := group[0].Msg(); strings.Contains(format, "not allowed") {
		return doc.label(path)
	}
	if _, ok := doc.find(path); !ok {
		for _, e := range group {
			for _, p := range errors.Positions(e) {
				if at := toPos(p, ""); at.File == doc.file && at.Line > 0 {
					return at
				}
			}
		}
	}
	return doc.at(path)
}

// disputed is the user's value as CUE's errors tell it: the one that is out of
// bounds, or in conflict with every choice.
func disputed(group []errors.Error) string {
	var common []string
	for _, e := range group {
		format, args := e.Msg()
		var these []string
		switch {
		case strings.HasPrefix(format, "invalid value") && len(args) > 0:
			return fmt.Sprint(args[0])
		case strings.HasPrefix(format, "conflicting values") && len(args) >= 2:
			these = []string{fmt.Sprint(args[0]), fmt.Sprint(args[1])}
		default:
			continue
		}
		if common == nil {
			common = these
			continue
		}
		common = slices.DeleteFunc(common, func(s string) bool { return !slices.Contains(these, s) })
	}
	if len(common) == 1 {
		return common[0]
	}
	return ""
}

// given is the scalar that a document says at a path, as the start of a message.
func given(doc *document, path []string) string {
	if _, ok := doc.lookup(path).(*ast.BasicLit); ok {
		return doc.value(path) + "; "
	}
	return ""
}

// tell says what is wrong with the field at a path, and what is wanted.
func tell(group []errors.Error, path []string, schema cue.Value, doc *document) string {
	where := prefix(path)
	for _, e := range group { // what a schema says with error("…") is for people already
		format, args := e.Msg()
		if len(args) == 0 && !cueOwn(format) || format == "%s" || format == "%v" {
			return where + given(doc, path) + fmt.Sprintf(format, args...)
		}
	}
	format, _ := group[0].Msg()
	field := schemaAt(schema, path)
	switch {
	case strings.Contains(format, "not allowed"):
		return where + "field not allowed" + allowed(schemaAt(schema, path[:max(0, len(path)-1)]), path)
	case strings.Contains(format, "required but not present"):
		return where + "missing" + wanting(field)
	case strings.Contains(format, "incomplete"):
		return where + "has no value yet" + wanting(field)
	case field.Exists() && doc.has(path):
		if value := cmp.Or(doc.value(path), disputed(group)); value != "" {
			return where + value + " does not fit" + wanting(field)
		}
	}
	return message(group[0], path)
}
