package cluster

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"golang.org/x/sync/errgroup"

	"prumo.dev/prumo/internal/core"
)

// Observe reads the live state of all that a rendering speaks of, and asks the
// server what it would make of each object. What is wrong with one object is
// told in its Observed.Blocked; an error means that the cluster could not be
// observed, and that nothing may be concluded.
func (c *Cluster) Observe(ctx context.Context, r core.Rendering) (core.Observation, error) {
	return c.observe(ctx, newPass(c, r))
}

// ObserveToApply is Observe for who applies the plan at once: the server is not
// asked about what does not exist, since the apply is the question.
func (c *Cluster) ObserveToApply(ctx context.Context, r core.Rendering) (core.Observation, error) {
	p := newPass(c, r)
	p.toApply = true
	return c.observe(ctx, p)
}

func (c *Cluster) observe(ctx context.Context, p *pass) (core.Observation, error) {
	for _, step := range []func(context.Context) error{p.discover, p.list, p.fetch} {
		if err := step(ctx); err != nil {
			return core.Observation{}, c.fault(ctx, err)
		}
	}
	objects, err := p.predict(ctx)
	if err != nil {
		return core.Observation{}, c.fault(ctx, err)
	}
	return p.observation(ctx, objects), nil
}

// fault explains an error, unless we were told to stop.
func (c *Cluster) fault(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("observe the cluster: %w", context.Cause(ctx))
	}
	return fmt.Errorf("observe the cluster: %w", c.Explain(err))
}

// A pass is one Observe.
type pass struct {
	c          *Cluster
	r          core.Rendering
	api        *served
	specs      map[core.SpecID]core.Spec
	namespaces map[string]bool // that the rendering has
	toApply    bool            // what does not exist is not asked about
	proposal   bool            // what is not ours is not asked about, and not shown

	mu      sync.Mutex
	live    map[core.ObjectID]map[string]any // what exists, of what was asked for
	absent  map[core.ObjectID]bool           // what surely does not exist
	refused map[core.ObjectID]Denial         // what could not be read, and why
	asked   map[core.ObjectID]bool           // what the server was asked about
	marked  map[core.ObjectID]map[string]any // all that carries our label

	// Of a Watched; nil where every pass asks the server.
	patience patience
	known    map[core.ObjectID]core.Observed  // need not be asked about
	expected map[core.ObjectID]map[string]any // what is live of what is expected; nil: does not exist
	cached   map[core.ObjectID]bool           // live is what a watch said
	inSync   int                              // so many objects need no look
	snagged  int                              // so many are known to be in the way of something
	told     int                              // of so many of what is expected a watch told
	due      time.Time                        // when the first of them is verified
	failed   map[core.ObjectID]bool           // could not be applied the last time
}

func newPass(c *Cluster, r core.Rendering) *pass {
	p := &pass{
		c: c, r: r,
		specs:      r.SpecsByID(),
		namespaces: map[string]bool{},
		live:       map[core.ObjectID]map[string]any{},
		absent:     map[core.ObjectID]bool{},
		refused:    map[core.ObjectID]Denial{},
		asked:      map[core.ObjectID]bool{},
		marked:     map[core.ObjectID]map[string]any{},
	}
	for _, o := range r.Objects {
		if isNamespace(o) {
			p.namespaces[o.ID.Name] = true
		}
	}
	return p
}

func isNamespace(o core.Object) bool { return o.ID.Group == "" && o.ID.Kind == "Namespace" }

// discover makes sure that every kind of the rendering is known, asking anew
// once if one is not: it may have been installed since.
func (p *pass) discover(ctx context.Context) error {
	api, err := p.c.known(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(p.r.Objects, func(o core.Object) bool { return !api.has(o) }) ||
		slices.ContainsFunc(p.r.Expects, func(o core.Object) bool { return !api.has(o) }) {
		if api, err = p.c.refresh(ctx); err != nil {
			return err
		}
	}
	p.api = api
	return nil
}

func (s *served) has(o core.Object) bool {
	_, err := s.find((&unstructured.Unstructured{Object: o.Fields}).GroupVersionKind())
	return err == nil
}

// predict asks the server about each object that is not known.
func (p *pass) predict(ctx context.Context) ([]core.Observed, error) {
	observed := make([]core.Observed, len(p.r.Objects))
	var ask []*core.Observed
	for i, o := range p.r.Objects {
		known, ok := p.known[o.ID]
		if ok && !(isSnag(known) && p.comes(o.ID.Namespace)) {
			observed[i] = known
			continue
		}
		observed[i] = p.look(o, p.live[o.ID])
		if p.isForeign(p.live[o.ID]) {
			observed[i] = unseen(observed[i])
			continue
		}
		unasked := p.toApply && p.absent[o.ID] && !p.failed[o.ID]
		if observed[i].Unchecked == "" && observed[i].Blocked == "" && !unasked {
			p.asked[o.ID] = true
			ask = append(ask, &observed[i])
		}
	}
	return observed, each(ctx, ask, p.askInTime)
}

// look is what can be said of an object without asking about it.
func (p *pass) look(o core.Object, live map[string]any) core.Observed {
	seen := core.Observed{
		Object: o, Spec: p.specs[o.Spec], Live: live, Ours: p.c.Owns(live), Unchecked: p.unchecked(o),
	}
	seen.Manifest, seen.GiveUp = manifest(o, live, p.c.instance)
	if seen.Unchecked == "" {
		why := p.blocked(o, live)
		seen.Blocked, seen.ServerSays = why.Reason, why.ServerSays
	}
	return seen
}

// ask asks about one object. Where the answer is about another state of it than
// a watch has told, the object is read and asked about again: watches lag, and may
// even go back when the server changes.
func (p *pass) ask(ctx context.Context, o *core.Observed) error {
	if !p.cached[o.Object.ID] {
		return p.c.dryRun(ctx, o)
	}
	err := p.c.dryRunOnce(ctx, o)
	if err != nil || o.Predicted != nil && versionOf(o.Predicted) == versionOf(o.Live) {
		return err
	}
	live, err := p.c.Get(ctx, o.Object.Fields)
	if err != nil || versionOf(live) == versionOf(o.Live) {
		return p.unlessRefused(o, err)
	}
	*o = p.look(o.Object, live)
	if o.Unchecked != "" || o.Blocked != "" {
		return nil
	}
	return p.c.dryRun(ctx, o)
}

// unlessRefused makes a read that the server refuses what blocks an object.
func (p *pass) unlessRefused(o *core.Observed, err error) error {
	why, refused := Refusal(err, o.Object.ID)
	switch {
	case err == nil:
		return nil
	case refused:
		o.Blocked, o.ServerSays, o.Predicted, o.Conflicts = why.Reason, why.ServerSays, nil, nil
		return nil
	}
	return fmt.Errorf("read %s: %w", o.Object.ID, err)
}

// dryRun fills in Predicted and Conflicts, or Blocked. The first question leaves
// other managers' fields alone, so that the server names them; the second shows
// what would come of taking them.
func (c *Cluster) dryRun(ctx context.Context, o *core.Observed) error {
	predicted, err := c.Apply(ctx, o.Manifest, ApplyOptions{DryRun: true})
	if found := Conflicts(err, o.Live); len(found) > 0 {
		o.Conflicts = found
		predicted, err = c.Apply(ctx, o.Manifest, ApplyOptions{DryRun: true, Force: true})
		if err == nil && respell(o, predicted) {
			o.Conflicts = nil
			return c.dryRun(ctx, o)
		}
	}
	return answer(o, predicted, err)
}

// dryRunOnce is dryRun in one question, of an object that is known to be ours as
// it was just seen: what the server would take from others tells the conflicts.
// Should this miss one, the server still refuses to apply without force.
func (c *Cluster) dryRunOnce(ctx context.Context, o *core.Observed) error {
	predicted, err := c.Apply(ctx, o.Manifest, ApplyOptions{DryRun: true, Force: true})
	o.Conflicts = taken(o.Live, predicted)
	if err == nil && respell(o, predicted) {
		return c.dryRunOnce(ctx, o)
	}
	return answer(o, predicted, err)
}

func answer(o *core.Observed, predicted map[string]any, err error) error {
	if err == nil {
		o.Predicted, o.Stays = predicted, staying(o.Live, predicted)
		o.Conflicts, o.Hollow = withoutHollow(o.Conflicts, o.Live, predicted)
		return nil
	}
	why, refused := Refusal(err, o.Object.ID)
	if !refused {
		return fmt.Errorf("ask about %s: %w", o.Object.ID, err)
	}
	o.Blocked, o.ServerSays, o.Conflicts = why.Reason, why.ServerSays, nil
	return nil
}

// expects is what is live of what should be so and nobody writes. Blocked says
// why it could not be read, which is not absence.
func (p *pass) expects() []core.Observed {
	var observed []core.Observed
	for _, o := range p.r.Expects {
		why := p.refused[o.ID]
		e := core.Observed{Object: o, Spec: p.specs[o.Spec], Live: p.live[o.ID], Blocked: why.Reason, ServerSays: why.ServerSays}
		if live, ok := p.expected[o.ID]; ok {
			e.Live = live
		}
		if !p.api.has(o) {
			e.Blocked, e.ServerSays = p.notServed(o), ""
		}
		if p.isForeign(e.Live) {
			e.Live, e.Blocked = nil, notOurs
		}
		e.Ours = p.c.Owns(e.Live)
		observed = append(observed, e)
	}
	return observed
}

// each runs do for all items, some at a time, up to the first error.
func each[T any](ctx context.Context, items []T, do func(context.Context, T) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for _, item := range items {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return do(ctx, item)
		})
	}
	return g.Wait()
}

// skippable reports whether a list failed because of its kind alone.
func skippable(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) ||
		apierrors.IsServiceUnavailable(err)
}
