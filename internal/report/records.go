package report

import (
	"fmt"
	"strings"

	"prumo.dev/prumo/internal/core"
)

// shownHistory is how many drifts of the past a terminal shows, if not asked for
// more.
const shownHistory = 10

// remembered says since when drift is known and how often it was put back: "first
// seen 3h ago; corrected 12 times".
func remembered(c core.Change, s Style) string {
	if c.FirstSeen.IsZero() {
		return ""
	}
	out := "first seen " + s.when(c.FirstSeen)
	if c.Corrected > 0 {
		out += "; corrected " + plural(c.Corrected, "time")
	}
	return out
}

// recordsText writes what is remembered of drift: the hardware that settles, the
// precautions, and the drift of the past.
func (p *printer) recordsText(r core.Report) {
	section := func(title string, lines []string) {
		if len(lines) == 0 {
			return
		}
		p.line("")
		p.line("%s", p.paint(bold, title))
		for _, l := range lines {
			p.line("%s", l)
		}
	}
	var settling, past []string
	for _, d := range r.Records {
		switch d.State {
		case core.DriftSettling:
			settling = append(settling, "? settling  "+p.record(d))
		case core.DriftCorrected, core.DriftGone:
			past = append(past, pad(oneLine(string(d.State)), 9)+"  "+p.record(d))
		}
	}
	if n := len(past) - shownHistory; n > 0 && !p.Verbose {
		past = append(past[:shownHistory], p.paint(dim, "… "+plural(n, "more drift")))
	}
	var precautions []string
	for _, c := range r.Precautions {
		precautions = append(precautions, p.precaution(c))
	}
	section("Hardware that differs, for too short a time to count", settling)
	section("Precautions", precautions)
	section("Drift of the past", past)
}

// record is one drift on a line.
func (p *printer) record(d core.DriftRecord) string {
	line := p.paint(bold, oneLine(d.Object.String()))
	if d.Path != "" {
		from, to := values(core.FieldChange{From: d.Found, To: d.Wanted})
		verb := "was"
		if d.State == core.DriftSettling {
			verb = "is"
		}
		line += fmt.Sprintf("  %s: %s %s, declared %s", oneLine(short(d.Path, 2*valueWidth)), verb, short(from, valueWidth), short(to, valueWidth))
	} else {
		line += "  " + oneLine(string(d.Class))
	}
	return line + "  " + p.paint(dim, "("+story(d, p.Style)+")")
}

// joined are two phrases, of which either may be missing.
func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// spaced is a cell of a table that may be empty.
func spaced(s string) string {
	if s == "" {
		return ""
	}
	return s + " "
}

// story is who a drift comes from, since when, and what became of it.
func story(d core.DriftRecord, s Style) string {
	var parts []string
	if d.Manager != "" {
		parts = append(parts, oneLine(short(d.Manager, 80)))
	}
	parts = append(parts, "first seen "+s.when(d.FirstSeen))
	if !d.Since.Equal(d.FirstSeen) {
		parts = append(parts, oneLine(string(d.State))+" "+s.when(d.Since))
	}
	if d.Times > 1 {
		parts = append(parts, "came "+plural(d.Times, "time"))
	}
	if d.Corrected > 1 {
		parts = append(parts, "corrected "+plural(d.Corrected, "time"))
	}
	return strings.Join(parts, ", ")
}

func (p *printer) precaution(c core.Precaution) string {
	line := p.paint(bold, oneLine(c.Spec.String())) + "  since " + p.when(c.Since) + ": " + oneLine(c.Reason)
	if !c.Well.IsZero() {
		line += "; the hardware is as declared again, since " + p.when(c.Well)
	}
	return line
}

// recordsMarkdown writes the same as tables.
func recordsMarkdown(r core.Report) string {
	var b strings.Builder
	if len(r.Precautions) > 0 {
		b.WriteString("\n## Precautions\n\n| Spec | Since | Hardware |\n|---|---|---|\n")
	}
	for _, c := range r.Precautions {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", code(short(c.Spec.String(), nameWidth)), prose(Style{}.when(c.Since)), prose(short(c.Reason, noteWidth)))
	}
	var rows []string
	for _, d := range r.Records {
		if d.State == core.DriftOpen {
			continue // it stands under Drift
		}
		field := "| | |"
		if d.Path != "" {
			from, to := values(core.FieldChange{From: d.Found, To: d.Wanted})
			field = fmt.Sprintf("%s | %s | %s |", code(short(d.Path, nameWidth)), code(short(from, nameWidth)), code(short(to, nameWidth)))
		}
		rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s %s |\n", prose(string(d.State)), prose(string(d.Class)),
			code(short(d.Object.String(), nameWidth)), field, prose(story(d, Style{}))))
	}
	if len(rows) > 0 {
		b.WriteString("\n## Drift of the past, and hardware that settles\n\n" +
			"| State | Drift | Object | Field | Was | Declared | Who, when |\n|---|---|---|---|---|---|---|\n")
		b.WriteString(strings.Join(rows[:min(len(rows), tableRows)], ""))
	}
	return b.String()
}
