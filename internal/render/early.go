package render

import (
	"slices"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
)

// lateFields are those of a kind that refs and facts do not depend on.
var lateFields = []string{"checks", "objects", "ready", "ignore", "plain", "expects", "precautions"}

// parseEarly parses a file of kinds for what they say of a spec before it is known
// what it needs: in, refs and facts. What comes later is most of a template, and is
// put where CUE compiles it and does not evaluate it: under a pattern that no field
// matches. Empty fields stand in, so that references still resolve.
func parseEarly(name string, src any, cfg parser.Config) (*ast.File, error) {
	file, err := parser.ParseFile(name, src, cfg)
	if err != nil {
		return file, err
	}
	for _, kind := range literalFields(file.Decls, "kinds") {
		for _, st := range operands(kind.Value) {
			if !mentionsLate(st.Elts) {
				st.Elts = postpone(st.Elts, true)
			}
		}
	}
	return file, nil
}

// operands are the struct literals that an expression unifies.
func operands(x ast.Expr) []*ast.StructLit {
	switch x := x.(type) {
	case *ast.StructLit:
		return []*ast.StructLit{x}
	case *ast.ParenExpr:
		return operands(x.X)
	case *ast.BinaryExpr:
		if x.Op == token.AND {
			return append(operands(x.X), operands(x.Y)...)
		}
	}
	return nil
}

// mentionsLate reports whether anything but late fields refers to one of them.
func mentionsLate(decls []ast.Decl) bool {
	return slices.ContainsFunc(decls, func(d ast.Decl) bool {
		switch d := d.(type) {
		case *ast.Field:
			return !isLate(d) && namesLate(d)
		case *ast.Comprehension:
			body, ok := d.Value.(*ast.StructLit)
			if !ok || d.Fallback != nil || mentionsLate(body.Elts) {
				return namesLate(d)
			}
			return slices.ContainsFunc(d.Clauses, func(c ast.Clause) bool { return namesLate(c) })
		}
		return namesLate(d)
	})
}

// namesLate reports whether the name of a late field stands anywhere in a node.
func namesLate(n ast.Node) bool {
	found := false
	ast.Walk(n, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		found = found || ok && slices.Contains(lateFields, id.Name)
		return !found
	}, nil)
	return found
}

func isLate(f *ast.Field) bool {
	return f.Constraint == token.ILLEGAL && slices.Contains(lateFields, labelOf(f))
}

// postpone puts late fields aside, those in comprehensions too.
func postpone(decls []ast.Decl, declare bool) []ast.Decl {
	var out []ast.Decl
	for _, d := range decls {
		switch d := d.(type) {
		case *ast.Field:
			if !isLate(d) {
				break
			}
			if declare {
				out = append(out, &ast.Field{Label: ast.NewIdent(labelOf(d)), Value: ast.NewIdent("_")})
			}
			never := &ast.Field{Label: ast.NewList(ast.NewString("never")), Value: d.Value}
			d.Label, d.Value = ast.NewIdent("_later_"+labelOf(d)), &ast.StructLit{Elts: []ast.Decl{never}}
		case *ast.Comprehension:
			if body, ok := d.Value.(*ast.StructLit); ok {
				body.Elts = postpone(body.Elts, false)
			}
		}
		out = append(out, d)
	}
	return out
}
