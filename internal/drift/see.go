package drift

import (
	"cmp"
	"fmt"

	"prumo.dev/prumo/internal/core"
)

const (
	fieldsPerObject = 20  // that are remembered of one object
	valueBytes      = 200 // of a value
)

// See takes in what a pass found: records begin, go on and end. It tells each
// change of drift since when it has been there and how often it came, and marks
// those that are left alone because of a fight. Caused is what a commit changes,
// which ends the fights over it.
func (l *Ledger) See(caused, drift core.Plan) {
	for _, c := range caused.Changes {
		l.forgive(c.ID)
	}
	seen := make(map[key]bool)
	for i := range drift.Changes {
		l.seeChange(&drift.Changes[i], seen)
	}
	for k, e := range l.records {
		if k.class != core.DriftHardware && e.State == core.DriftOpen && !seen[k] {
			l.become(e, core.DriftGone)
		}
	}
	l.endFights()
	l.forget()
}

func (l *Ledger) seeChange(c *core.Change, seen map[key]bool) {
	for _, f := range findings(*c) {
		k := key{c.ID, c.Class, f.Path, f.Manager}
		if c.Class == core.DriftHardware {
			k.manager = ""
		} else {
			l.seeOne(k, *c, f)
		}
		seen[k] = true
		e := l.records[k]
		if e == nil {
			continue
		}
		if e.FirstSeen.Before(l.now) && (c.FirstSeen.IsZero() || e.FirstSeen.Before(c.FirstSeen)) {
			c.FirstSeen = e.FirstSeen
		}
		c.Corrected = max(c.Corrected, e.Corrected)
		if l.rests(e) {
			c.Later = l.describe(e)
		}
	}
}

// seeOne is one finding that is there.
func (l *Ledger) seeOne(k key, c core.Change, f core.FieldChange) {
	e := l.touch(k, c, f)
	if e == nil || e.State == core.DriftOpen {
		return
	}
	e.Times++
	if e.State == core.DriftCorrected {
		l.cameBack(e)
	}
	l.become(e, core.DriftOpen)
}

// findings are what is remembered of a change: its fields if they were edited,
// else the object as a whole. What hardware makes us do is no drift.
func findings(c core.Change) []core.FieldChange {
	switch {
	case c.Class == core.DriftHardware && c.Action != core.ActionObserve:
		return nil
	case len(c.Fields) > 0 && c.Class == core.DriftHardware:
		return c.Fields
	case len(c.Fields) > 0 && c.Class == core.DriftEdited:
		return c.Fields[:min(len(c.Fields), fieldsPerObject)]
	}
	whole := core.FieldChange{}
	if len(c.Conflicts) > 0 {
		whole.Manager = c.Conflicts[0].Manager
	}
	return []core.FieldChange{whole}
}

// Settle takes in what became of the drift of the pass.
func (l *Ledger) Settle(drift core.Plan, result core.Result) {
	type change struct {
		id     core.ObjectID
		action core.Action
	}
	outcomes := make(map[change]core.Outcome, len(result.Outcomes))
	for _, o := range result.Outcomes {
		outcomes[change{o.ID, o.Action}] = o
	}
	for _, c := range drift.Changes {
		o, ok := outcomes[change{c.ID, cmp.Or(c.Wanted, c.Action)}]
		if !ok || c.Class == core.DriftHardware {
			continue
		}
		for _, f := range findings(c) {
			if e := l.records[key{c.ID, c.Class, f.Path, f.Manager}]; e != nil {
				l.settleOne(e, o)
			}
		}
	}
}

func (l *Ledger) settleOne(e *entry, o core.Outcome) {
	if o.Status == core.StatusDone {
		e.Reason = ""
		e.Corrected++
		l.become(e, core.DriftCorrected)
		return
	}
	if reason := cut(o.Reason); e.Reason != reason {
		e.Reason = reason
		l.changed = true
	}
}

// brief is a value as it is remembered: what is not plain becomes text.
func brief(v any) any {
	switch v := v.(type) {
	case nil, bool:
		return v
	case string:
		return cut(v)
	}
	return cut(fmt.Sprint(v))
}

func cut(s string) string {
	if len(s) <= valueBytes {
		return s
	}
	end := valueBytes
	for end > 0 && s[end]&0xC0 == 0x80 { // not within a character
		end--
	}
	return s[:end] + "…"
}
