package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"prumo.dev/prumo/internal/core"
)

// lastGood is the rendering of the last revision that was applied whole.
type lastGood struct {
	commit    string
	rendering core.Rendering
}

// before returns what was applied last, rendered again after a restart. It is
// empty if nothing ever was.
func (r *Reconciler) before(ctx context.Context) (core.Rendering, error) {
	applied := r.Source.Applied()
	if applied.Commit == "" || applied.Commit == r.lastGood.commit {
		return r.lastGood.rendering, nil
	}
	tree, err := r.Source.Tree(applied)
	if err != nil {
		return core.Rendering{}, err
	}
	rendering, err := r.renderBefore(ctx, tree)
	if err != nil {
		return core.Rendering{}, err
	}
	r.lastGood = lastGood{applied.Commit, rendering}
	return rendering, nil
}

// keepLastGood returns want with every spec that a Problem blocks as it was
// before: what is broken in the repo stays in force as it last was.
func keepLastGood(want, before core.Rendering) core.Rendering {
	if len(want.Problems) == 0 {
		return want
	}
	rendered := make(map[core.SpecID]bool)
	for _, o := range slices.Concat(want.Objects, want.Expects) {
		rendered[o.Spec] = true
	}
	declared := make(map[core.SpecID]bool, len(want.Specs))
	for _, s := range want.Specs {
		declared[s.ID] = true
	}
	blocked := make(map[core.SpecID]bool)
	var unreadable []string // files and folders; "" for the whole tree
	for _, p := range want.Problems {
		if p.Spec == (core.SpecID{}) {
			unreadable = append(unreadable, p.Pos.File)
		} else {
			blocked[p.Spec] = true
		}
	}
	kept := func(s core.SpecID, pos core.Pos) bool {
		return !rendered[s] && (blocked[s] || declared[s] || slices.ContainsFunc(unreadable, func(name string) bool {
			return name == "" || name == pos.File || strings.HasPrefix(pos.File, name+"/")
		}))
	}
	taken := make(map[core.ObjectID]bool, len(want.Objects))
	for _, o := range want.Objects {
		taken[o.ID] = true
	}
	out := core.Rendering{Specs: slices.Clone(want.Specs), Objects: slices.Clone(want.Objects),
		Expects: slices.Clone(want.Expects), Problems: want.Problems}
	for _, s := range before.Specs {
		if kept(s.ID, s.Pos) && !declared[s.ID] {
			out.Specs = append(out.Specs, s)
		}
	}
	for _, o := range before.Objects {
		if kept(o.Spec, o.Pos) && !taken[o.ID] {
			out.Objects = append(out.Objects, o)
		}
	}
	for _, o := range before.Expects {
		if kept(o.Spec, o.Pos) {
			out.Expects = append(out.Expects, o)
		}
	}
	slices.SortFunc(out.Specs, func(a, b core.Spec) int { return a.ID.Compare(b.ID) })
	slices.SortFunc(out.Objects, func(a, b core.Object) int { return a.ID.Compare(b.ID) })
	slices.SortFunc(out.Expects, func(a, b core.Object) int { return a.ID.Compare(b.ID) })
	return out
}

// holdReason says why nothing may be deleted now, if so. A repo with problems
// does not tell for sure what it no longer wants.
func holdReason(want core.Rendering) string {
	if len(want.Problems) == 0 {
		return ""
	}
	return fmt.Sprintf("the repo has %d problems, the first at %s", len(want.Problems), want.Problems[0].Pos)
}
