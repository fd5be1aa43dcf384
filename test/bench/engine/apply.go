package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"prumo.dev/prumo/test/bench/row"
)

// firstApply has a daemon with an empty memory apply the whole fleet to an empty
// cluster. The bare client sends as many objects, half before and half after.
func (w *world) firstApply(ctx context.Context) ([]row.Row, error) {
	before, err := w.raw(ctx, 0, w.pairs/2)
	if err != nil {
		return nil, err
	}
	p, sent, err := w.applyAll(ctx, w.objects())
	if err != nil {
		return nil, err
	}
	if _, _, w.peak, err = w.daemon.memory(); err != nil {
		return nil, err
	}
	if err := w.stop(); err != nil {
		return nil, err
	}
	after, err := w.raw(ctx, w.pairs/2, w.pairs-w.pairs/2)
	if err != nil {
		return nil, err
	}
	limit := float64(w.objects()) / (before + after).Seconds()
	rate := w.row("first apply", float64(w.objects())/p.Applying.Seconds(), "objects/s").Beside(limit)
	rate.Bar, rate.OK = "≥ 0.7 ×", rate.Ratio >= 0.7
	whole := w.row("first apply, with fetch, verify and render", float64(w.objects())/p.Took.Seconds(), "objects/s").Beside(limit)
	perObject := w.row("first apply", sent.all/float64(w.objects()), "requests/object")
	perObject.Bar, perObject.OK = "≤ 1.1", perObject.Value <= 1.1
	return []row.Row{rate, whole, perObject}, nil
}

// applyAll starts a daemon and waits for the pass that applies n objects.
func (w *world) applyAll(ctx context.Context, n int) (p pass, sent counts, err error) {
	before, err := w.api.requests(ctx)
	if err != nil {
		return p, sent, err
	}
	if err := w.start(); err != nil {
		return p, sent, err
	}
	if p, err = w.daemon.wait(ctx, func(p pass) bool { return p.Done+p.Failed+p.Blocked > 0 }); err != nil {
		return p, sent, err
	}
	if p.Done != n {
		return p, sent, fmt.Errorf("%d objects were applied, %d failed, %d are blocked; want %d applied", p.Done, p.Failed, p.Blocked, n)
	}
	after, err := w.api.requests(ctx)
	return p, after.since(before), err
}

// removable are those resources of the fleet that nothing keeps from being deleted
// (a volume waits for a controller that does not run here), six in ten objects.
var removable = []schema.GroupVersionResource{
	{Version: "v1", Resource: "services"}, {Version: "v1", Resource: "serviceaccounts"},
	{Group: "apps", Version: "v1", Resource: "statefulsets"},
	{Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies"},
}

const removablePerPair = 6

// applyAgain deletes objects behind the back of a daemon that is not there and has
// the next one apply them to namespaces that exist.
func (w *world) applyAgain(ctx context.Context) ([]row.Row, error) {
	if err := w.stop(); err != nil {
		return nil, err
	}
	for i := range w.pairs {
		for _, r := range removable {
			// Not as a collection: Services have none.
			if err := w.removeAll(ctx, r, fmt.Sprintf("t%05d", i)); err != nil {
				return nil, err
			}
		}
	}
	p, sent, err := w.applyAll(ctx, w.pairs*removablePerPair)
	if err != nil {
		return nil, err
	}
	perObject := w.row("apply to namespaces that exist", sent.all/float64(p.Done), "requests/object")
	perObject.N = p.Done // without a bar: what a first pass asks once, some hundred requests, weighs with so few
	rate := w.row("apply to namespaces that exist", float64(p.Done)/p.Applying.Seconds(), "objects/s")
	rate.N = p.Done
	return []row.Row{perObject, rate}, nil
}

func (w *world) removeAll(ctx context.Context, r schema.GroupVersionResource, namespace string) error {
	c := w.people.Resource(r).Namespace(namespace)
	list, err := c.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, o := range list.Items {
		if err := c.Delete(ctx, o.GetName(), metav1.DeleteOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// restart starts a daemon anew while all is as it should be.
func (w *world) restart(ctx context.Context) ([]row.Row, error) {
	if err := w.stop(); err != nil {
		return nil, err
	}
	before, err := w.api.requests(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.start(); err != nil {
		return nil, err
	}
	p, err := w.daemon.wait(ctx, func(pass) bool { return true })
	if err != nil {
		return nil, err
	}
	if p.Unchanged != w.objects() {
		return nil, fmt.Errorf("%d objects of %d are found unchanged after a restart, %d are to be changed", p.Unchanged, w.objects(), p.Changes)
	}
	after, err := w.api.requests(ctx)
	if err != nil {
		return nil, err
	}
	sent := after.since(before)
	return []row.Row{
		w.row("restart in sync, to the verdict", p.at.Sub(w.daemon.started).Seconds(), "s").Below(10, "< 10"),
		w.row("restart in sync", sent.writes, "writes").Below(1, "0"),
		w.row("restart in sync", sent.all, "requests"),
	}, nil
}

// pause waits for a time, or until the bench is told to stop.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
