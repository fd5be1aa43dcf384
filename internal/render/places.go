package render

import (
	"encoding/binary"
	"maps"
	"slices"

	"prumo.dev/prumo/internal/core"
)

// places is where each part of a document stands. They are kept for as long as the
// spec is, for what its kind may find wrong later, so they are small.
type places struct {
	Pos    core.Pos // of the whole
	Files  []string // that spots are in, other than that of pos
	byPath map[string]place
	Packed []byte // instead of byPath; see pack
}

// A place is where a field stands: its name, and its value.
type place struct{ label, value spot }

// A spot is a core.Pos whose file is an index into places.files, plus one.
type spot struct{ file, line, col uint32 }

func (p *places) add(path []string, label, value core.Pos) {
	if p.byPath == nil {
		p.byPath = map[string]place{}
	}
	p.byPath[joinPath(path)] = place{p.spot(label), p.spot(value)}
}

func (p *places) spot(at core.Pos) spot {
	s := spot{line: uint32(at.Line), col: uint32(at.Col)}
	if at.File != p.Pos.File {
		i := slices.Index(p.Files, at.File)
		if i < 0 {
			i = len(p.Files)
			p.Files = append(p.Files, at.File)
		}
		s.file = uint32(i + 1)
	}
	return s
}

func (p *places) expand(s spot) core.Pos {
	at := core.Pos{File: p.Pos.File, Line: int(s.line), Col: int(s.col)}
	if s.file > 0 {
		at.File = p.Files[s.file-1]
	}
	return at
}

func (p *places) find(path []string) (place, bool) {
	key := joinPath(path)
	if p.Packed == nil {
		at, ok := p.byPath[key]
		return at, ok
	}
	var last []byte
	for rest := p.Packed; len(rest) > 0; {
		var at place
		last, at, rest = unpackPlace(last, rest)
		if string(last) == key {
			return at, true
		}
	}
	return place{}, false
}

// pack returns the same places in far less memory: there are dozens for each spec,
// and they are looked at when something is wrong with it. In order of their paths,
// each is how many bytes its path has in common with the one before, how many others
// follow, these, and its numbers.
func (p *places) pack() places {
	packed := []byte{}
	last := ""
	for _, path := range slices.Sorted(maps.Keys(p.byPath)) {
		same := 0
		for same < min(len(path), len(last)) && path[same] == last[same] {
			same++
		}
		packed = binary.AppendUvarint(packed, uint64(same))
		packed = binary.AppendUvarint(packed, uint64(len(path)-same))
		packed = append(packed, path[same:]...)
		at := p.byPath[path]
		for _, n := range []uint32{at.label.file, at.label.line, at.label.col, at.value.file, at.value.line, at.value.col} {
			packed = binary.AppendUvarint(packed, uint64(n))
		}
		last = path
	}
	return places{Pos: p.Pos, Files: p.Files, Packed: slices.Clip(packed)}
}

// unpackPlace returns the first place of packed, its path, and what follows it. Last
// is the path before it, which is overwritten.
func unpackPlace(last, packed []byte) (path []byte, at place, rest []byte) {
	number := func() int {
		n, size := binary.Uvarint(packed)
		packed = packed[size:]
		return int(n)
	}
	same, more := number(), number()
	path = append(last[:same], packed[:more]...)
	packed = packed[more:]
	for _, s := range []*spot{&at.label, &at.value} {
		s.file, s.line, s.col = uint32(number()), uint32(number()), uint32(number())
	}
	return path, at, packed
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
	return p.Pos
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
