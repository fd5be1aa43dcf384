package report

import (
	"io"
	"strings"

	"prumo.dev/prumo/internal/core"
)

// VerdictText writes a verdict for a terminal: one line a commit, and for a
// refusal what was found, what is needed, and how to mend it.
func VerdictText(w io.Writer, v core.Verdict, s Style) error {
	p := printer{Style: s}
	p.verdictText(v)
	return p.flush(w)
}

func (p *printer) verdictText(v core.Verdict) {
	signers, rules := 1, 1
	for _, c := range v.Commits {
		signers = max(signers, len([]rune(signer(c))))
		rules = max(rules, len([]rune(ruleNames(c))))
	}
	signers, rules = min(signers, 32), min(rules, 32)
	for _, c := range v.Commits {
		word := p.paint(added, "ok     ")
		if c.Refusal != nil {
			word = p.paint(removed, "refused")
		}
		p.line("%s  %s  %s  %s  %s", shortID(c.Commit), word, pad(signer(c), signers), pad(ruleNames(c), rules), short(oneLine(c.Subject), valueWidth))
		if c.Refusal != nil && (v.Refusal == nil || *c.Refusal != *v.Refusal) {
			p.line("            %s", oneLine(c.Refusal.Code+": "+c.Refusal.Found))
		}
	}
	if len(v.Commits) > 0 {
		p.line("")
	}
	for _, w := range v.Warnings {
		p.warning(w)
		p.line("")
	}
	if v.Refusal == nil {
		p.line("%s: %s is accepted, %s", p.paint(added, "ok"), shortID(v.To), plural(len(v.Commits), "commit")+" from "+shortID(v.From))
		return
	}
	if v.To == v.From {
		p.line("%s: %s stays in force, and nothing newer is obeyed", p.paint(removed, "refused"), shortID(v.From))
	} else {
		p.line("%s: %s is not obeyed; %s stays in force", p.paint(removed, "refused"), shortID(v.To), shortID(v.From))
	}
	p.refusal(*v.Refusal)
}

// refusal is the block that says why.
func (p *printer) refusal(r core.Refusal) {
	p.line("  code    %s", oneLine(r.Code))
	if r.Commit != "" {
		p.line("  commit  %s", oneLine(r.Commit))
	}
	if r.Path != "" {
		p.line("  path    %s", oneLine(r.Path))
	}
	if r.Rule != "" {
		p.line("  rule    %s", oneLine(r.Rule))
	}
	p.line("  found   %s", oneLine(r.Found))
	p.line("  needed  %s", oneLine(r.Needed))
	p.line("  remedy  %s", oneLine(r.Remedy))
	if r.Detail != "" {
		p.line("  detail  %s", oneLine(r.Detail))
	}
}

// warning is the block about what a person should look at.
func (p *printer) warning(w core.Warning) {
	p.line("%s: look at this", p.paint(warned, "warning"))
	p.line("  code    %s", oneLine(w.Code))
	if w.Commit != "" {
		p.line("  commit  %s", oneLine(w.Commit))
	}
	p.line("  found   %s", oneLine(w.Found))
	for _, c := range w.Commits {
		p.line("          %s  %s  %s", shortID(c.Commit), signer(c), short(oneLine(c.Subject), valueWidth))
	}
	p.line("  remedy  %s", oneLine(w.Remedy))
}

func shortID(commit string) string {
	if commit == "" {
		return "(none)"
	}
	return oneLine(core.Revision{Commit: commit}.Short())
}

// signer is who stands behind a commit: who signed it, and who approved it.
func signer(c core.CommitVerdict) string {
	switch {
	case c.Signer != "":
		return oneLine(strings.Join(append([]string{c.Signer}, c.Approvers...), "+"))
	case c.Key != "":
		return oneLine(c.Key)
	}
	return "-"
}

func ruleNames(c core.CommitVerdict) string {
	if len(c.Rules) == 0 {
		return "-"
	}
	return oneLine(strings.Join(c.Rules, ","))
}
