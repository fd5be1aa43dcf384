package report

import (
	"strings"

	"prumo.dev/prumo/internal/core"
)

// A hunk is one line of a difference between two texts: '-', '+' or ' '.
type hunk struct {
	sign byte
	text string // escaped
}

// multiline reports whether a field is better shown line by line.
func multiline(f core.FieldChange) bool {
	from, _ := f.From.(string)
	to, _ := f.To.(string)
	return strings.Contains(strings.TrimRight(from, "\n"), "\n") || strings.Contains(strings.TrimRight(to, "\n"), "\n")
}

// hunks compares two texts by lines: what they begin and end with alike is cut
// to one line of context on each side. At most limit lines are returned.
func hunks(f core.FieldChange, limit int) []hunk {
	from, to := textLines(f.From), textLines(f.To)
	head := 0
	for head < len(from) && head < len(to) && from[head] == to[head] {
		head++
	}
	tail := 0
	for tail < len(from)-head && tail < len(to)-head && from[len(from)-1-tail] == to[len(to)-1-tail] {
		tail++
	}
	var out []hunk
	add := func(sign byte, lines []string) {
		for _, l := range lines {
			out = append(out, hunk{sign, oneLine(l)})
		}
	}
	add(' ', from[max(0, head-1):head])
	add('-', from[head:len(from)-tail])
	add('+', to[head:len(to)-tail])
	add(' ', from[len(from)-tail:min(len(from), len(from)-tail+1)])
	if len(out) > limit {
		more := len(out) - limit
		out = append(out[:limit:limit], hunk{' ', "… " + plural(more, "more line")})
	}
	return out
}

func textLines(v any) []string {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return strings.Split(strings.TrimSuffix(v, "\n"), "\n")
	}
	return []string{value(v)}
}
