package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"prumo.dev/prumo/internal/core"
)

// Bounds of Markdown, so that a page of any plan can be read.
const (
	tableRows = 50
	nameWidth = 200 // bytes of a name or a message
	noteWidth = 400
	diffLines = 400 // of one object
)

// PlanMarkdown writes a plan as Markdown: counts, what to look at, a table, and
// the differences folded.
func PlanMarkdown(w io.Writer, plan core.Plan) error {
	_, err := io.WriteString(w, "# Plan for "+prose(subject(plan.Revision))+"\n\n"+planMarkdown(plan))
	return err
}

// DriftMarkdown writes drift as Markdown.
func DriftMarkdown(w io.Writer, drift core.Plan) error {
	_, err := io.WriteString(w, "# Drift from "+prose(subject(drift.Revision))+"\n\n"+driftMarkdown(drift))
	return err
}

// ReportMarkdown writes all that one pass found and did.
func ReportMarkdown(w io.Writer, r core.Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Report of %s\n\nIn force: %s  \n", code(r.Instance), code(subject(r.Revision)))
	if !r.Time.IsZero() {
		fmt.Fprintf(&b, "Time: %s\n", r.Time.UTC().Format(time.RFC3339))
	}
	for _, f := range r.Errors {
		fmt.Fprintf(&b, "\n**Error** in %s: %s\n", code(string(f.Stage)), code(f.Msg))
	}
	if r.Refused != nil {
		b.WriteString("\n## Refused\n\n" + refusalMarkdown(r.Refused))
	}
	if len(r.Warnings) > 0 {
		b.WriteString("\n## Warnings\n\n" + warningsMarkdown(r.Warnings))
	}
	if len(r.Problems) > 0 {
		b.WriteString("\n## Problems\n\n" + strings.Join(problemRows(r.Problems), ""))
	}
	if r.Plan != nil {
		b.WriteString("\n## Plan\n\n" + planMarkdown(*r.Plan))
	}
	if r.Drift != nil {
		b.WriteString("\n## Drift\n\n" + driftMarkdown(*r.Drift))
	}
	b.WriteString(recordsMarkdown(r))
	if r.Result != nil {
		b.WriteString("\n## Result\n\n" + resultMarkdown(*r.Result))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func planMarkdown(plan core.Plan) string {
	var b strings.Builder
	b.WriteString("**" + counts(plan, nil) + "**\n")
	if plan.Empty() {
		return b.String()
	}
	if rows := attention(plan); len(rows) > 0 {
		b.WriteString("\n" + attentionHead + strings.Join(rows, ""))
	}
	b.WriteString("\n" + tableHead)
	for _, c := range plan.Changes {
		b.WriteString(tableRow(c))
	}
	b.WriteString("\n")
	for _, c := range plan.Changes {
		b.WriteString(folded(c, changeDiff(c)))
	}
	fmt.Fprintf(&b, "\nPlan %s\n", code(plan.Hash))
	b.WriteString(approvalMarkdown(plan))
	return b.String()
}

func driftMarkdown(drift core.Plan) string {
	var b strings.Builder
	b.WriteString("**" + driftCounts(drift) + "**\n")
	if drift.Empty() {
		return b.String()
	}
	b.WriteString("\n| Drift | Object | Field | Live | Declared | Who |\n|---|---|---|---|---|---|\n")
	for _, c := range drift.Changes {
		for _, row := range driftRows(c) {
			b.WriteString(row)
		}
	}
	b.WriteString(approvalMarkdown(drift))
	return b.String()
}

// approvalMarkdown says how to let go on what a plan holds.
func approvalMarkdown(plan core.Plan) string {
	if plan.Approve == "" || !plan.Approvable() {
		return ""
	}
	return "\nTo approve what is held: " + code(plan.Approve) + "\n"
}

// driftRows are the table rows of one object.
func driftRows(c core.Change) []string {
	what, object := prose(string(c.Class)), code(short(c.ID.String(), nameWidth))
	if m := mode(c.Mode); m != "" {
		what += " (" + m + ")"
	}
	reason := c.Reason
	if reason == "" && c.Action == core.ActionCreate {
		reason = "it is gone"
	}
	reason = joined(reason, c.Later)
	known := prose(remembered(c, Style{}))
	var rows []string
	if reason != "" || len(c.Fields) == 0 {
		rows = append(rows, fmt.Sprintf("| %s | %s | %s | | | %s|\n", what, object, prose(short(reason, noteWidth)), spaced(known)))
		known = ""
	}
	if c.Action == core.ActionCreate {
		return rows // all its fields are gone with it
	}
	for i, f := range c.Fields {
		if i == tableRows {
			return append(rows, fmt.Sprintf("| %s | %s | and %s | | | |\n", what, object, plural(len(c.Fields)-i, "more field")))
		}
		from, to := values(f)
		rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s | %s | %s |\n", what, object, code(short(f.Path, nameWidth)),
			code(short(from, nameWidth)), code(short(to, nameWidth)), joined(prose(owner(f, Style{})), known)))
		known = ""
	}
	return rows
}

func resultMarkdown(r core.Result) string {
	var b strings.Builder
	b.WriteString("**" + prose(resultCounts(r)) + "**\n")
	var rows []string
	add := func(word string, o core.Outcome) {
		rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s |\n", prose(word), prose(string(o.Action)),
			code(short(o.ID.String(), nameWidth)), prose(short(o.Reason, noteWidth))))
	}
	for _, o := range r.Outcomes {
		if o.Status != core.StatusDone {
			add(string(o.Status), o)
		}
	}
	for _, o := range r.NotReady {
		add("not ready", o)
	}
	if len(rows) > 0 {
		b.WriteString("\n| Status | Action | Object | Why |\n|---|---|---|---|\n" + strings.Join(rows, ""))
	}
	return b.String()
}

func refusalMarkdown(v *core.Verdict) string {
	if v.Refusal == nil {
		return ""
	}
	r := *v.Refusal
	var b strings.Builder
	fmt.Fprintf(&b, "%s is not obeyed; %s stays in force.\n\n", code(shortID(v.To)), code(shortID(v.From)))
	row := func(name, s string) {
		if s != "" {
			fmt.Fprintf(&b, "- %s: %s\n", name, code(short(s, noteWidth)))
		}
	}
	row("Code", r.Code)
	row("Commit", r.Commit)
	row("Path", r.Path)
	row("Rule", r.Rule)
	row("Found", r.Found)
	row("Needed", r.Needed)
	row("Remedy", r.Remedy)
	return b.String()
}

func warningsMarkdown(warnings []core.Warning) string {
	var b strings.Builder
	for _, w := range warnings {
		fmt.Fprintf(&b, "- %s %s: %s\n", code(short(w.Code, nameWidth)), prose(short(w.Found, noteWidth)), prose(short(w.Remedy, noteWidth)))
		for _, c := range w.Commits {
			fmt.Fprintf(&b, "  - %s %s %s\n", code(shortID(c.Commit)), code(short(signer(c), nameWidth)), prose(short(c.Subject, noteWidth)))
		}
	}
	return b.String()
}

func problemRows(problems []core.Problem) []string {
	rows := make([]string, 0, len(problems))
	for _, p := range problems {
		rows = append(rows, fmt.Sprintf("- %s %s\n", code(short(p.Pos.String(), nameWidth)), prose(short(p.Msg, noteWidth))))
	}
	return rows
}

const attentionHead = "> [!WARNING]\n> **Needs attention**\n"

// attention are the lines of a plan that nobody should overlook: what deletes,
// disrupts, waits, or cannot be done.
func attention(plan core.Plan) []string {
	var rows []string
	for _, c := range byRisk(plan.Changes) {
		unseen := c.Action == core.ActionAdopt && c.Unchecked != ""
		if !unseen && c.Risk < core.RiskRestarts && c.Action != core.ActionHold && c.Action != core.ActionBlocked && c.Action != core.ActionRelease {
			continue
		}
		row := "> - **" + prose(verb(c)) + "** " + code(short(c.ID.String(), nameWidth))
		if c.Risk > core.RiskSafe {
			row += ": " + c.Risk.String()
		}
		if c.Reason != "" {
			row += "; " + prose(short(c.Reason, noteWidth))
		}
		if unseen {
			row += ": " + prose(short(c.Unchecked, noteWidth))
		}
		if s := hits(c); s != "" {
			row += "; " + prose(s)
		}
		for _, f := range c.Fields {
			if s := inUse(f); s != "" {
				row += "; " + code(short(f.Path, nameWidth)) + s
			}
		}
		rows = append(rows, row+"\n")
	}
	return rows
}

// byRisk puts what deletes first, then the riskier; else it keeps the order.
func byRisk(changes []core.Change) []core.Change {
	weight := func(c core.Change) int {
		w := int(c.Risk) * 2
		if c.Action == core.ActionDelete {
			w++
		}
		return -w
	}
	return slices.SortedStableFunc(slices.Values(changes), func(a, b core.Change) int { return weight(a) - weight(b) })
}

const tableHead = "| | Object | Change | Fields | Risk |\n|---|---|---|---|---|\n"

func tableRow(c core.Change) string {
	return fmt.Sprintf("| %s | %s | %s | %s | %s |\n", code(wordOf(c.Action).sign), code(short(c.ID.String(), nameWidth)),
		prose(verb(c)), fieldNames(c), c.Risk)
}

// fieldNames are the first differing fields of a change that is no creation.
func fieldNames(c core.Change) string {
	if c.Action == core.ActionCreate {
		return ""
	}
	if len(c.Fields) == 0 && len(c.Stays) > 0 {
		return plural(len(c.Stays), "field") + " not removed"
	}
	var names []string
	for i, f := range c.Fields {
		if i == 3 {
			names = append(names, fmt.Sprintf("and %d more", len(c.Fields)-i))
			break
		}
		names = append(names, code(short(f.Path, nameWidth/2)))
	}
	return strings.Join(names, ", ")
}

// changeDiff is the difference of one object, as lines that all begin with a
// sign, so that none can be taken for a command of the forge.
func changeDiff(c core.Change) string {
	var b strings.Builder
	lines := 0
	put := func(sign byte, s string) {
		if lines++; lines <= diffLines {
			fmt.Fprintf(&b, "%c %s\n", sign, s)
		}
	}
	for _, f := range c.Fields {
		title := oneLine(short(f.Path, 2*nameWidth))
		title += inUse(f)
		if o := owner(f, Style{}); o != "" {
			title += "   (" + o + ")"
		}
		put(' ', title)
		if multiline(f) {
			for _, h := range hunks(f, fieldLines) {
				put(h.sign, "  "+short(h.text, noteWidth))
			}
			continue
		}
		from, to := values(f)
		if f.From != nil {
			put('-', "  "+short(from, noteWidth))
		}
		if f.To != nil {
			put('+', "  "+short(to, noteWidth))
		}
	}
	for _, f := range c.Stays {
		put(' ', stays(f, Style{}))
	}
	if lines > diffLines {
		fmt.Fprintf(&b, "  … %s\n", plural(lines-diffLines, "more line"))
	}
	return b.String()
}

// folded is one object's difference, folded.
func folded(c core.Change, diff string) string {
	if diff == "" {
		return ""
	}
	f := fence(diff)
	place := ""
	if c.Pos.File != "" {
		place = " <code>" + html(short(c.Pos.String(), nameWidth)) + "</code>"
	}
	return fmt.Sprintf("\n<details><summary>%s <code>%s</code>%s</summary>\n\n%sdiff\n%s%s\n</details>\n",
		html(verb(c)), html(short(c.ID.String(), nameWidth)), place, f, diff, f)
}
