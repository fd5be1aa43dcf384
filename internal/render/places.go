package render

import (
	"maps"
	"slices"
	"strings"

	"prumo.dev/prumo/internal/core"
)

// places is where each part of a document stands. They are kept for as long as the
// spec is, for what its kind may find wrong later, so they are small.
type places struct {
	pos    core.Pos // of the whole
	files  []string // that spots are in, other than that of pos
	byPath map[string]place
	packed []packedPlace // instead of byPath: sorted by path
}

// A place is where a field stands: its name, and its value.
type place struct{ label, value spot }

// A spot is a core.Pos whose file is an index into places.files, plus one.
type spot struct{ file, line, col uint32 }

type packedPlace struct {
	path string // as of joinPath: "spec.pools.0"
	place
}

func (p *places) add(path []string, label, value core.Pos) {
	if p.byPath == nil {
		p.byPath = map[string]place{}
	}
	p.byPath[joinPath(path)] = place{p.spot(label), p.spot(value)}
}

func (p *places) spot(at core.Pos) spot {
	s := spot{line: uint32(at.Line), col: uint32(at.Col)}
	if at.File != p.pos.File {
		i := slices.Index(p.files, at.File)
		if i < 0 {
			i = len(p.files)
			p.files = append(p.files, at.File)
		}
		s.file = uint32(i + 1)
	}
	return s
}

func (p *places) expand(s spot) core.Pos {
	at := core.Pos{File: p.pos.File, Line: int(s.line), Col: int(s.col)}
	if s.file > 0 {
		at.File = p.files[s.file-1]
	}
	return at
}

func (p *places) find(path []string) (place, bool) {
	key := joinPath(path)
	if p.packed == nil {
		at, ok := p.byPath[key]
		return at, ok
	}
	i, ok := slices.BinarySearchFunc(p.packed, key, func(e packedPlace, key string) int { return strings.Compare(e.path, key) })
	if !ok {
		return place{}, false
	}
	return p.packed[i].place, true
}

// pack returns the same places in less memory.
func (p *places) pack() places {
	paths := slices.Sorted(maps.Keys(p.byPath))
	text := strings.Join(paths, "")
	out := places{pos: p.pos, files: p.files, packed: make([]packedPlace, len(paths))}
	for i, path := range paths {
		out.packed[i] = packedPlace{text[:len(path)], p.byPath[path]}
		text = text[len(path):]
	}
	return out
}

// at is where the value at a path stands, or the nearest thing around it.
func (p *places) at(path []string) core.Pos {
	for n := len(path); n > 0; n-- {
		if found, ok := p.find(path[:n]); ok {
			if n < len(path) {
				return p.expand(found.label)
			}
			return p.expand(found.value)
		}
	}
	return p.pos
}

// label is where the name of the field at a path stands.
func (p *places) label(path []string) core.Pos {
	if found, ok := p.find(path); ok {
		return p.expand(found.label)
	}
	return p.at(path)
}

// has reports whether the document gives the field at a path.
func (p *places) has(path []string) bool {
	_, ok := p.find(path)
	return ok || len(path) == 0
}
