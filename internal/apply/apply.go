package apply

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"prumo.dev/prumo/internal/cluster"
	"prumo.dev/prumo/internal/core"
)

// concurrency bounds the objects in flight within a stage.
const concurrency = 16

// Options say how far an Applier may go.
type Options struct {
	// Wait bounds how long Apply waits for what it applied to become ready, and
	// for what it deleted to be gone. Zero: it looks once.
	Wait time.Duration

	// Gate makes what depends on a spec, and the deletion of what it may still
	// need, wait until that spec is ready: as long as Wait, and else until the next
	// plan.
	Gate bool
}

// An Applier makes plans true in one cluster. It keeps no state between plans.
type Applier struct {
	cluster *cluster.Cluster
	opts    Options
}

// New returns an Applier for a cluster.
func New(c *cluster.Cluster, opts Options) *Applier { return &Applier{c, opts} }

// Apply does what a plan says, and returns an outcome for each of its changes. An
// error is a machine's fault that ended the pass, or the end of ctx: the result
// then tells what was done before.
func (a *Applier) Apply(ctx context.Context, plan core.Plan) (core.Result, error) {
	start := time.Now()
	p := newPass(a, plan)
	err := p.run(ctx)
	p.skipRest()
	return core.Result{Outcomes: p.outcomes, NotReady: p.notReady, Took: time.Since(start)}, err
}

// A pass is one Apply. Outcomes and after have the indexes of the plan's
// changes, and each is written by the one goroutine that has the change.
type pass struct {
	cluster  *cluster.Cluster
	opts     Options
	plan     core.Plan
	changes  []core.Change // of the plan
	outcomes []core.Outcome
	after    []map[string]any      // objects as the server returned them
	creates  map[core.ObjectID]int // what others cannot be without and this plan creates, by index of its change
	notReady []core.Outcome

	transition  *transition
	discovering sync.Mutex
	reading     chan struct{} // bounds reads beside the changes
}

func newPass(a *Applier, plan core.Plan) *pass {
	p := &pass{
		cluster:  a.cluster,
		opts:     a.opts,
		plan:     plan,
		changes:  plan.Changes,
		outcomes: make([]core.Outcome, len(plan.Changes)),
		after:    make([]map[string]any, len(plan.Changes)),
		creates:  map[core.ObjectID]int{},
		reading:  make(chan struct{}, concurrency),
	}
	for i, c := range plan.Changes {
		p.outcomes[i] = core.Outcome{ID: c.ID, Spec: c.Spec, Action: cmp.Or(c.Wanted, c.Action)}
		p.outcomes[i].Status, p.outcomes[i].Reason = untried(c)
		if p.outcomes[i].Status != "" {
			p.outcomes[i].ServerSays = c.ServerSays
		}
		if id, ok := creates(c); ok {
			p.creates[id] = i
		}
	}
	return p
}

// run applies, waits, and deletes, in this order.
func (p *pass) run(ctx context.Context) error {
	for _, do := range []func(context.Context) error{p.apply, p.ready, p.prune} {
		if err := do(ctx); err != nil {
			return err
		}
	}
	return nil
}

// apply creates and updates, in the order of the refs.
func (p *pass) apply(ctx context.Context) error {
	if len(p.changes) == 0 {
		return nil
	}
	p.transition = newTransition(p.plan.Before, p.plan.After)
	g := p.newGraph(refsOf(p.plan.After), core.ActionCreate, core.ActionUpdate, core.ActionAdopt, core.ActionReplace, core.ActionBlocked)
	g.guardDependents(p.transition, false)
	if p.opts.Gate {
		g.gateDependents()
	}
	return p.walk(ctx, g, p.applyOne)
}

// untried says why a change is not even tried; the status is empty if it is.
func untried(c core.Change) (core.Status, string) {
	switch c.Action {
	case core.ActionHold:
		return core.StatusHeld, orElse(c.Reason, "waits for an approval")
	case core.ActionBlocked:
		return core.StatusBlocked, orElse(c.Reason, "cannot be applied")
	case core.ActionObserve:
		if c.Class == core.DriftUntrusted {
			return core.StatusSkipped, "an image that may no longer run is reported; what runs is not taken down"
		}
		return core.StatusSkipped, "hardware is reported, and never written"
	}
	if c.Later != "" {
		return core.StatusSkipped, c.Later
	}
	switch c.Mode {
	case core.DriftReport:
		return core.StatusSkipped, "the spec asks to report drift, and not to correct it"
	case core.DriftIgnore:
		return core.StatusSkipped, "the spec asks to ignore drift"
	}
	return "", ""
}

// settle writes the outcome of a change that was tried, and returns an error
// only if there is no use in trying others.
func (p *pass) settle(ctx context.Context, i int, err error) error {
	o := &p.outcomes[i]
	if o.Status != "" {
		return nil // it was said already
	}
	why, refused := cluster.Refusal(err, o.ID)
	o.ServerSays = why.ServerSays
	switch {
	case err == nil:
		o.Status = core.StatusDone
	case ctx.Err() != nil:
		o.Status, o.Reason = core.StatusSkipped, "the pass ended before it was known to be done"
		return context.Cause(ctx)
	case meta.IsNoMatchError(err):
		o.Status, o.Reason = core.StatusBlocked, why.Reason
	case apierrors.IsConflict(err):
		o.Status, o.Reason = core.StatusFailed, why.Reason+"; it is planned again in the next pass"
	case refused:
		o.Status, o.Reason = core.StatusFailed, why.Reason
	case apierrors.ReasonForError(err) != "" && !apierrors.IsUnauthorized(err):
		o.Status, o.Reason = core.StatusFailed, "the API server is overloaded or not ready; it is tried again in the next pass"
	default:
		err = p.cluster.Explain(err)
		o.Status, o.Reason = core.StatusFailed, err.Error()
		return fmt.Errorf("apply %s: %w", o.ID, err)
	}
	return nil
}

// skipRest gives an outcome to what was never reached.
func (p *pass) skipRest() {
	for i := range p.outcomes {
		if p.outcomes[i].Status == "" {
			p.outcomes[i].Status, p.outcomes[i].Reason = core.StatusSkipped, "the pass ended before"
		}
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
