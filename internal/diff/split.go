package diff

import (
	"slices"

	"prumo.dev/prumo/internal/core"
)

// Split tells what a commit causes from what was already off. plan was made
// from after; before is what was in force. Both parts keep the hash of plan,
// since it is what an approval binds to.
//
// A change is drift if its desired object is the same in both renderings. If it
// differs, so are those of its fields whose desired value is the same in both;
// a field that neither rendering says follows from the others, and goes with the
// commit. A field that still has a value of ours is no drift either. An orphan is
// caused by the commit if before rendered it, and by an older one if it is owed, as
// in core.Applied. Drift that a spec wants to be ignored is left out.
func Split(plan core.Plan, before, after core.Rendering, owed []string) (caused, drift core.Plan) {
	caused, drift = plan, plan
	caused.Changes, drift.Changes = []core.Change{}, []core.Change{}
	was, is := newRendered(before, plan), newRendered(after, plan)
	for _, c := range plan.Changes {
		byCommit, byOthers := splitChange(c, was.lookup(c), is.lookup(c))
		if byOthers != nil && c.Class == core.DriftOrphan && slices.Contains(owed, c.ID.String()) {
			byCommit, byOthers = byOthers, nil // it goes when it may
		}
		if byCommit != nil {
			byCommit.Class = ""
			caused.Changes = append(caused.Changes, *byCommit)
		}
		if byOthers != nil && byOthers.Mode != core.DriftIgnore {
			drift.Changes = append(drift.Changes, *byOthers)
		}
	}
	return caused, drift
}

// rendered finds the objects of a rendering that a plan is about.
type rendered struct {
	objects, expects map[core.ObjectID]core.Object
}

func newRendered(r core.Rendering, plan core.Plan) rendered {
	changed := make(map[core.ObjectID]bool, len(plan.Changes))
	for _, c := range plan.Changes {
		changed[c.ID] = true
	}
	index := func(objects []core.Object) map[core.ObjectID]core.Object {
		m := map[core.ObjectID]core.Object{}
		if len(changed) == 0 {
			return m
		}
		for i := range objects {
			if changed[objects[i].ID] {
				m[objects[i].ID] = objects[i]
			}
		}
		return m
	}
	return rendered{index(r.Objects), index(r.Expects)}
}

// lookup returns the desired object of a change; without Fields if there is none.
func (r rendered) lookup(c core.Change) core.Object {
	if c.Action == core.ActionObserve {
		return r.expects[c.ID]
	}
	return r.objects[c.ID]
}

// splitChange returns the part of a change that the commit causes and the part
// that it does not; nil where there is none.
func splitChange(c core.Change, was, is core.Object) (caused, drift *core.Change) {
	if was.Fields == nil {
		if is.Fields == nil {
			return nil, &c // rendered by neither: an orphan of old
		}
		return unattributed(c), nil
	}
	if is.Fields == nil {
		return &c, nil // the commit took it away
	}
	var changed []string
	for _, l := range compare(was.Fields, is.Fields, shallow) {
		changed = append(changed, renderPath(l.path))
	}
	switch {
	case c.Action == core.ActionUpdate && len(c.Fields)+len(c.Conflicts) == 0:
		return &c, nil // fields of ours that we give up: nobody's doing but ours
	case len(changed) == 0 && !slices.ContainsFunc(c.Fields, ownWork):
		return nil, &c
	}
	if c.Action != core.ActionUpdate && c.Action != core.ActionObserve {
		return unattributed(c), nil
	}
	return splitFields(c, is.Fields, changed)
}

// ownWork reports whether a field has the value that we gave it, so that nobody
// drifted: a commit was carried out in part, and another took it back before it was
// whole, or the rest of what it asks for waits.
func ownWork(f core.FieldChange) bool {
	return f.From != nil && f.Manager == core.FieldManager && f.Operation == "Apply"
}

// splitFields shares out the fields of a change. changed are the paths at which
// the two renderings differ.
func splitFields(c core.Change, is map[string]any, changed []string) (caused, drift *core.Change) {
	said := map[string]bool{}
	for _, l := range compare(nil, is, observed) {
		said[renderPath(l.path)] = true
	}
	var mine, others []core.FieldChange
	for _, f := range c.Fields {
		touched := slices.ContainsFunc(changed, func(p string) bool { return within(f.Path, p) || within(p, f.Path) })
		if touched || ownWork(f) || !said[f.Path] {
			mine = append(mine, f)
		} else {
			others = append(others, f)
		}
	}
	switch {
	case len(mine)+len(c.Stays) == 0:
		return nil, &c
	case len(others) == 0:
		return unattributed(c), nil
	}
	one, other := c, c
	one.Fields, other.Fields = mine, others
	one.Conflicts, other.Stays = nil, nil // what is taken back belongs with the drift
	one.Risk, other.Risk = riskOf(one, false), riskOf(other, false)
	for _, part := range []*core.Change{&one, &other} {
		if part.Risk < core.RiskRestarts {
			part.Hits = nil
		}
	}
	return unattributed(one), &other
}

// unattributed is a change that a commit causes: nobody removed what it adds.
func unattributed(c core.Change) *core.Change {
	c.Fields = slices.Clone(c.Fields)
	for i, f := range c.Fields {
		if f.From == nil {
			c.Fields[i] = core.FieldChange{Path: f.Path, To: f.To}
		}
	}
	return &c
}
