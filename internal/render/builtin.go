package render

import (
	"fmt"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/load"
	"cuelang.org/go/cue/parser"

	"prumo.dev/prumo/schemas"
)

// builtin is the module prumo.dev/schemas, loaded once.
type builtin struct {
	instance *build.Instance // to be compiled again in the context of who imports it
	kinds    map[string]*kind
	site     cue.Value // #Site
	contract cue.Value // #Kind
}

func loadBuiltin() (*builtin, error) {
	inst, v, err := loadSchemas(nil)
	if err != nil {
		return nil, err
	}
	_, early, err := loadSchemas(parseEarly)
	if err != nil {
		return nil, err
	}
	b := &builtin{
		instance: inst,
		site:     v.LookupPath(cue.ParsePath("#Site")),
		contract: v.LookupPath(cue.ParsePath("#Kind")),
		kinds:    map[string]*kind{},
	}
	for name, kv := range fields(v.LookupPath(kindsPath)) {
		if err := kv.Err(); err != nil {
			return nil, fmt.Errorf("kind %s: %w", name, err)
		}
		b.kinds[name] = newKind(name, kv, early)
	}
	return b, nil
}

// A parseFunc turns a file into syntax, as load.Config.ParseFile does; nil is that
// of CUE itself.
type parseFunc func(name string, src any, cfg parser.Config) (*ast.File, error)

func loadSchemas(parse parseFunc) (*build.Instance, cue.Value, error) {
	inst := load.Instances([]string{"."}, &load.Config{
		FS:         schemas.FS,
		Dir:        "/",
		ModuleRoot: "/",
		Registry:   registry{},
		Env:        []string{},
		FromFSPath: func(p string) string { return schemasPath + "/" + strings.TrimPrefix(p, "/") },
		ParseFile:  parse,
	})[0]
	if inst.Err != nil {
		return nil, cue.Value{}, inst.Err
	}
	v := cuecontext.New().BuildInstance(inst)
	return inst, v, v.Err()
}

// fields ranges over the regular fields of a struct, in the order in which they
// were declared; a required field that is not there is none. A value that is no
// struct has none.
func fields(v cue.Value) func(yield func(string, cue.Value) bool) {
	return func(yield func(string, cue.Value) bool) {
		if !v.Exists() {
			return
		}
		// Without this option a required field that is not there looks like one
		// that is, with an error for a value.
		it, err := v.Fields(cue.Optional(true))
		if err != nil {
			return
		}
		for it.Next() {
			if sel := it.Selector(); !named(sel) || sel.ConstraintType() != 0 {
				continue
			}
			if !yield(it.Selector().Unquoted(), it.Value()) {
				return
			}
		}
	}
}
