package report

import (
	"io"
	"strings"

	"prumo.dev/prumo/internal/core"
)

// ExplanationText writes who may change a path, and what a commit lacks.
func ExplanationText(w io.Writer, e core.Explanation, s Style) error {
	p := printer{Style: s}
	p.line("%s", p.paint(bold, oneLine(e.Path)))
	if len(e.Requirements) == 0 {
		p.line("  %s may change this: no rule speaks of it", p.paint(removed, "nobody"))
	}
	for _, r := range e.Requirements {
		p.requirement(r, e.Commit != nil)
	}
	if len(e.Requirements) > 1 {
		p.line("  all of these must be met")
	}
	if e.Trailer != "" {
		p.line("  and the commit, or the merge that brings it in, must say which branch it is for: %s", oneLine(e.Trailer))
	}
	if e.Commit != nil {
		p.line("")
		p.explainCommit(e)
	}
	return p.flush(w)
}

func (p *printer) requirement(r core.Requirement, judged bool) {
	who := "the root principals of the trust file"
	if len(r.Signers) > 0 {
		who = plural(r.Threshold, "signature") + " of " + oneLine(strings.Join(r.Signers, ", "))
	}
	if r.Distinct {
		who += ", none of them by whoever signs the commit"
	}
	if len(r.Ops) > 0 {
		who += " (to " + oneLine(strings.Join(r.Ops, ", ")) + ")"
	}
	p.line("  rule %s needs %s", oneLine(r.Rule), who)
	p.line("    from %s", oneLine(r.Policy))
	if !judged {
		return
	}
	if len(r.By) > 0 {
		p.line("    has %s", p.paint(added, oneLine(strings.Join(r.By, ", "))))
	}
	if n := r.Missing(); n > 0 {
		p.line("    %s", p.paint(removed, "lacks "+plural(n, "signature")))
	}
}

func (p *printer) explainCommit(e core.Explanation) {
	c := *e.Commit
	what := "does not change this path"
	if len(e.Changes) > 0 {
		what = "would " + strings.Join(e.Changes, " and ") + " it"
	}
	p.line("%s  %s", shortID(c.Commit), oneLine(c.Subject))
	p.line("  %s; signed by %s", what, signer(c))
	if c.Refusal == nil {
		p.line("  %s", p.paint(added, "may be obeyed"))
		return
	}
	p.line("  %s", p.paint(removed, "may not be obeyed"))
	p.refusal(*c.Refusal)
}
