package objpath

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Path is the steps from an object's root to a field.
type Path []Step

// A Step leads to a field of a map or to an item of a list.
type Step struct {
	Field string // of a map; empty: an item
	Keys  []Key  // item: the first whose fields have these values
	Index int    // item without Keys: the one at this place, from 0
}

// A Key is one field that tells an item of a list from the others. An empty Name
// means the item itself, in a list of strings.
type Key struct{ Name, Value string }

// String writes a path as Parse reads it.
func (p Path) String() string {
	var b strings.Builder
	for _, s := range p {
		switch {
		case s.Field != "":
			b.WriteString(Field(s.Field))
		case len(s.Keys) == 0:
			fmt.Fprintf(&b, "[%d]", s.Index)
		default:
			b.WriteString("[")
			for i, k := range s.Keys {
				if i > 0 {
					b.WriteString(",")
				}
				b.WriteString(k.Name + "=" + Value(k.Value))
			}
			b.WriteString("]")
		}
	}
	return b.String()
}

// Field writes a step to a field: .replicas, or ["x.json"].
func Field(name string) string {
	if isPlain(name) {
		return "." + name
	}
	return "[" + strconv.QuoteToASCII(name) + "]"
}

// Value writes the value of a key, quoted where it could be taken for syntax.
func Value(s string) string {
	for _, r := range s {
		if !isPlainRune(r) && !strings.ContainsRune("./:$", r) {
			return strconv.QuoteToASCII(s)
		}
	}
	if s == "" {
		return `""`
	}
	return s
}

func isPlain(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool { return !isPlainRune(r) })
}

func isPlainRune(r rune) bool {
	return r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

// MarshalText is String.
func (p Path) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is Parse.
func (p *Path) UnmarshalText(text []byte) (err error) {
	*p, err = Parse(string(text))
	return err
}

// Leads reports whether s leads to an item of a list that is at this place. A
// port without a protocol has the API's default, TCP.
func (s Step) Leads(item any, index int) bool {
	switch {
	case s.Field != "":
		return false
	case len(s.Keys) == 0:
		return s.Index == index
	}
	return !slices.ContainsFunc(s.Keys, func(k Key) bool { return !k.fits(item) })
}

func (k Key) fits(item any) bool {
	if k.Name == "" {
		s, ok := item.(string)
		return ok && s == k.Value
	}
	m, ok := item.(map[string]any)
	if !ok {
		return false
	}
	v, given := m[k.Name]
	if !given {
		return k.Name == "protocol" && k.Value == "TCP"
	}
	return fmt.Sprint(v) == k.Value
}

// Covers reports whether q leads, in an object, to where p does, or below.
func (p Path) Covers(q Path, object map[string]any) bool {
	if len(q) < len(p) {
		return false
	}
	var v any = object
	for i, s := range p {
		list, _ := v.([]any)
		at := q[i].find(list)
		switch {
		case s.Field != "" || q[i].Field != "":
			if s.Field != q[i].Field {
				return false
			}
		case at < 0 || !s.Leads(list[at], at):
			return false
		}
		v, _ = q[i].get(v)
	}
	return true
}

// find returns the place of the item that s leads to; -1 if there is none.
func (s Step) find(list []any) int {
	for i, item := range list {
		if s.Leads(item, i) {
			return i
		}
	}
	return -1
}
