package diff

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/objpath"
)

// Propose returns what a proposal would change, for everybody who can read a pull
// request. before and after are what the repo renders to without it and with it, and
// obs is what the cluster says of what differs between them.
//
// A proposal must not be a way to read the cluster. So a live value is shown only
// where the repo declared the field before, and is no secret. For all other fields the
// plan says only that the proposal sets them: whether the live value happens to be the
// same already, and whether the server would report a conflict, would confirm a guess.
// What had drifted before is left out.
func Propose(rev core.Revision, obs core.Observation, before, after core.Rendering, opts Options) core.Plan {
	was, is := before.ObjectsByID(), after.ObjectsByID()
	specs := before.SpecsByID()
	seen := make(map[core.ObjectID]core.Observed)
	private := make(map[core.ObjectID][]leaf)
	obs.Objects = slices.Clone(obs.Objects)
	for i := range obs.Objects {
		o := &obs.Objects[i]
		if o.Ours && len(o.Live) > 0 {
			o.Object.Plain = was[o.Object.ID].Plain // a proposal does not say what may be shown
			seen[o.Object.ID] = *o
			private[o.Object.ID] = privateLeaves(*o, was[o.Object.ID].Fields)
			o.Conflicts = allOwned(*o, private[o.Object.ID])
		}
	}
	drafts, unchanged := collect(obs, opts)
	drafts = slices.DeleteFunc(drafts, func(d draft) bool { return d.Action == core.ActionObserve && d.Class == core.DriftUntrusted })
	differs := make(map[core.ObjectID]bool, len(drafts))
	for _, d := range drafts {
		differs[d.ID] = differs[d.ID] || d.Action != core.ActionObserve
	}
	for _, o := range obs.Objects {
		if !differs[o.Object.ID] && len(private[o.Object.ID]) > 0 {
			// The live values are what the proposal wants, which it must not tell.
			unchanged--
			d := newDraft(o)
			d.Action = core.ActionUpdate
			d.settleConflicts(o, owners(o.Live))
			drafts = append(drafts, d)
		}
	}
	kept := drafts[:0]
	for _, d := range drafts {
		o, old := seen[d.ID], was[d.ID]
		rules := !sameRules(old, is[d.ID], specs[old.Spec], o.Spec)
		if d.propose(o, private[d.ID], old.Fields, is[d.ID].Fields, rules) {
			kept = append(kept, d)
		}
	}
	plan := finish(rev, kept, obs, opts)
	plan.Unchanged = unchanged
	for i, c := range plan.Changes {
		c.Class = ""
		plan.Changes[i] = *unattributed(c)
	}
	return plan
}

// privateLeaves are the fields that a proposal changes and whose live values are not
// for its readers: secrets, and what the repo did not declare before.
func privateLeaves(o core.Observed, was map[string]any) []leaf {
	var private []leaf
	for _, l := range compare(was, o.Object.Fields, whole) {
		l.alien = lookup(was, l.path) == nil
		if l.to == nil || !l.alien && !sensitivityOf(o.Object).hides(l) {
			continue
		}
		l.from = lookup(o.Live, l.path)
		private = append(private, l)
	}
	return heeded(private, o.Object.Ignore)
}

// sameRules reports whether a proposal leaves as it is how an object is kept: which
// fields belong to others or are taken from them, and what becomes of drift.
func sameRules(was, is core.Object, then, now core.Spec) bool {
	return reflect.DeepEqual(was.Ignore, is.Ignore) && reflect.DeepEqual(was.Force, is.Force) &&
		then.Drift == now.Drift && then.TakeConflicts == now.TakeConflicts
}

// allOwned are the conflicts of an object. For private fields, they are what other
// managers own, whatever the server says: it reports none where the values are the same.
func allOwned(o core.Observed, private []leaf) []core.Conflict {
	if len(private) == 0 {
		return o.Conflicts
	}
	hidden, said := pathsOf(private), pathsOf(compare(nil, o.Object.Fields, observed))
	conflicts := slices.DeleteFunc(slices.Clone(o.Conflicts), func(c core.Conflict) bool {
		return !said.paths[c.Path] || hidden.touchText(c.Path) // one that cannot be placed may be about a private field
	})
	all := owners(o.Live)
	for _, l := range private {
		i := slices.IndexFunc(all, func(owner owner) bool { return !owner.ours() && owns(owner.fields, l.path) })
		if i >= 0 {
			conflicts = append(conflicts, core.Conflict{Path: renderPath(l.path), Manager: all[i].manager, Operation: all[i].operation, Since: all[i].since})
		}
	}
	return conflicts
}

// maxProposed is how many fields of one object are compared. What a proposal may cost
// is bounded: the plan says of a larger object only that it changes.
const maxProposed = 2000

// propose keeps of a draft what the proposal causes, and hides what is not for its
// readers. rules says that it changes how the object is kept, so that all that differs
// comes of it. It reports whether something is left.
func (d *draft) propose(o core.Observed, private []leaf, was, is map[string]any, rules bool) bool {
	if d.Action == core.ActionObserve || !d.ours || d.Live == nil || is == nil {
		return true
	}
	if len(private)+len(d.leaves) > maxProposed {
		d.Fields, d.leaves, d.Conflicts, d.omitted = nil, nil, nil, 0
		d.note(fmt.Sprintf("more than %d fields change; they are not compared with what is live", maxProposed))
		return true
	}
	changed, said, told := pathsOf(compare(was, is, shallow)), pathsOf(compare(nil, is, observed)), pathsOf(private)
	var caused []leaf
	for _, l := range d.leaves {
		touched := changed.touch(l.path)
		switch {
		case told.has(l.path): // it is in private
			continue
		case !touched && said.has(l.path) && !rules: // drift
			continue
		case !touched && !said.has(l.path) && len(private) > 0:
			continue // what the server makes of private fields, which tells of them
		}
		l.alien = l.names || !wasDeclared(was, l)
		l.merged = l.to != nil && (l.names || !isRendered(l, is))
		caused = append(caused, l)
	}
	nothing := len(d.leaves) == 0 || len(d.Stays)+len(o.GiveUp) > 0 || rules && d.Action == core.ActionBlocked
	caused = append(caused, private...)
	slices.SortStableFunc(caused, func(a, b leaf) int { return comparePaths(a.path, b.path) })
	if len(caused) == 0 && (d.Action == core.ActionUpdate || len(changed.paths) == 0) {
		return nothing // differs, and there is something to do all the same
	}
	if o.Blocked != "" && (d.Action == core.ActionReplace || d.Action == core.ActionBlocked) && !isTerminating(o.Live) {
		d.refuse(o, caused)
		return true
	}
	d.Fields = nil
	d.setFields(owners(d.Live), caused, is)
	return true
}

// wasDeclared reports whether the live value of a leaf stands in a field that an object
// declared before. An item of a list that has no keys may be another one by now, so its
// value counts only if it is the one that was declared.
func wasDeclared(was map[string]any, l leaf) bool {
	declared := lookup(was, l.path)
	byIndex := slices.ContainsFunc(l.path, func(s segment) bool {
		_, err := strconv.Atoi(s.key)
		return s.isItem() && err == nil
	})
	return declared != nil && (!byIndex || identical(declared, l.from))
}

// A pathSet is a set of fields. What it takes to ask does not depend on their number:
// a proposal may change as many as an object can hold.
type pathSet struct {
	paths map[string]bool // as people read them
	above map[string]bool // what lies above one of them
}

func pathsOf(leaves []leaf) pathSet {
	s := pathSet{map[string]bool{}, map[string]bool{}}
	for _, l := range leaves {
		for i := range l.path {
			s.above[renderPath(l.path[:i])] = true
		}
		s.paths[renderPath(l.path)] = true
	}
	return s
}

func (s pathSet) has(path []segment) bool { return s.paths[renderPath(path)] }

// touch reports whether a field is in the set, or lies above or below one that is.
func (s pathSet) touch(path []segment) bool {
	for i := range len(path) + 1 {
		if s.paths[renderPath(path[:i])] {
			return true
		}
	}
	return s.above[renderPath(path)]
}

// touchText is touch for a path as people read it. What cannot be read touches.
func (s pathSet) touchText(text string) bool {
	path, err := objpath.Parse(text)
	if err != nil {
		return len(s.paths) > 0
	}
	for i := range len(path) + 1 {
		if s.paths[path[:i].String()] {
			return true
		}
	}
	return s.above[text]
}
