package diff

import (
	"slices"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/objpath"
)

// Propose returns what a proposal would change, for everybody who can read a pull
// request. before and after are what the repo renders to without it and with it, and
// obs is what the cluster says of what differs between them.
//
// A proposal must not be a way to read the cluster. So a live value is shown only
// where the repo declared the field before, and is no secret. Of all other fields the
// plan says only that the proposal sets them: whether the live value happens to be the
// same already, and whether the server would report a conflict, would confirm a guess.
// What had drifted before is left out.
func Propose(rev core.Revision, obs core.Observation, before, after core.Rendering, opts Options) core.Plan {
	was, is := byID(before.Objects), byID(after.Objects)
	private := make(map[core.ObjectID][]leaf)
	obs.Objects = slices.Clone(obs.Objects)
	for i := range obs.Objects {
		o := &obs.Objects[i]
		if o.Ours && len(o.Live) > 0 {
			o.Object.Plain = was[o.Object.ID].Plain // a proposal does not say what may be shown
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
		if d.propose(private[d.ID], was[d.ID].Fields, is[d.ID].Fields) {
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

// byID finds objects.
func byID(objects []core.Object) map[core.ObjectID]core.Object {
	m := make(map[core.ObjectID]core.Object, len(objects))
	for i := range objects {
		m[objects[i].ID] = objects[i]
	}
	return m
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
	return private
}

// allOwned are the conflicts of an object. Of private fields, they are what other
// managers own, whatever the server says: it reports none where the values are the same.
func allOwned(o core.Observed, private []leaf) []core.Conflict {
	hidden := pathsOf(private)
	conflicts := slices.DeleteFunc(slices.Clone(o.Conflicts), func(c core.Conflict) bool { return hidden.touchText(c.Path) })
	all := owners(o.Live)
	for _, l := range private {
		i := slices.IndexFunc(all, func(owner owner) bool { return !owner.ours() && owns(owner.fields, l.path) })
		if i >= 0 {
			conflicts = append(conflicts, core.Conflict{Path: renderPath(l.path), Manager: all[i].manager, Operation: all[i].operation, Since: all[i].since})
		}
	}
	return conflicts
}

// propose keeps of a draft what the proposal causes, and hides what is not for its
// readers. It reports whether something is left.
func (d *draft) propose(private []leaf, was, is map[string]any) bool {
	if d.Action == core.ActionObserve || !d.ours || d.Live == nil || is == nil {
		return true
	}
	changed, said, told := pathsOf(compare(was, is, shallow)), pathsOf(compare(nil, is, observed)), pathsOf(private)
	var caused []leaf
	for _, l := range d.leaves {
		if !changed.touch(l.path) && said.has(l.path) || told.has(l.path) {
			continue // drift, or said once already
		}
		l.alien = lookup(was, l.path) == nil
		l.merged = l.to != nil && !isRendered(l, is)
		caused = append(caused, l)
	}
	caused = append(caused, private...)
	slices.SortStableFunc(caused, func(a, b leaf) int { return comparePaths(a.path, b.path) })
	if len(caused) == 0 && (d.Action == core.ActionUpdate || len(changed.paths) == 0) {
		return len(d.leaves) == 0 || len(d.Stays) > 0 // nothing differs: fields are given up
	}
	d.Fields = nil
	d.setFields(owners(d.Live), caused, is)
	return true
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
