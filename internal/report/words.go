package report

import (
	"fmt"
	"strings"

	"prumo.dev/prumo/internal/core"
)

// A word is how an action stands in a plan.
type word struct {
	sign  string // one character, so that a plan can be scanned by its margin
	verb  string
	count string // as in "2 to create"
	color string
}

// words in the order in which they are counted.
var words = []struct {
	action core.Action
	word
}{
	{core.ActionCreate, word{"+", "create", "to create", added}},
	{core.ActionUpdate, word{"~", "update", "to change", altered}},
	{core.ActionAdopt, word{"~", "adopt", "to adopt", altered}},
	{core.ActionReplace, word{"-", "replace", "to replace", removed}},
	{core.ActionDelete, word{"-", "delete", "to delete", removed}},
	{core.ActionRelease, word{"-", "release", "to release", altered}},
	{core.ActionHold, word{"!", "held", "held", warned}},
	{core.ActionBlocked, word{"!", "blocked", "blocked", warned}},
	{core.ActionObserve, word{"?", "hardware", "hardware differing", warned}},
}

func wordOf(a core.Action) word {
	for _, w := range words {
		if w.action == a {
			return w.word
		}
	}
	return word{"?", oneLine(string(a)), oneLine(string(a)), warned}
}

// verb is what a change does, with what waits: "held: delete".
func verb(c core.Change) string {
	v := wordOf(c.Action).verb
	if c.Action == core.ActionHold {
		v += ": " + wordOf(c.Wanted).verb
	}
	return v
}

// counts is "2 to create · 1 to change · 14 unchanged"; loud marks what deletes.
func counts(p core.Plan, loud func(string) string) string {
	var parts []string
	for _, w := range words {
		n := p.Count(w.action)
		if n == 0 {
			continue
		}
		part := fmt.Sprintf("%d %s", n, w.count)
		if w.action == core.ActionHold {
			part += held(p)
		}
		if loud != nil && (w.action == core.ActionDelete || w.action == core.ActionReplace || w.action == core.ActionHold) {
			part = loud(part)
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		parts = append(parts, "nothing to change")
	}
	if p.Unchanged > 0 {
		parts = append(parts, fmt.Sprintf("%d unchanged", p.Unchanged))
	}
	return strings.Join(parts, " · ")
}

// held says what waits: " (2 delete, 1 replace)".
func held(p core.Plan) string {
	var parts []string
	for _, w := range words {
		n := 0
		for _, c := range p.Changes {
			if c.Action == core.ActionHold && c.Wanted == w.action {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, w.verb))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// value writes one side of a difference on one line.
func value(v any) string {
	switch v := v.(type) {
	case nil:
		return "(none)"
	case string:
		if v == "" || strings.TrimSpace(v) != v {
			return `"` + oneLine(v) + `"`
		}
		return oneLine(v)
	}
	return oneLine(fmt.Sprint(v))
}

// values writes both sides, telling "8" from 8 where they would look alike.
func values(f core.FieldChange) (from, to string) {
	from, to = value(f.From), value(f.To)
	if from == to && f.From != nil && f.To != nil {
		return fmt.Sprintf("%s (%s)", from, jsonType(f.From)), fmt.Sprintf("%s (%s)", to, jsonType(f.To))
	}
	return from, to
}

func jsonType(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	}
	return "number"
}

// owner says who owns the live value, and since when: "kubectl-edit, 3m ago".
func owner(f core.FieldChange, s Style) string {
	if f.Manager == "" || f.Manager == core.FieldManager {
		return ""
	}
	out := oneLine(short(f.Manager, 80))
	if f.Operation == "Apply" {
		out += " declares it"
	}
	if t := s.when(f.Since); t != "" {
		out += ", " + t
	}
	return out
}

// stays says that a field which is no longer declared is not removed, and why.
func stays(c core.Conflict, s Style) string {
	who := owner(core.FieldChange{Manager: c.Manager, Since: c.Since}, s)
	return fmt.Sprintf("%s: not removed, also owned by %s", oneLine(short(c.Path, 2*valueWidth)), who)
}

// hits names the pods that a change hits: "hits 3 pods that hold 24 GPUs: …".
func hits(c core.Change) string {
	switch {
	case c.Hits == nil:
		return ""
	case c.Hits.Unknown != "":
		return "which pods it hits is not known: " + oneLine(short(c.Hits.Unknown, noteWidth))
	}
	text := "hits " + plural(c.Hits.Total, "pod")
	if c.Hits.GPUs > 0 {
		text += fmt.Sprintf(" (%s)", plural(int(c.Hits.GPUs), "GPU"))
	}
	var names []string
	for _, pod := range c.Hits.Pods {
		name := oneLine(short(pod.Namespace+"/"+pod.Name, nameWidth))
		if pod.GPUs > 0 {
			name += fmt.Sprintf(" (%s)", plural(int(pod.GPUs), "GPU"))
		}
		names = append(names, name)
	}
	if more := c.Hits.Total - len(c.Hits.Pods); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return text + ": " + strings.Join(names, ", ")
}

// inUse says how much of a lowered quota is used now: " (6 in use)".
func inUse(f core.FieldChange) string {
	if f.Used == "" {
		return ""
	}
	return fmt.Sprintf(" (%s in use)", oneLine(short(f.Used, 40)))
}

// mode says how drift of a spec is met, where that is not the default.
func mode(m core.DriftMode) string {
	switch m {
	case core.DriftReport:
		return "report only"
	case core.DriftIgnore:
		return "ignored"
	}
	return ""
}

// subject is "3f2a1c9e0b (main, signed by alice)".
func subject(r core.Revision) string {
	var parts []string
	if r.Ref != "" {
		parts = append(parts, oneLine(strings.TrimPrefix(r.Ref, "refs/heads/")))
	}
	if r.Signer != "" {
		parts = append(parts, "signed by "+oneLine(r.Signer))
	}
	if len(parts) == 0 {
		return oneLine(r.Short())
	}
	return fmt.Sprintf("%s (%s)", oneLine(r.Short()), strings.Join(parts, ", "))
}
