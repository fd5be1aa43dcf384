package render

import (
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/load"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"prumo.dev/prumo/internal/core"
)

// parseCUE parses a file and refuses what would reach outside of it.
func parseCUE(name string, src []byte) (*ast.File, []core.Problem) {
	if problems := checkChains(name, src); len(problems) > 0 {
		return nil, problems
	}
	file, err := parser.ParseFile(name, src)
	if err != nil {
		return nil, plain(err, name)
	}
	if at := refusedAttr(file); at != nil {
		return nil, []core.Problem{problem(toPos(at.Pos(), name), "%s is not served: a file means the same everywhere and reads no other; write the data in CUE", at.Text)}
	}
	return file, nil
}

// refusedAttr finds a file attribute that makes CUE read other files (@extern)
// or leave the file out (@if, @ignore).
func refusedAttr(file *ast.File) *ast.Attribute {
	for _, d := range file.Decls {
		if at, ok := d.(*ast.Attribute); ok {
			switch key, _ := at.Split(); key {
			case "extern", "if", "ignore", "embed":
				return at
			}
		}
	}
	return nil
}

// build evaluates one file of the repo, alone, as an instance of its own.
func (sh *shared) build(name string, src []byte) (cue.Value, []core.Problem) {
	file, problems := parseCUE(name, src)
	if len(problems) > 0 {
		return cue.Value{}, problems
	}
	if problems := sh.checkImports(name, file); len(problems) > 0 {
		return cue.Value{}, problems
	}
	inst := build.NewContext(build.Loader(sh.imported)).NewInstance("", nil)
	inst.Module = sh.path
	inst.CanonicalImportPath = func(p string) string {
		if isSchemas(p) {
			return schemasID
		}
		return p
	}
	if err := inst.AddSyntax(file); err != nil {
		return cue.Value{}, plain(err, name)
	}
	if err := inst.Complete(); err != nil {
		return cue.Value{}, plain(err, name)
	}
	v := sh.batch.next().BuildInstance(inst)
	if inst.Err != nil { // an error that keeps the whole file from being evaluated
		return cue.Value{}, plain(inst.Err, name)
	}
	return v, nil
}

// checkImports loads what a file imports.
func (sh *shared) checkImports(name string, file *ast.File) []core.Problem {
	var problems []core.Problem
	for spec := range file.ImportSpecs() {
		if p := sh.checkImport(name, spec); p != nil {
			problems = append(problems, *p)
		}
	}
	return problems
}

// checkImport loads one package, or says why it cannot be imported.
func (sh *shared) checkImport(name string, spec *ast.ImportSpec) *core.Problem {
	path := importPath(spec)
	bad := func(format string, args ...any) *core.Problem {
		p := problem(toPos(spec.Path.Pos(), name), format, args...)
		return &p
	}
	switch {
	case isSchemas(path) || isStandard(path):
		return nil
	case !sh.isOwn(path):
		return bad("import %q: only %s, CUE's standard library and packages of this repo can be imported; modules are never fetched", path, schemasPath)
	case sh.imports[path] != nil:
		return nil
	}
	inst := load.Instances([]string{path}, sh.mount.config(nil))[0]
	if inst.Err != nil {
		return bad("import %q: %s", path, oneLine(inst.Err.Error()))
	}
	for _, file := range inst.Files {
		if at := refusedAttr(file); at != nil {
			return bad("import %q: it uses %s, which is not served: write the data in CUE", path, at.Text)
		}
	}
	sh.imports[path] = inst
	return nil
}

// imported hands out what checkImport found; CUE knows its standard library
// itself.
func (sh *shared) imported(_ token.Pos, path string) *build.Instance {
	if isSchemas(path) {
		return sh.loader.instance
	}
	return sh.imports[path]
}

func importPath(spec *ast.ImportSpec) string {
	path, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value
	}
	return path
}

// isSchemas reports whether an import means the built-in schemas.
func isSchemas(path string) bool { return path == schemasPath || path == schemasID }

// isStandard reports whether an import means CUE's standard library: its first
// element has no dot.
func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return first != "" && !strings.Contains(first, ".")
}

// isOwn reports whether an import means a package of the repo's own module.
func (sh *shared) isOwn(path string) bool {
	rest, ok := strings.CutPrefix(path, sh.path)
	return ok && sh.path != "" && (rest == "" || strings.ContainsRune("/:@", rune(rest[0])))
}
