package render

import (
	"fmt"
	"io/fs"
	"path"

	"prumo.dev/prumo/schemas"
)

// vendorDir is where Vendor puts the schemas, relative to the repo's root.
const vendorDir = "cue.mod/prumo/schemas"

// Vendor returns the files, by path from the root of an infra repo, that make the
// stock cue tool (v0.17 or later) resolve prumo.dev/schemas without a registry:
// the module itself, and a cue.mod/local-module.cue that points to it. They serve
// authors and editors; Git ignores them by a .gitignore that is among them, and
// the renderer does not look at them, committed or not.
func Vendor() (map[string][]byte, error) {
	out := map[string][]byte{
		"cue.mod/local-module.cue": fmt.Appendf(nil,
			"// Written by reconciler schemas. It lets the cue tool work offline; do not commit it.\ndeps: %q: {v: %q, replaceWith: %q}\n",
			schemasID, schemas.Version, "./"+vendorDir),
		"cue.mod/.gitignore": []byte("/.gitignore\n/local-module.cue\n/prumo/\n"),
	}
	err := fs.WalkDir(schemas.FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		src, err := fs.ReadFile(schemas.FS, name)
		out[path.Join(vendorDir, name)] = src
		return err
	})
	return out, err
}
