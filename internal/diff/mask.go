package diff

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"prumo.dev/prumo/internal/core"
)

// What stands in the place of a value that is not shown. Nothing of the value,
// its length included, can be told from it.
const (
	hiddenFrom = "(hidden)"
	hiddenTo   = "(hidden, changed)"
	hiddenNew  = "(hidden)"
	notOurs    = "(not ours, not shown)"
	notSaid    = "(not declared before, not shown)"
)

// maxValue is the longest value that a plan shows, in bytes.
const maxValue = 1024

// objectCopies are annotations that hold a copy of the whole object, secrets
// included; they are never compared, hence never shown (GHSA-rg3g-4rw9-gqrp).
var objectCopies = map[string]bool{
	"kubectl.kubernetes.io/last-applied-configuration": true,
	"kapp.k14s.io/original":                            true,
	"objectset.rio.cattle.io/applied":                  true,
	"banzaicloud.com/last-applied":                     true,
}

// urlLogin is the password of a URL's login, or a login that is a token.
var urlLogin = regexp.MustCompile(`(://(?:[^/\s:@]*:)?)[^/\s:@]+@`)

// isSecret reports whether a map, by its own word, is a Secret. The kind that a
// caller has in mind is not asked: it can be forged (argo-cd PR 29089).
func isSecret(m map[string]any) bool {
	kind, _ := m["kind"].(string)
	return strings.EqualFold(kind, "Secret")
}

// openInSecret reports whether the field name at path, in a Secret, may be
// shown. Everything else is hidden: an annotation may repeat the data.
func openInSecret(path []segment, name string) bool {
	switch len(path) {
	case 0:
		return name == "type" || name == "immutable"
	case 1:
		return path[0].field == "metadata" && (name == "labels" || name == "finalizers" || name == "ownerReferences")
	}
	return path[0].field == "metadata" && path[1].field == "annotations" && isMark(name)
}

// mask returns the values of a leaf as people may see them. Of a foreign object,
// one that lives and is not ours, only what was rendered is shown.
func (s sensitivity) mask(l leaf, foreign bool) (from, to any) {
	seen := l
	if l.alien || foreign {
		seen.from = nil // what it looks like is not told either
	}
	if s.hides(seen) {
		return hideBoth(l)
	}
	from, to = l.from, l.to
	switch {
	case from == nil:
	case foreign:
		from = notOurs
	case l.alien:
		from = notSaid
	}
	if l.merged {
		to = notOurs
	}
	return display(from, to), display(to, from)
}

func hideBoth(l leaf) (from, to any) {
	switch {
	case l.from == nil:
		return nil, hiddenNew
	case l.to == nil:
		return hiddenFrom, nil
	}
	return hiddenFrom, hiddenTo
}

// isRendered reports whether the wanted value of a leaf is what rendered says,
// not something that the server merged into it.
func isRendered(l leaf, rendered map[string]any) bool {
	v := lookup(rendered, l.path)
	return v != nil && (l.to == present || same(l.path, v, l.to))
}

// lookup returns what an object has at path, or nil.
func lookup(object map[string]any, path []segment) any {
	var v any = object
	for _, s := range path {
		switch at := v.(type) {
		case map[string]any:
			v = at[s.field]
		case []any:
			v = findItem(at, s)
		default:
			return nil
		}
	}
	return v
}

// findItem returns the item of list that segment s names, or nil.
func findItem(list []any, s segment) any {
	for i, item := range list {
		if s.key == fmt.Sprint(i) {
			return item
		}
		for _, names := range keyNames(s.key) {
			if key, ok := itemKey(names, item); ok && key == s.key {
				return item
			}
		}
	}
	return nil
}

// keyNames returns the key fields that a segment's key may be made of.
func keyNames(key string) [][]string {
	if strings.HasPrefix(key, "=") {
		return [][]string{{""}}
	}
	names := [][]string{{"name"}}
	for _, candidates := range listKeys {
		for _, c := range candidates {
			if strings.HasPrefix(key, c[0]+"=") {
				names = append(names, c)
			}
		}
	}
	return names
}

// display bounds and cleans a value. Of a long one, the part is shown where it
// begins to differ from other.
func display(v, other any) any {
	switch v := v.(type) {
	case nil, bool, int, int64, float64:
		return v
	case string:
		o, _ := other.(string)
		return cut(clean(v), clean(o))
	case map[string]any:
		return counted(len(v), "{}", "field")
	case []any:
		return counted(len(v), "[]", "item")
	}
	return "(unknown type)"
}

// counted stands for a whole object or list: what is in it was not looked at
// field by field, so it might hold secrets and is not shown.
func counted(n int, empty, unit string) string {
	switch n {
	case 0:
		return empty
	case 1:
		return fmt.Sprintf("(1 %s)", unit)
	}
	return fmt.Sprintf("(%d %ss)", n, unit)
}

// cut bounds a value to maxValue bytes.
func cut(s, other string) string {
	if len(s) <= maxValue {
		return s
	}
	start := 0
	for start < len(s) && start < len(other) && s[start] == other[start] {
		start++
	}
	if start = max(0, start-maxValue/4); start+maxValue > len(s) {
		start = len(s) - maxValue
	}
	end := start + maxValue
	for start > 0 && !utf8.RuneStart(s[start]) {
		start--
	}
	for end < len(s) && !utf8.RuneStart(s[end]) {
		end--
	}
	out := s[start:end]
	if start > 0 {
		out = fmt.Sprintf("(%d bytes before) … %s", start, out)
	}
	if end < len(s) {
		out = fmt.Sprintf("%s … (%d bytes more)", out, len(s)-end)
	}
	return out
}

// clean hides logins in URLs and escapes what is not text: a plan is read on
// terminals. Line breaks and tabs stay.
func clean(s string) string {
	s = urlLogin.ReplaceAllString(s, "${1}"+hiddenFrom+"@")
	if utf8.ValidString(s) && !strings.ContainsFunc(s, escapes) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case escapes(r) && r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case escapes(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// escapes reports whether r moves a cursor, turns the direction of text or
// cannot be seen.
func escapes(r rune) bool {
	return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029')
}

// isMark reports whether a label or annotation is one of Prumo's marks.
func isMark(name string) bool {
	switch name {
	case core.LabelOwner, core.AnnotationID, core.AnnotationSpec, core.AnnotationOrigin, core.AnnotationTaints:
		return true
	}
	return false
}
