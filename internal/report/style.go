package report

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Style says how text for a terminal looks.
type Style struct {
	Color   bool      // ANSI colours
	Now     time.Time // ages are told from it; zero: points in time are
	Verbose bool      // the fields of new objects, and every object that is not ready
}

// The colours, by meaning.
const (
	added   = "32"
	removed = "31"
	altered = "33"
	warned  = "35"
	bold    = "1"
	dim     = "2"
)

// A printer collects text and writes it at once, so that a broken pipe is one
// error.
type printer struct {
	strings.Builder
	Style
}

// line adds a line.
func (p *printer) line(format string, args ...any) {
	fmt.Fprintf(&p.Builder, format+"\n", args...)
}

// paint colours s.
func (p *printer) paint(color, s string) string {
	if !p.Color || s == "" {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

// flush writes all to w.
func (p *printer) flush(w io.Writer) error {
	_, err := io.WriteString(w, p.String())
	return err
}

// when tells a point in time: "3m ago", or the time itself.
func (s Style) when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	if s.Now.IsZero() {
		return t.UTC().Format(time.RFC3339)
	}
	switch d := s.Now.Sub(t); {
	case d < time.Second:
		return "just now"
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd ago", int(d.Hours()/24))
	}
}

// until tells a point in time to come: "in 3m", or the time itself. Of one that has
// passed it says nothing.
func (s Style) until(t time.Time) string {
	d := t.Sub(s.Now)
	switch {
	case t.IsZero() || d <= 0:
		return ""
	case s.Now.IsZero():
		return "at " + t.UTC().Format(time.RFC3339)
	case d < time.Minute:
		return fmt.Sprintf("in %ds", int(math.Ceil(d.Seconds())))
	}
	return fmt.Sprintf("in %dm", int(math.Ceil(d.Minutes())))
}

// oneLine escapes all that is not plain text on one line: control characters,
// characters that turn its direction or cannot be seen, and what is not UTF-8.
func oneLine(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, escapes) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
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

func escapes(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}

// short makes one line of s, of at most n bytes, cut at a rune.
func short(s string, n int) string {
	s = oneLine(s)
	if len(s) <= n {
		return s
	}
	end := max(0, n-len("…"))
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// pad fills s with blanks to n characters.
func pad(s string, n int) string {
	return s + strings.Repeat(" ", max(0, n-utf8.RuneCountInString(s)))
}

// plural is "1 object" or "2 objects".
func plural(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
