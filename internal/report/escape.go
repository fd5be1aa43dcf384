package report

import (
	"maps"
	"slices"
	"strings"
)

// prose escapes a string for Markdown, not at the beginning of a line: nothing
// in it is markup, HTML, a mention, a reference or a link.
var prose = escaper(map[string]string{
	`\`: `\\`, "`": "\\`", "*": `\*`, "_": `\_`, "[": `\[`, "]": `\]`, "|": `\|`, "~": `\~`, "$": `\$`,
	"&": "&amp;", "<": "&lt;", ">": "&gt;",
	// A zero width space parts what a forge would link on its own.
	"@": "@\u200b", "#": "#\u200b", "://": ":\u200b//", "www.": "www\u200b.",
})

// html escapes a string for the text of an HTML element inside Markdown.
var html = escaper(map[string]string{
	`\`: "&#92;", "`": "&#96;", "*": "&#42;", "_": "&#95;", "[": "&#91;", "]": "&#93;", "|": "&#124;", "~": "&#126;", "$": "&#36;",
	"&": "&amp;", "<": "&lt;", ">": "&gt;", `"`: "&quot;", "@": "&#64;", "#": "&#35;", "://": "&#58;//", "www.": "www&#46;",
})

// escaper returns a function that makes one line of a string and replaces all
// that has a meaning.
func escaper(replace map[string]string) func(string) string {
	var oldnew []string
	for _, old := range slices.Sorted(maps.Keys(replace)) {
		oldnew = append(oldnew, old, replace[old])
	}
	r := strings.NewReplacer(oldnew...)
	return func(s string) string { return r.Replace(oneLine(s)) }
}

// code puts a string in a code span: no markup in it counts and nobody is
// mentioned. What could end the span, or the cell of a table around it, is
// written as HTML.
func code(s string) string {
	s = oneLine(s)
	if strings.TrimSpace(s) == "" || strings.ContainsAny(s, "`|\\<>&@") {
		return "<code>" + html(s) + "</code>"
	}
	return "`" + s + "`"
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
