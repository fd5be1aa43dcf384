package drift

import (
	"fmt"
	"slices"
	"time"

	"prumo.dev/prumo/internal/core"
)

// flapTimes is how often hardware may differ for a short time, within ten
// debounces, before that is told as drift of its own.
const flapTimes = 3

// Hardware takes in how hardware differs from what is declared, as changes with
// action observe, and decides on the precautions that specs ask for.
func (l *Ledger) Hardware(differs []core.Change, asked []core.Object, objects []core.Observed) {
	l.recognize(asked, objects)
	seen, unknown := make(map[key]bool), make(map[core.SpecID]bool)
	troubled := make(map[core.SpecID]string)
	for _, c := range differs {
		if c.Class != core.DriftHardware {
			unknown[c.Spec] = true // it could not be looked at
			continue
		}
		if c.Live == nil {
			unknown[c.Spec] = true // there is no machine to take a precaution for
		}
		for _, f := range findings(c) {
			k := key{object: c.ID, class: core.DriftHardware, path: f.Path}
			seen[k] = true
			l.seeHardware(k, c, f)
		}
		troubled[c.Spec] = summary(c)
	}
	for k, e := range l.records {
		if k.class == core.DriftHardware && e.live() && !seen[k] && !unknown[e.Spec] {
			l.become(e, core.DriftGone)
		}
	}
	l.takePrecautions(asked, troubled, unknown)
}

func (l *Ledger) seeHardware(k key, c core.Change, f core.FieldChange) {
	e := l.touch(k, c, f)
	if e == nil {
		return
	}
	e.Manager, e.Reason = f.Manager, "hardware is reported, and never written"
	switch {
	case !e.live():
		e.Times++
		e.came = l.lately(e.came, 10*l.opts.Debounce)
		l.become(e, core.DriftSettling)
	case e.State == core.DriftSettling && l.now.Sub(e.Since) >= l.opts.Debounce:
		l.become(e, core.DriftOpen)
	}
}

// flaps says that hardware comes and goes, if it does.
func (l *Ledger) flaps(e *entry) string {
	if e.State != core.DriftSettling || len(e.came) < flapTimes {
		return ""
	}
	return fmt.Sprintf("comes and goes: %d times in %v", len(e.came), l.now.Sub(e.came[0]).Round(time.Second))
}

// Settled leaves out of the changes of a plan the hardware that has not differed
// for long enough, and says so where it flaps.
func (l *Ledger) Settled(changes []core.Change) []core.Change {
	if l.opts.Once {
		return changes
	}
	var out []core.Change
	for _, c := range changes {
		if c.Action != core.ActionObserve || c.Class != core.DriftHardware {
			out = append(out, c)
			continue
		}
		whole := len(c.Fields) == 0
		c.Fields = slices.DeleteFunc(slices.Clone(c.Fields), func(f core.FieldChange) bool { return !l.counts(&c, f.Path) })
		if len(c.Fields) > 0 || whole && l.counts(&c, "") {
			out = append(out, c)
		}
	}
	return out
}

// counts reports whether a difference of hardware is drift.
func (l *Ledger) counts(c *core.Change, path string) bool {
	e := l.records[key{object: c.ID, class: core.DriftHardware, path: path}]
	if e == nil {
		return true // there are too many to remember: better told too early than never
	}
	if flaps := l.flaps(e); flaps != "" {
		if c.Reason == "" {
			c.Reason = flaps
		}
		return true
	}
	return e.State == core.DriftOpen
}

// summary is the hardware that differs, on one line.
func summary(c core.Change) string {
	if len(c.Fields) == 0 {
		return cut(c.Reason)
	}
	f := c.Fields[0]
	text := fmt.Sprintf("%s is %v, declared %v", f.Path, orNone(f.From), orNone(f.To))
	if n := len(c.Fields) - 1; n > 0 {
		text += fmt.Sprintf(", and %d more", n)
	}
	return cut(text)
}

func orNone(v any) any {
	if v == nil {
		return "(none)"
	}
	return v
}
