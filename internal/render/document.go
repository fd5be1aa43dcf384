package render

import (
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"

	"prumo.dev/prumo/internal/core"
)

// maxDepth bounds how deep a document may nest. Nothing that people write comes
// near; what evaluates it recurses.
const maxDepth = 100

// A document is one value of a file as plain data, and where each part stands.
type document struct {
	places
	expr ast.Expr
	file string
	out  map[string]bool // paths whose mistake was told
}

// newDocument indexes an expression that is plain data.
func newDocument(expr ast.Expr, file string, pos core.Pos) (*document, []core.Problem) {
	d := &document{expr: expr, file: file, places: places{Pos: pos}}
	return d, d.index(expr, nil)
}

func (d *document) index(x ast.Expr, path []string) []core.Problem {
	if len(path) > maxDepth {
		return []core.Problem{problem(d.at(path), "nests deeper than %d levels", maxDepth)}
	}
	var problems []core.Problem
	switch x := x.(type) {
	case *ast.StructLit:
		for _, e := range x.Elts {
			f, ok := e.(*ast.Field)
			if !ok {
				continue
			}
			sub := append(path[:len(path):len(path)], labelOf(f))
			at := toPos(f.Label.Pos(), d.file)
			if d.has(sub) {
				problems = append(problems, problem(at, "%s: given twice; also at %s", shown(sub), d.label(sub)))
				continue
			}
			d.add(sub, at, d.valuePos(f.Value, at))
			problems = append(problems, d.index(f.Value, sub)...)
		}
	case *ast.ListLit:
		for i, e := range x.Elts {
			sub := append(path[:len(path):len(path)], strconv.Itoa(i))
			at := d.valuePos(e, d.at(path))
			d.add(sub, at, at)
			problems = append(problems, d.index(e, sub)...)
		}
	}
	return problems
}

// valuePos is where a scalar starts. Of a struct or list it is the name in front:
// that is where people look.
func (d *document) valuePos(x ast.Expr, label core.Pos) core.Pos {
	switch x.(type) {
	case *ast.StructLit, *ast.ListLit:
		if label.Line > 0 {
			return label
		}
	}
	if p := toPos(x.Pos(), d.file); p.Line > 0 {
		return p
	}
	return label
}

func joinPath(path []string) string { return strings.Join(path, ".") }

var unbracket = strings.NewReplacer("[", ".", "]", "", `"`, "")

// splitPath reads a path as a kind writes it: spec.pools[0].name
func splitPath(s string) []string {
	s = unbracket.Replace(s)
	return strings.FieldsFunc(s, func(r rune) bool { return r == '.' })
}

// shown is a path as people write it.
func shown(path []string) string {
	var b strings.Builder
	for i, p := range path {
		switch _, err := strconv.Atoi(p); {
		case err == nil && i > 0:
			b.WriteString("[" + p + "]")
			continue
		case strings.ContainsAny(p, "./ ") || p == "":
			b.WriteString("[" + strconv.Quote(p) + "]")
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(p)
	}
	return b.String()
}

// lookup returns the syntax at a path, nil if there is none.
func (d *document) lookup(path []string) ast.Expr {
	x := d.expr
	for _, p := range path {
		switch y := x.(type) {
		case *ast.StructLit:
			x = member(y, p)
		case *ast.ListLit:
			i, err := strconv.Atoi(p)
			if err != nil || i >= len(y.Elts) {
				return nil
			}
			x = y.Elts[i]
		default:
			return nil
		}
	}
	return x
}

// value shows what the document says at a path: a scalar as written, of anything
// else what it is. It is empty if there is no knowing.
func (d *document) value(path []string) string {
	switch x := d.lookup(path).(type) {
	case *ast.BasicLit:
		return shorten(x.Value, 60)
	case *ast.UnaryExpr:
		if lit, ok := x.X.(*ast.BasicLit); ok {
			return shorten(x.Op.String()+lit.Value, 60)
		}
	case *ast.StructLit:
		return "a struct"
	case *ast.ListLit:
		return "a list"
	}
	return ""
}

// takeOut replaces the value at a path, whose mistake was told, by one that fits
// anything, so that other mistakes can be seen. What is not there, or should not
// be, is only noted or dropped.
func (d *document) takeOut(path []string) {
	if d.out == nil {
		d.out = map[string]bool{}
	}
	d.out[joinPath(path)] = true
	if len(path) == 0 || d.expr == nil {
		return
	}
	last := path[len(path)-1]
	switch x := d.lookup(path[:len(path)-1]).(type) {
	case *ast.StructLit:
		x.Elts = slices.DeleteFunc(x.Elts, func(e ast.Decl) bool {
			f, ok := e.(*ast.Field)
			return ok && labelOf(f) == last
		})
	case *ast.ListLit:
		if i, err := strconv.Atoi(last); err == nil && i < len(x.Elts) {
			x.Elts[i] = ast.NewIdent("_")
		}
	}
}

// isOut reports whether a mistake was told at a path or around it.
func (d *document) isOut(path []string) bool {
	for n := range len(path) + 1 {
		if d.out[joinPath(path[:n])] {
			return true
		}
	}
	return false
}
