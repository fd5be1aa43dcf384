package cluster

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"

	"prumo.dev/prumo/internal/core"
)

// notOurs is all that a proposal learns of an object that does not carry our mark.
const notOurs = "exists, not ours: what would change is shown to those who can read it (reconciler plan)"

// ObserveProposal observes what a proposal would change: the objects that differ
// between two renderings, before and after it. It asks about nothing else: what is
// the same in both counts as in sync, since its drift is told by the pass. If an object
// exists and is not ours, it tells just that, whoever owns it: the server is not asked,
// because each answer would depend on what is in the object. The cost is one read
// and one or two dry-runs for each object that differs.
func (c *Cluster) ObserveProposal(ctx context.Context, before, after core.Rendering) (core.Observation, error) {
	p := newPass(c, after)
	p.proposal = true
	p.known, p.expected = map[core.ObjectID]core.Observed{}, map[core.ObjectID]map[string]any{}
	p.skipUnchanged(before)
	for _, step := range []func(context.Context) error{p.discover, p.fetch} {
		if err := step(ctx); err != nil {
			return core.Observation{}, c.fault(ctx, err)
		}
	}
	if err := each(ctx, removed(before, after), p.readRemoved); err != nil {
		return core.Observation{}, c.fault(ctx, err)
	}
	objects, err := p.predict(ctx)
	if err != nil {
		return core.Observation{}, c.fault(ctx, err)
	}
	return p.observation(ctx, objects), nil
}

// skipUnchanged leaves out what a proposal does not change.
func (p *pass) skipUnchanged(before core.Rendering) {
	was, specs := before.ObjectsByID(), before.SpecsByID()
	for _, o := range p.r.Objects {
		old, ok := was[o.ID]
		now, then := p.specs[o.Spec], specs[old.Spec]
		if !ok || now.Drift != then.Drift || now.TakeConflicts != then.TakeConflicts || !sameWish(old, o) {
			continue
		}
		p.known[o.ID] = core.Observed{Object: o, Spec: now, Live: noLook, Predicted: noLook, Ours: true}
		if isNamespace(o) {
			p.live[o.ID] = noLook // what is in it need not wait for it
		}
	}
	expected := make(map[expectation]core.Object, len(before.Expects))
	for _, o := range before.Expects {
		expected[expectation{o.ID, o.Spec}] = o
	}
	p.r.Expects = slices.DeleteFunc(slices.Clone(p.r.Expects), func(o core.Object) bool {
		old, ok := expected[expectation{o.ID, o.Spec}]
		return ok && sameWish(old, o)
	})
}

// An expectation is what one spec expects of one object.
type expectation struct {
	object core.ObjectID
	spec   core.SpecID
}

// sameWish reports whether two renderings want the same of an object.
func sameWish(a, b core.Object) bool {
	return reflect.DeepEqual(a.Fields, b.Fields) && reflect.DeepEqual(a.Ignore, b.Ignore) && reflect.DeepEqual(a.Force, b.Force)
}

// removed are the objects that only the first of two renderings has.
func removed(before, after core.Rendering) []core.Object {
	stays := after.ObjectsByID()
	return slices.DeleteFunc(slices.Clone(before.Objects), func(o core.Object) bool {
		_, ok := stays[o.ID]
		return ok
	})
}

// readRemoved reads an object that the proposal takes out of the repo. Whether it is
// ours is for orphans to say.
func (p *pass) readRemoved(ctx context.Context, o core.Object) error {
	live, err := p.c.Get(ctx, o.Fields)
	if err != nil && !meta.IsNoMatchError(err) {
		return fmt.Errorf("read %s: %w", o.ID, err) // that it goes must not be left out of the plan
	}
	if live != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.marked[o.ID] = live
	}
	return nil
}

// isForeign reports whether a proposal is about an object that exists and is not ours.
func (p *pass) isForeign(live map[string]any) bool {
	return p.proposal && live != nil && !p.c.Owns(live)
}

// unseen is what is told of such an object: that it exists.
func unseen(o core.Observed) core.Observed {
	fields := o.Object.Fields
	meta := map[string]any{"name": o.Object.ID.Name}
	if o.Object.ID.Namespace != "" {
		meta["namespace"] = o.Object.ID.Namespace
	}
	return core.Observed{
		Object: o.Object, Spec: o.Spec, Manifest: fields, Unchecked: notOurs,
		Live: map[string]any{"apiVersion": fields["apiVersion"], "kind": fields["kind"], "metadata": meta},
	}
}
