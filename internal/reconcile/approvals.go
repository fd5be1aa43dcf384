package reconcile

import (
	"context"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/diff"
)

// Approvals are what people approve beside the process that waits for it.
type Approvals interface {
	// Grant returns what a person approved of a plan that holds something, and
	// remembers first that it is used; it is zero if nothing is approved. The warning
	// says why an approval does not count.
	Grant(ctx context.Context, plan core.Plan) (core.Approval, *core.Warning)
}

// compare makes a plan, and lets go on what a person approved. Who only looks has no
// approvals: to them it stays held.
func (r *Reconciler) compare(ctx context.Context, rev core.Revision, seen core.Observation, opts diff.Options, approvals Approvals, rep *core.Report) core.Plan {
	plan := r.withCommand(diff.Make(rev, seen, opts))
	if approvals == nil || !plan.Approvable() {
		return plan
	}
	approval, warning := approvals.Grant(ctx, plan)
	if warning != nil {
		rep.Warnings = append(rep.Warnings, *warning)
	}
	opts.Approval = approval
	return r.withCommand(diff.Make(rev, seen, opts))
}

// approvals are those that count in a pass: none beside the one that it was begun for.
func (r *Reconciler) approvals() Approvals {
	if r.Approved != "" {
		return nil
	}
	return r.Approvals
}

// withCommand says how to approve what a plan holds.
func (r *Reconciler) withCommand(plan core.Plan) core.Plan {
	if r.Approve != "" && plan.Approvable() {
		plan.Approve = r.Approve + " " + plan.Hash
	}
	return plan
}

// planAgain has a plan that holds something made again at once if the rest of it was
// done: what is held has another hash now, and that is the one to approve.
func planAgain(plan core.Plan, result core.Result, rep *core.Report) {
	if !plan.Approvable() || result.Count(core.StatusDone) == 0 {
		return
	}
	rep.Plan.Approve, rep.Drift.Approve = "", ""
	rep.Due = rep.Time
}
