package render

import (
	"strings"
	"testing"

	"prumo.dev/prumo/internal/core"
)

// Places are found packed as they were before.
func TestPlacesPacked(t *testing.T) {
	pos := core.Pos{File: "a.cue", Line: 3, Col: 1}
	p := places{Pos: pos}
	paths := []string{"spec", "spec.pools", "spec.pools.0", "spec.pools.10.name", "spec.a", "metadata.labels.äöü", "specs"}
	for i, path := range paths {
		label := core.Pos{File: "a.cue", Line: 300 + i, Col: 1}
		p.add(strings.Split(path, "."), label, core.Pos{File: []string{"a.cue", "b.cue", "c.cue"}[i%3], Line: 70_000 * i, Col: i})
	}
	packed := p.pack()
	for _, path := range append(paths, "", "spec.pools.1", "spec.pools.0.deep", "none", "metadata") {
		var parts []string
		if path != "" {
			parts = strings.Split(path, ".")
		}
		if p.at(parts) != packed.at(parts) || p.label(parts) != packed.label(parts) || p.has(parts) != packed.has(parts) {
			t.Errorf("%q: at %v, label %v packed; want %v, %v", path, packed.at(parts), packed.label(parts), p.at(parts), p.label(parts))
		}
	}
	if got := packed.at([]string{"spec", "pools", "10", "name"}); got.File != "a.cue" || got.Line != 210_000 {
		t.Errorf("at %v, want a.cue:210000:3", got)
	}
	if empty := (&places{Pos: pos}).pack(); empty.at([]string{"x"}) != pos {
		t.Error("nothing packed is not found at the whole")
	}
}
