package render

import (
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"
	"cuelang.org/go/mod/modfile"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/schemas"
)

// checkModule returns the path of the repo's module, without its major version,
// or what is wrong with cue.mod/module.cue.
func checkModule(src []byte) (string, []core.Problem) {
	file, problems := parseCUE(moduleFile, src)
	if len(problems) > 0 {
		return "", problems
	}
	if problems := checkDeps(file); len(problems) > 0 {
		return "", problems
	}
	mf, err := modfile.ParseNonStrict(src, moduleFile)
	if err != nil {
		return "", plain(err, moduleFile)
	}
	path, _, _ := strings.Cut(mf.QualifiedModule(), "@")
	if path == schemasPath || strings.HasPrefix(path, schemasPath+"/") {
		return "", []core.Problem{problem(core.Pos{File: moduleFile, Line: 1}, "module: %q is the name of the built-in schemas; give the repo a name of its own", path)}
	}
	return path, nil
}

// checkDeps reports dependencies that this build does not serve. It reads the
// syntax, because a parsed module file has no positions.
func checkDeps(file *ast.File) []core.Problem {
	var problems []core.Problem
	for name, dep := range literalFields(file.Decls, "deps") {
		if name != schemasID {
			problems = append(problems, problem(toPos(dep.Pos(), moduleFile),
				"deps: %q: modules cannot be fetched; only %q is served, from the program itself", name, schemasID))
			continue
		}
		st, ok := dep.Value.(*ast.StructLit)
		if !ok {
			continue // left to the check of the whole file
		}
		for _, d := range st.Elts {
			f, ok := d.(*ast.Field)
			if !ok || labelOf(f) != "v" {
				continue
			}
			lit, ok := f.Value.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING || strings.Trim(lit.Value, `"`) != schemas.Version {
				problems = append(problems, problem(toPos(f.Value.Pos(), moduleFile),
					"deps: %q: this build serves version %s and no other; want v: %q", name, schemas.Version, schemas.Version))
			}
		}
	}
	return problems
}

// literalFields ranges over the fields of a top-level struct, however it is split.
func literalFields(decls []ast.Decl, name string) func(yield func(string, *ast.Field) bool) {
	return func(yield func(string, *ast.Field) bool) {
		for _, d := range decls {
			f, ok := d.(*ast.Field)
			if !ok || labelOf(f) != name {
				continue
			}
			st, ok := f.Value.(*ast.StructLit)
			if !ok {
				continue
			}
			for _, e := range st.Elts {
				if ef, ok := e.(*ast.Field); ok && !yield(labelOf(ef), ef) {
					return
				}
			}
		}
	}
}

// labelOf returns the name of a field whose name is literal.
func labelOf(f *ast.Field) string {
	name, _, _ := ast.LabelName(f.Label)
	return name
}
