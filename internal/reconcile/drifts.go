package reconcile

import (
	"context"
	"maps"
	"time"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/diff"
	"prumo.dev/prumo/internal/drift"
)

// Records keep across restarts what is known of drift. What fails is theirs to tell
// and to try again: drift is corrected all the same.
type Records interface {
	// Load adds to a ledger what was saved, once.
	Load(ctx context.Context, l *drift.Ledger)

	// Save saves a ledger that changed, unless that was done a moment ago: it then
	// returns when it is due. The last time, it always does.
	Save(ctx context.Context, l *drift.Ledger, last bool) (due time.Time)
}

// observe is one of the ways to observe of a Cluster.
type observe = func(ctx context.Context, want core.Rendering) (core.Observation, error)

// observeToApply is how a pass observes that applies. What a person approved was
// asked about as a whole, and so is what must turn out to be the same.
func (r *Reconciler) observeToApply() observe {
	if r.Approved != "" {
		return r.Cluster.Observe
	}
	return r.Cluster.ObserveToApply
}

// A view is how a pass sees the cluster, and with what memory.
type view struct {
	observe   observe
	drifts    *drift.Ledger
	approvals Approvals
}

// glance is the view of a pass that changes nothing.
func (r *Reconciler) glance(ctx context.Context) view {
	return view{r.Cluster.Observe, r.ledger(ctx).Glance(), nil}
}

// look observes the cluster and takes in what it says of the hardware. Where that
// asks for a precaution, or for its end, it looks again with it. It returns what is
// wanted with the precautions that it looked with.
func (v view) look(ctx context.Context, want core.Rendering) (core.Observation, core.Rendering, error) {
	for {
		inForce, tempered := v.drifts.InForce(), v.drifts.Temper(want)
		seen, err := v.observe(ctx, tempered)
		if err != nil {
			return seen, tempered, err
		}
		hardware := diff.Make(core.Revision{}, core.Observation{Expects: seen.Expects}, diff.Options{})
		v.drifts.Hardware(hardware.Changes, want.Precautions, seen.Objects)
		if maps.Equal(inForce, v.drifts.InForce()) {
			return seen, tempered, nil
		}
	}
}

// ledger is what is known of drift, also from before a restart.
func (r *Reconciler) ledger(ctx context.Context) *drift.Ledger {
	if r.Drifts == nil {
		return drift.New(drift.Options{Once: true})
	}
	if r.Records != nil {
		r.Records.Load(ctx, r.Drifts)
	}
	return r.Drifts
}

// settle takes in what became of the drift, tells it and keeps it.
func (r *Reconciler) settle(ctx context.Context, drifts *drift.Ledger, result core.Result, rep *core.Report) {
	drifts.Settle(*rep.Drift, result)
	drifts.Tell(rep)
	if r.Records == nil {
		return
	}
	// A pass that was told to stop still keeps what it did.
	due := r.Records.Save(context.WithoutCancel(ctx), drifts, false)
	if !due.IsZero() && (rep.Due.IsZero() || due.Before(rep.Due)) {
		rep.Due = due
	}
}

// Close keeps what is known of drift. No pass may follow.
func (r *Reconciler) Close(ctx context.Context) {
	if r.Records != nil && r.Drifts != nil {
		r.Records.Save(ctx, r.Drifts, true)
	}
}
