package report

import (
	"io"
	"time"

	"prumo.dev/prumo/internal/core"
)

// ReportText writes all that one pass found and did, for a terminal.
func ReportText(w io.Writer, r core.Report, s Style) error {
	p := printer{Style: s}
	title := "Report"
	if r.Instance != "" {
		title += " of " + oneLine(r.Instance)
	}
	if !r.Time.IsZero() {
		title += ", " + r.Time.UTC().Format(time.RFC3339)
	}
	p.line("%s", p.paint(bold, title))
	p.line("in force  %s", subject(r.Revision))
	p.wrong(r)
	if r.Plan != nil {
		p.line("")
		p.planText(*r.Plan)
	}
	if r.Drift != nil {
		p.line("")
		p.driftText(*r.Drift)
	}
	p.recordsText(r)
	if r.Result != nil {
		p.line("")
		p.resultText(*r.Result)
	}
	return p.flush(w)
}

// AppliedText writes what one pass of apply did, for a terminal: what it put
// back field by field, the rest an object a line.
func AppliedText(w io.Writer, r core.Report, s Style) error {
	p := printer{Style: s}
	p.line("%s", p.paint(bold, "Apply "+subject(r.Revision)))
	p.wrong(r)
	if r.Drift != nil && !r.Drift.Empty() {
		p.line("")
		p.driftText(*r.Drift)
	}
	if r.Result != nil {
		p.line("")
		p.resultText(*r.Result)
	}
	if r.Plan != nil {
		p.approval(*r.Plan)
	}
	return p.flush(w)
}

// wrong is what kept a pass from obeying the repo as it stands.
func (p *printer) wrong(r core.Report) {
	for _, f := range r.Errors {
		p.line("%s %s: %s", p.paint(removed, "error"), oneLine(string(f.Stage)), oneLine(f.Msg))
	}
	if r.Refused != nil {
		p.line("")
		p.verdictText(*r.Refused)
	}
	for _, w := range r.Warnings {
		p.line("")
		p.warning(w)
	}
	if len(r.Problems) > 0 {
		p.line("")
		p.line("%s", p.paint(bold, plural(len(r.Problems), "problem")))
		p.problemsText(r.Problems)
	}
}
