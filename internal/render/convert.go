package render

import (
	"fmt"
	"strconv"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/token"

	"prumo.dev/prumo/internal/core"
)

// documentOf turns a CUE value into plain data that remembers where it came from,
// so that specs in CUE and in YAML are one thing from here on. at is the path of
// the value in its file, schema what it should fit, for messages.
func documentOf(v cue.Value, file string, at []string, schema cue.Value) (*document, []core.Problem) {
	if err := v.Validate(); err != nil {
		d := &document{file: file, places: places{Pos: userPos(v, file)}}
		indexValue(d, v, nil)
		return d, explain(err, schema, d, at)
	}
	c := &converter{file: file}
	expr := c.convert(v, nil)
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	return newDocument(expr, file, userPos(v, file))
}

// indexValue notes places of a value that has errors and is no plain data.
func indexValue(d *document, v cue.Value, path []string) {
	if len(path) > maxDepth {
		return
	}
	for name, fv := range fields(v) {
		sub := append(path[:len(path):len(path)], name)
		if p := userPos(fv, d.file); p.Line > 0 && p.File == d.file {
			d.add(sub, p, p)
		}
		indexValue(d, fv, sub)
	}
}

// converter builds syntax from a value.
type converter struct {
	file     string
	problems []core.Problem
}

func (c *converter) convert(v cue.Value, path []string) ast.Expr {
	if len(path) > maxDepth {
		c.problems = append(c.problems, problem(userPos(v, c.file), "nests deeper than %d levels", maxDepth))
		return ast.NewNull()
	}
	if d, ok := v.Default(); ok {
		v = d
	}
	pos := userToken(v, c.file)
	switch v.Kind() {
	case cue.StructKind:
		st := &ast.StructLit{Lbrace: pos}
		for name, fv := range fields(v) {
			x := c.convert(fv, append(path[:len(path):len(path)], name))
			label := &ast.BasicLit{Kind: token.STRING, ValuePos: userToken(fv, c.file), Value: literal.String.Quote(name)}
			st.Elts = append(st.Elts, &ast.Field{Label: label, Value: x})
		}
		return st
	case cue.ListKind:
		list := &ast.ListLit{Lbrack: pos}
		it, _ := v.List()
		for i := 0; it.Next(); i++ {
			list.Elts = append(list.Elts, c.convert(it.Value(), append(path[:len(path):len(path)], strconv.Itoa(i))))
		}
		return list
	}
	lit, err := scalar(v)
	if err != nil {
		c.problems = append(c.problems, problem(userPos(v, c.file), "%s: %v", shown(path), err))
		return ast.NewNull()
	}
	lit.ValuePos = pos
	return lit
}

func scalar(v cue.Value) (*ast.BasicLit, error) {
	switch v.Kind() {
	case cue.StringKind:
		s, err := v.String()
		return &ast.BasicLit{Kind: token.STRING, Value: literal.String.Quote(s)}, err
	case cue.IntKind, cue.FloatKind, cue.NumberKind, cue.BoolKind, cue.NullKind:
		b, err := v.MarshalJSON()
		kind := map[cue.Kind]token.Token{cue.IntKind: token.INT, cue.FloatKind: token.FLOAT, cue.NumberKind: token.FLOAT, cue.NullKind: token.NULL}[v.Kind()]
		if v.Kind() == cue.BoolKind {
			kind = token.FALSE
			if string(b) == "true" {
				kind = token.TRUE
			}
		}
		return &ast.BasicLit{Kind: kind, Value: string(b)}, err
	case cue.BytesKind:
		return nil, fmt.Errorf("bytes are not JSON; want a string")
	}
	return nil, fmt.Errorf("%s is not a value but a constraint; want a value", brief(v))
}
