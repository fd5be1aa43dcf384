package reconcile

import (
	"context"
	"slices"
	"strings"

	"prumo.dev/prumo/internal/core"
)

// InForce is the outcome of the last pass that came to a plan; nil if none did. It may
// be called from any goroutine.
func (r *Reconciler) InForce() *core.InForce { return r.inForce.Load() }

// Compare returns what proposals onto a tree that was applied before are compared with.
// It changes nothing.
func (r *Reconciler) Compare(ctx context.Context, tree core.Tree) (*core.InForce, error) {
	rep := core.Report{Time: r.Now(), Instance: r.Instance, Revision: tree.Revision}
	before, err := r.renderAgreed(ctx, tree)
	if err != nil {
		return nil, at(core.StageRender, err)
	}
	_, now, err := r.plan(ctx, tree, before, r.glance(ctx), &rep)
	if err != nil {
		return nil, err
	}
	return outcome(tree, now, rep), nil
}

// outcome is what a pass leaves for proposals to be compared with: of the drift, what
// it did not put back.
func outcome(tree core.Tree, now lastGood, rep core.Report) *core.InForce {
	done := make(map[core.ObjectID]bool)
	if rep.Result != nil {
		for _, o := range rep.Result.Outcomes {
			if o.Status == core.StatusDone {
				done[o.ID] = true
			}
		}
	}
	drift := *rep.Drift
	drift.Changes = slices.DeleteFunc(slices.Clone(drift.Changes), func(c core.Change) bool {
		return done[c.ID] && c.Action != core.ActionObserve
	})
	for i := range drift.Changes {
		drift.Changes[i].Reason = withoutHolders(drift.Changes[i].Reason)
	}
	return &core.InForce{Tree: tree, Declared: now.declared, Rendering: now.rendering, Precautions: rep.Precautions, Drift: drift}
}

// withoutHolders leaves out of a reason what holds an object that is being deleted: the
// pods that use it, and the words of a namespace's conditions.
func withoutHolders(reason string) string {
	for _, end := range []string{"is being deleted", "is terminating"} {
		if before, _, ok := strings.Cut(reason, end); ok {
			return before + end
		}
	}
	return reason
}
