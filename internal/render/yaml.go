package render

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"
	"cuelang.org/go/encoding/yaml"

	"prumo.dev/prumo/internal/core"
)

// readYAML returns the documents of a YAML file. Empty ones are left out.
func readYAML(name string, src []byte) ([]*document, []core.Problem) {
	file, err := extractYAML(name, src)
	if err != nil {
		return nil, []core.Problem{yamlProblem(name, src, err)}
	}
	var docs []*document
	var problems []core.Problem
	for _, expr := range topValues(file) {
		if lit, ok := expr.(*ast.BasicLit); ok && lit.Kind == token.NULL {
			continue
		}
		doc, more := newDocument(expr, name, firstPos(expr, name))
		problems = append(problems, more...)
		if len(more) == 0 {
			docs = append(docs, doc)
		}
	}
	return docs, problems
}

// extractYAML is yaml.Extract, whose decoder panics where it counts lines otherwise
// than its parser: after a carriage return alone, for one (cuelang.org/go v0.17.1).
func extractYAML(name string, src []byte) (file *ast.File, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("cannot be read (%v); look for line ends that are neither LF nor CR LF", cause)
		}
	}()
	return yaml.Extract(name, src)
}

// topValues undoes what yaml.Extract does: a mapping became declarations, and
// several documents a list.
func topValues(file *ast.File) []ast.Expr {
	if len(file.Decls) != 1 {
		return []ast.Expr{&ast.StructLit{Elts: file.Decls}}
	}
	embed, ok := file.Decls[0].(*ast.EmbedDecl)
	if !ok {
		return []ast.Expr{&ast.StructLit{Elts: file.Decls}}
	}
	switch x := embed.Expr.(type) {
	case *ast.ListLit:
		return x.Elts
	case *ast.BinaryExpr: // an empty file
		return nil
	}
	return []ast.Expr{embed.Expr}
}

// firstPos is where a document starts.
func firstPos(x ast.Expr, name string) core.Pos {
	if st, ok := x.(*ast.StructLit); ok && len(st.Elts) > 0 {
		if f, ok := st.Elts[0].(*ast.Field); ok {
			return toPos(f.Label.Pos(), name)
		}
	}
	return toPos(x.Pos(), name)
}

var (
	yamlLine   = regexp.MustCompile(`^(\d+)(?::(\d+))?: (.*)$`)
	yamlAnchor = regexp.MustCompile(`^unknown anchor '(.+)' referenced$`)
)

// yamlProblem places a syntax error. The parser says the line in its text, and
// nothing when it is the first one.
func yamlProblem(name string, src []byte, err error) core.Problem {
	msg := strings.TrimSpace(strings.TrimPrefix(err.Error(), name+":"))
	pos := core.Pos{File: name, Line: 1}
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		pos.Line, _ = strconv.Atoi(m[1])
		pos.Col, _ = strconv.Atoi(m[2])
		msg = m[3]
	} else if m := yamlAnchor.FindStringSubmatch(msg); m != nil {
		if at := strings.Index(string(src), "*"+m[1]); at >= 0 {
			pos = posOf(name, src, at)
		}
	}
	switch {
	case strings.Contains(msg, "cannot start any token") && slices.Contains(src, '\t'):
		msg += "; YAML is indented with spaces, never with tabs"
	case strings.Contains(msg, "mapping values are not allowed"):
		msg += "; quote a text that contains \": \", and check the indentation"
	}
	return problem(pos, "not valid YAML: %s", msg)
}
