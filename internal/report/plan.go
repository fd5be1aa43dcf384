package report

import (
	"fmt"
	"io"
	"strings"

	"prumo.dev/prumo/internal/core"
)

// What one object shows on a terminal at most.
const (
	createFields = 12  // of a new object, if asked for; the rest is in the repo
	updateFields = 100 // the rest is in the JSON
	fieldLines   = 40  // of one value that has many lines
	valueWidth   = 160 // bytes of a value on one line
)

// PlanText writes a plan for a terminal: counts first and last, one object a
// line, its fields below.
func PlanText(w io.Writer, plan core.Plan, s Style) error {
	p := printer{Style: s}
	p.planText(plan)
	return p.flush(w)
}

func (p *printer) planText(plan core.Plan) {
	p.line("%s", p.paint(bold, "Plan for "+subject(plan.Revision)))
	p.line("%s", counts(plan, nil))
	if plan.Empty() {
		return
	}
	detailed := true // the object before has lines of its own
	for _, c := range plan.Changes {
		before := detailed
		if detailed = p.detailed(c); before || detailed {
			p.line("")
		}
		w := wordOf(c.Action)
		p.heading(w.color, w.sign+" "+pad(verb(c), 8), c)
		if !detailed {
			continue
		}
		p.notes(c)
		p.fields(c, func(f core.FieldChange) string {
			from, to := values(f)
			from, to = short(from, valueWidth), short(to, valueWidth)
			if f.From == nil {
				return p.paint(added, to)
			}
			return p.paint(removed, from) + " → " + p.paint(added, to)
		})
	}
	p.line("")
	p.line("%s", p.paint(bold, counts(plan, nil)))
	p.line("%s", p.paint(dim, "plan "+oneLine(plan.Hash)))
	p.approval(plan)
}

// approval says how to let go on what a plan holds.
func (p *printer) approval(plan core.Plan) {
	switch {
	case !plan.Approvable():
	case plan.Approve != "":
		p.line("%s", p.paint(warned, "to approve what is held: "+oneLine(plan.Approve)))
	default:
		p.line("%s", p.paint(warned, "what is held waits for an approval: plan again to see how to give it"))
	}
}

// detailed reports whether an object has more than its line. What a new object
// holds is in the repo, and stands here only if asked for.
func (p *printer) detailed(c core.Change) bool {
	if c.Action == core.ActionCreate && !p.Verbose {
		return false
	}
	return c.Reason != "" || c.Unchecked != "" || len(c.Fields)+len(c.Stays) > 0 || c.Hits != nil
}

// DriftText writes drift for a terminal: what left the declared state, how, and
// who did it.
func DriftText(w io.Writer, drift core.Plan, s Style) error {
	p := printer{Style: s}
	p.driftText(drift)
	return p.flush(w)
}

func (p *printer) driftText(drift core.Plan) {
	p.line("%s", p.paint(bold, "Drift from "+subject(drift.Revision)))
	p.line("%s", driftCounts(drift))
	if drift.Empty() {
		return
	}
	for _, c := range drift.Changes {
		p.line("")
		p.heading(classColor(c.Class), "! "+pad(string(c.Class), 8), c)
		p.notes(c)
		if c.Class == core.DriftDeleted && c.Action == core.ActionCreate {
			continue // all fields are gone: the object's name says it
		}
		p.fields(c, func(f core.FieldChange) string {
			from, to := values(f)
			return fmt.Sprintf("is %s, declared %s", p.paint(removed, short(from, valueWidth)), p.paint(added, short(to, valueWidth)))
		})
	}
	p.line("")
	p.line("%s", p.paint(bold, driftCounts(drift)))
	p.approval(drift)
}

func driftCounts(drift core.Plan) string {
	var parts []string
	for _, class := range core.DriftClasses() {
		n := 0
		for _, c := range drift.Changes {
			if c.Class == class {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, class))
		}
	}
	if len(parts) == 0 {
		return "no drift"
	}
	return strings.Join(parts, " · ")
}

func classColor(c core.DriftClass) string {
	switch c {
	case core.DriftDeleted, core.DriftOrphan:
		return removed
	case core.DriftEdited, core.DriftUnowned:
		return altered
	}
	return warned
}

// heading is the line of an object: sign and verb, name, place, risk.
func (p *printer) heading(color, what string, c core.Change) {
	line := p.paint(color, what) + "  " + p.paint(bold, oneLine(c.ID.String()))
	if c.Pos.File != "" {
		line += "  " + p.paint(dim, oneLine(c.Pos.String()))
	}
	var tags []string
	if c.Risk > core.RiskSafe {
		tags = append(tags, c.Risk.String())
	}
	if m := mode(c.Mode); m != "" {
		tags = append(tags, m)
	}
	if len(tags) > 0 {
		line += "  " + p.paint(warned, "["+strings.Join(tags, ", ")+"]")
	}
	p.line("%s", line)
}

// notes are the lines that say why.
func (p *printer) notes(c core.Change) {
	if c.Reason != "" {
		p.line("    %s", oneLine(c.Reason))
	}
	p.serverSays(c.ServerSays)
	if s := p.until(c.RetryAt); s != "" {
		p.line("    %s", p.paint(dim, "tried again "+s))
	}
	if s := hits(c); s != "" {
		p.line("    %s", p.paint(warned, s))
	}
	if c.Later != "" {
		p.line("    %s", p.paint(warned, oneLine(c.Later)))
	}
	if known := remembered(c, p.Style); known != "" {
		p.line("    %s", p.paint(dim, known))
	}
	if c.Unchecked != "" {
		p.line("    not checked by the server: %s", oneLine(c.Unchecked))
	}
	for i, f := range c.Stays {
		if i == createFields {
			p.line("    %s", p.paint(dim, "… "+plural(len(c.Stays)-i, "more field")+" not removed"))
			break
		}
		p.line("    %s", stays(f, p.Style))
	}
}

// serverSays is the API server's own message. It is for a terminal and never for a
// page that others read: it may quote live values.
func (p *printer) serverSays(message string) {
	if message != "" {
		p.line("    %s", p.paint(dim, "the API server says: "+oneLine(message)))
	}
}

// fields are the differing fields of an object; show writes their values.
func (p *printer) fields(c core.Change, show func(core.FieldChange) string) {
	limit := updateFields
	if c.Action == core.ActionCreate {
		limit = createFields
	}
	for i, f := range c.Fields {
		if i == limit {
			p.line("    %s", p.paint(dim, "… "+plural(len(c.Fields)-i, "more field")))
			return
		}
		path := oneLine(short(f.Path, 2*valueWidth))
		by := ""
		if o := owner(f, p.Style); o != "" {
			by = "   " + p.paint(dim, "("+o+")")
		}
		if !multiline(f) {
			p.line("    %s: %s%s%s", path, show(f), inUse(f), by)
			continue
		}
		p.line("    %s:%s", path, by)
		for _, h := range hunks(f, fieldLines) {
			p.line("      %s", p.paintHunk(h))
		}
	}
}

func (p *printer) paintHunk(h hunk) string {
	text := string(h.sign) + " " + short(h.text, valueWidth)
	switch h.sign {
	case '-':
		return p.paint(removed, text)
	case '+':
		return p.paint(added, text)
	}
	return text
}
