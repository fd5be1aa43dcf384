package report

import (
	"strings"
)

// prose escapes a string for Markdown outside code: nothing in it is markup,
// HTML, a mention, a reference or a link. A zero width space parts what a forge
// would link on its own.
func prose(s string) string {
	var b strings.Builder
	for _, r := range oneLine(s) {
		switch {
		case strings.ContainsRune("\\`*_{}[]<>()|~&!+-=$^\"'", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '@' || r == '#':
			b.WriteRune(r)
			b.WriteRune('\u200b')
		case r == ':' || r == '.':
			b.WriteRune(r) // parted below where it makes a link
		default:
			b.WriteRune(r)
		}
	}
	out := strings.ReplaceAll(b.String(), "://", ":\u200b//")
	return strings.ReplaceAll(out, "www.", "www\u200b.")
}

// code puts a string in a code span: no markup in it counts, nobody is
// mentioned. Pipes are escaped, as a table cell needs it even there.
func code(s string) string {
	s = strings.ReplaceAll(oneLine(s), "|", `\|`)
	if strings.TrimSpace(s) == "" {
		return "` `"
	}
	ticks := strings.Repeat("`", longestRun(s, '`')+1)
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return ticks + s + ticks
}

// fence returns a code fence that nothing in body can close.
func fence(body string) string {
	return strings.Repeat("`", max(3, longestRun(body, '`')+1))
}

// longestRun is the length of the longest run of c in s.
func longestRun(s string, c byte) int {
	longest, run := 0, 0
	for i := range len(s) {
		if s[i] == c {
			run++
			longest = max(longest, run)
		} else {
			run = 0
		}
	}
	return longest
}
