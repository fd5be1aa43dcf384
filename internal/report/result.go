package report

import (
	"fmt"
	"strings"
	"time"

	"prumo.dev/prumo/internal/core"
)

// statuses in the order in which they are counted.
var statuses = []struct {
	status core.Status
	color  string
}{
	{core.StatusDone, added},
	{core.StatusFailed, removed},
	{core.StatusBlocked, warned},
	{core.StatusHeld, warned},
	{core.StatusSkipped, dim},
}

// resultText writes what a plan became: one line an object, and the counts last.
func (p *printer) resultText(r core.Result) {
	for _, o := range r.Outcomes {
		p.outcome(string(o.Status), statusColor(o.Status), o)
	}
	if p.Verbose {
		for _, o := range r.NotReady {
			p.outcome("not ready", warned, o)
		}
	}
	if len(r.Outcomes)+len(r.NotReady) > 0 {
		p.line("")
	}
	p.line("%s", p.paint(bold, resultCounts(r)))
}

func (p *printer) outcome(word, color string, o core.Outcome) {
	line := p.paint(color, pad(word, 9)) + "  " + pad(oneLine(string(o.Action)), 7) + "  " + oneLine(o.ID.String())
	if o.Reason != "" {
		line += "  " + p.paint(dim, "("+oneLine(o.Reason)+")")
	}
	p.line("%s", line)
	p.serverSays(o.ServerSays)
}

func statusColor(s core.Status) string {
	for _, x := range statuses {
		if x.status == s {
			return x.color
		}
	}
	return dim
}

// resultCounts is "12 done · 1 failed · 1 not ready in 1.2s".
func resultCounts(r core.Result) string {
	var parts []string
	for _, x := range statuses {
		if n := r.Count(x.status); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, x.status))
		}
	}
	if n := len(r.NotReady); n > 0 {
		parts = append(parts, fmt.Sprintf("%d not ready yet", n))
	}
	if len(parts) == 0 {
		parts = append(parts, "nothing to do")
	}
	out := strings.Join(parts, " · ")
	if r.Took > 0 {
		out += " in " + r.Took.Round(time.Millisecond).String()
	}
	return out
}
