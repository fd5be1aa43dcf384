package diff

import (
	"slices"

	"prumo.dev/prumo/internal/core"
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
	for _, o := range obs.Objects {
		i := slices.IndexFunc(drafts, func(d draft) bool { return d.ID == o.Object.ID && d.Action != core.ActionObserve })
		if i < 0 && len(private[o.Object.ID]) > 0 {
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

// allOwned are the conflicts of an object, with every private field that another
// manager owns: the server reports none where the values are the same.
func allOwned(o core.Observed, private []leaf) []core.Conflict {
	conflicts := slices.Clone(o.Conflicts)
	for _, l := range private {
		path := renderPath(l.path)
		known := slices.ContainsFunc(conflicts, func(c core.Conflict) bool { return within(path, c.Path) || within(c.Path, path) })
		for _, owner := range owners(o.Live) {
			if !known && !owner.ours() && owns(owner.fields, l.path) {
				conflicts = append(conflicts, core.Conflict{Path: path, Manager: owner.manager, Operation: owner.operation, Since: owner.since})
				break
			}
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
	changed := changedPaths(was, is)
	said := map[string]bool{}
	for _, l := range compare(nil, is, observed) {
		said[renderPath(l.path)] = true
	}
	var caused []leaf
	for _, l := range d.leaves {
		path := renderPath(l.path)
		touched := slices.ContainsFunc(changed, func(p string) bool { return within(path, p) || within(p, path) })
		if !touched && said[path] || slices.ContainsFunc(private, func(p leaf) bool { return renderPath(p.path) == path }) {
			continue // drift, or said once already
		}
		l.alien = lookup(was, l.path) == nil
		l.merged = l.to != nil && !isRendered(l, is)
		caused = append(caused, l)
	}
	caused = append(caused, private...)
	slices.SortStableFunc(caused, func(a, b leaf) int { return comparePaths(a.path, b.path) })
	if len(caused) == 0 && (d.Action == core.ActionUpdate || len(changed) == 0) {
		return len(d.leaves) == 0 || len(d.Stays) > 0 // nothing differs: fields are given up
	}
	d.Fields = nil
	d.setFields(owners(d.Live), caused, is)
	return true
}

// changedPaths are the fields, as people read them, in which two renderings of an
// object differ.
func changedPaths(was, is map[string]any) []string {
	var paths []string
	for _, l := range compare(was, is, shallow) {
		paths = append(paths, renderPath(l.path))
	}
	return paths
}
