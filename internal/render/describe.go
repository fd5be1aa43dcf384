package render

import (
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/errors"
)

// wanting is want as the end of a message.
func wanting(field cue.Value) string {
	if w := want(field); w != "" {
		return "; want " + w
	}
	return ""
}

// dnsLabel is schemas.#Name, which is nothing to show to people.
const dnsLabel = `^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`

// want describes what a schema takes.
func want(v cue.Value) string {
	if !v.Exists() {
		return ""
	}
	if names := choices(v); len(names) > 0 {
		return "one of " + listed(names)
	}
	if v.IncompleteKind() == cue.StructKind {
		if names := memberNames(v); len(names) > 0 {
			return "a struct of " + listed(names)
		}
		return "a struct"
	}
	if v.IncompleteKind() == cue.ListKind {
		return "a list"
	}
	s := brief(v)
	if strings.Contains(s, dnsLabel) {
		return "lower case letters, digits and dashes, 63 at most"
	}
	if words := bounds(v); words != "" && len(words) < 100 {
		return words
	}
	if s != "" && len(s) < 100 {
		return s
	}
	return v.IncompleteKind().String()
}

// choices are the values of a disjunction of scalars. What is no value in it,
// such as error("…") for a message, is left out.
func choices(v cue.Value) []string {
	v = cue.Dereference(v).Eval()
	op, args := v.Expr()
	if op != cue.OrOp {
		return nil
	}
	var out []string
	for _, a := range args {
		switch op, _ := a.Expr(); {
		case op == cue.OrOp:
			out = append(out, choices(a)...)
		case a.IsConcrete() && a.IncompleteKind()&(cue.StructKind|cue.ListKind) == 0 && a.Err() == nil:
			out = append(out, strings.Trim(brief(a), `"`))
		case a.Err() == nil:
			return nil
		}
	}
	return slices.Compact(out)
}

// named reports whether a selector is a field that has a name, required, optional
// or neither; not a pattern and not a definition.
func named(sel cue.Selector) bool {
	return sel.ConstraintType() != cue.PatternConstraint && sel.LabelType() == cue.StringLabel
}

// memberNames are the fields that a struct may have.
func memberNames(v cue.Value) []string {
	if !v.Exists() {
		return nil
	}
	it, err := v.Fields(cue.Optional(true))
	if err != nil {
		return nil
	}
	var names []string
	for it.Next() {
		if named(it.Selector()) {
			names = append(names, it.Selector().Unquoted())
		}
	}
	return names
}

// allowed says what could stand in place of the last field of a path.
func allowed(parent cue.Value, path []string) string {
	names := memberNames(parent)
	if len(names) == 0 || len(path) == 0 {
		return ""
	}
	if best := nearest(path[len(path)-1], names); best != "" {
		return fmt.Sprintf("; did you mean %s?", best)
	}
	return "; allowed are " + listed(names)
}

// schemaAt finds what a schema says of a path, through optional and required
// fields, patterns and lists. It does not exist if the schema does not say.
func schemaAt(v cue.Value, path []string) cue.Value {
	for _, p := range path {
		if !v.Exists() {
			return v
		}
		v = step(v, p)
	}
	return v
}

func step(v cue.Value, name string) cue.Value {
	if v.IncompleteKind() == cue.ListKind {
		return v.LookupPath(cue.MakePath(cue.AnyIndex))
	}
	it, err := v.Fields(cue.Optional(true), cue.Patterns(true))
	if err != nil {
		return cue.Value{}
	}
	for it.Next() {
		sel := it.Selector()
		if named(sel) && sel.Unquoted() == name {
			return it.Value()
		}
		if sel.ConstraintType() == cue.PatternConstraint && sel.Pattern().Unify(cuecontext.New().Encode(name)).Err() == nil {
			return it.Value()
		}
	}
	return cue.Value{}
}

// brief is a value as CUE, on one line.
func brief(v cue.Value) string {
	return shorten(oneLine(strings.ReplaceAll(fmt.Sprintf("%v", v), "\n", " ")), 120)
}

// brieflyWhy is the first error, with where it is in a kind: for its author.
func brieflyWhy(err error) string {
	list := errors.Errors(err)
	if len(list) == 0 {
		return oneLine(err.Error())
	}
	e := list[0]
	msg := message(e, insideKind(e.Path()))
	for _, p := range errors.Positions(e) {
		if at := toPos(p, ""); at.Line > 0 {
			return fmt.Sprintf("%s (%s)", oneLine(msg), at)
		}
	}
	return oneLine(msg)
}

// insideKind takes off a path what the caller of brieflyWhy says itself: the kind,
// and which field of the contract, of objects also which object.
func insideKind(path []string) []string {
	if len(path) > 2 && path[0] == "kinds" {
		path = path[2:]
	}
	switch {
	case len(path) == 0:
	case path[0] == "objects" || path[0] == "expects" || path[0] == "precautions":
		path = path[min(2, len(path)):]
	case path[0] == "refs" || path[0] == "facts" || path[0] == "checks":
		path = path[1:]
	}
	return path
}

// oneLine folds a text into one line without control characters: what is printed
// comes from files that anyone may have written.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u2029'
	}), " ")
}

func shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// cueOwn reports whether a message without arguments is one of CUE's own, which
// speak of the evaluation and not of the field.
func cueOwn(format string) bool {
	return slices.Contains([]string{
		"field not allowed",
		"field is required but not present",
		"non-concrete value",
		"%d errors in empty disjunction:",
	}, format)
}
