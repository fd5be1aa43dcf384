package render

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math"
	"slices"
)

// packed is plain data, in JSON's shape, as bytes: equal data are equal bytes.
//
// What was rendered is kept like this until all is evaluated. Evaluating makes much
// garbage, so the collector runs often: it passes over bytes, where it would walk
// tens of thousands of small maps each time, and these would lie scattered among the
// garbage and hold on to its memory.
type packed []byte

// Each value begins with one of these.
const (
	packedNull   = 'n'
	packedTrue   = 't'
	packedFalse  = 'f'
	packedInt    = 'i'
	packedFloat  = 'd'
	packedString = 's'
	packedList   = 'l'
	packedMap    = 'm'
)

// pack returns plain data as bytes, and no more memory than these need.
func pack(v any) packed { return bytes.Clone(packed(nil).pack(v)) }

// pack appends a value as toGo returns it.
func (p packed) pack(v any) packed {
	switch v := v.(type) {
	case bool:
		if v {
			return append(p, packedTrue)
		}
		return append(p, packedFalse)
	case int64:
		return binary.AppendVarint(append(p, packedInt), v)
	case float64:
		return binary.BigEndian.AppendUint64(append(p, packedFloat), math.Float64bits(v))
	case string:
		return append(p, packedString).text(v)
	case []any:
		p = binary.AppendUvarint(append(p, packedList), uint64(len(v)))
		for _, e := range v {
			p = p.pack(e)
		}
		return p
	case map[string]any:
		p = binary.AppendUvarint(append(p, packedMap), uint64(len(v)))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			p = p.text(k).pack(v[k])
		}
		return p
	}
	return append(p, packedNull)
}

func (p packed) text(s string) packed {
	return append(binary.AppendUvarint(p, uint64(len(s))), s...)
}

// unpack returns the first value of p and what follows it. Strings are those of in,
// if there is one.
func (p packed) unpack(in *interner) (any, packed) {
	what, p := p[0], p[1:]
	switch what {
	case packedTrue, packedFalse:
		return what == packedTrue, p
	case packedInt:
		n, size := binary.Varint(p)
		return n, p[size:]
	case packedFloat:
		return math.Float64frombits(binary.BigEndian.Uint64(p)), p[8:]
	case packedString:
		return p.string(in)
	case packedList:
		n, p := p.length()
		list := make([]any, n)
		for i := range list {
			list[i], p = p.unpack(in)
		}
		return list, p
	case packedMap:
		n, p := p.length()
		m := make(map[string]any, n)
		for range n {
			var k string
			k, p = p.string(in)
			m[k], p = p.unpack(in)
		}
		return m, p
	}
	return nil, p
}

// maxPackedDepth bounds how deep packed data may nest: far deeper than documents may.
const maxPackedDepth = 1000

// count returns how many values p is, one after the other; -1 if it is something else.
func (p packed) count() (n int) {
	for ok := true; len(p) > 0; n++ {
		if p, ok = p.skip(0); !ok {
			return -1
		}
	}
	return n
}

// skip returns what follows the first value of p. It is not ok if p begins with none.
func (p packed) skip(depth int) (rest packed, ok bool) {
	if len(p) == 0 || depth > maxPackedDepth {
		return nil, false
	}
	what, p := p[0], p[1:]
	switch what {
	case packedNull, packedTrue, packedFalse:
		return p, true
	case packedInt:
		_, size := binary.Varint(p)
		return p[max(size, 0):], size > 0
	case packedFloat:
		return p[min(8, len(p)):], len(p) >= 8
	case packedString:
		return p.skipText()
	case packedList, packedMap:
		n, size := binary.Uvarint(p)
		if size <= 0 || n > uint64(len(p)) { // each takes a byte at least
			return nil, false
		}
		p, ok = p[size:], true
		for ; n > 0 && ok; n-- {
			if what == packedMap {
				if p, ok = p.skipText(); !ok {
					break
				}
			}
			p, ok = p.skip(depth + 1)
		}
		return p, ok
	}
	return nil, false
}

func (p packed) skipText() (rest packed, ok bool) {
	n, size := binary.Uvarint(p)
	if size <= 0 || n > uint64(len(p)-size) {
		return nil, false
	}
	return p[size+int(n):], true
}

func (p packed) length() (int, packed) {
	n, size := binary.Uvarint(p)
	return int(n), p[size:]
}

func (p packed) string(in *interner) (string, packed) {
	n, p := p.length()
	if in == nil {
		return string(p[:n]), p[n:]
	}
	return in.text(p[:n]), p[n:]
}

// value is the only value of p.
func (p packed) value() any {
	v, _ := p.unpack(nil)
	return v
}
