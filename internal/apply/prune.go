package apply

import (
	"context"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"prumo.dev/prumo/internal/core"
)

// replaceWait bounds how long a replaced object may take to go.
const replaceWait = 30 * time.Second

// protected are the kinds that hold what cannot be made again: only what the plan's
// Approval allows of them is ever deleted, whatever its changes say.
var protected = map[string]bool{
	"Namespace":             true,
	"PersistentVolume":      true,
	"PersistentVolumeClaim": true,
	"CustomResourceDefinition.apiextensions.k8s.io": true,
}

// prune deletes and releases, in reverse order, what nothing may still need.
func (p *pass) prune(ctx context.Context) error {
	if err := p.keepNeeded(ctx); err != nil {
		return err
	}
	if len(p.changes) == 0 {
		return nil
	}
	g := p.newGraph(p.transition.refs, core.ActionDelete, core.ActionRelease)
	g.reverse()
	g.guardDependents(p.transition, true)
	if err := p.walk(ctx, g, p.pruneOne); err != nil {
		return err
	}
	for i := range p.changes {
		if o := p.outcomes[i]; o.Action == core.ActionDelete && o.Status == core.StatusDone && o.Reason != "" {
			p.notReady = append(p.notReady, o)
		}
	}
	return nil
}

func (p *pass) pruneOne(ctx context.Context, i int) error {
	if p.changes[i].Action == core.ActionRelease {
		return p.release(ctx, i)
	}
	_, err := p.remove(ctx, i, p.opts.Wait)
	return err
}

// remove deletes the object of a change, and reports whether it is gone within
// the wait. If it is not, the outcome's reason says what holds it.
func (p *pass) remove(ctx context.Context, i int, wait time.Duration) (gone bool, err error) {
	live, err := p.read(ctx, i)
	if err != nil || live == nil {
		return err == nil, err
	}
	if status, reason := p.guard(p.changes[i], live); status != "" {
		p.say(i, status, reason)
		return false, nil
	}
	if (&unstructured.Unstructured{Object: live}).GetDeletionTimestamp() == nil {
		err = retry(ctx, func() error { return p.cluster.Delete(ctx, live) })
		if err != nil && !apierrors.IsNotFound(err) {
			return false, err
		}
	}
	err = poll(ctx, wait, func() (done bool, err error) {
		live, err = p.read(ctx, i)
		return live == nil || uid(live) != p.changes[i].UID, err
	})
	if err != nil {
		return false, err
	}
	if live == nil || uid(live) != p.changes[i].UID {
		return true, nil
	}
	p.outcomes[i].Reason = "is being deleted " + p.cluster.Holding(ctx, live)
	return false, nil
}

// guard says why a live object must not be deleted; the status is empty if it
// may be. It believes the live object, and never the plan alone.
func (p *pass) guard(c core.Change, live map[string]any) (core.Status, string) {
	u := &unstructured.Unstructured{Object: live}
	kind := c.ID.Kind
	if c.ID.Group != "" {
		kind += "." + c.ID.Group
	}
	switch {
	case kind == "Node":
		return core.StatusFailed, "a Node is never deleted"
	case c.UID == "" || uid(live) != c.UID:
		return core.StatusFailed, "not deleted: it was made anew since the plan"
	case !p.cluster.Owns(live):
		return core.StatusFailed, "not deleted: it does not carry our mark any more"
	case u.GetAnnotations()[core.AnnotationOrigin] != core.OriginCreated:
		return core.StatusFailed, "not deleted: it was there before us"
	case strings.HasPrefix(u.GetAnnotations()[core.AnnotationSpec], core.KindDataset+"/") && !p.approved(c):
		return core.StatusHeld, "what belongs to a Dataset is deleted only when this very plan is approved"
	case protected[kind] && !p.approved(c):
		return core.StatusHeld, fmt.Sprintf("a %s is deleted only when this very plan is approved", c.ID.Kind)
	}
	return "", ""
}

func (p *pass) approved(c core.Change) bool { return p.plan.Approval.Allows(p.plan.Hash, c) }

// release gives up the object of a change: marks, fields and taints go, the
// object stays.
func (p *pass) release(ctx context.Context, i int) error {
	live, err := p.read(ctx, i)
	switch {
	case err != nil || live == nil:
		return err
	case p.changes[i].UID == "" || uid(live) != p.changes[i].UID:
		p.say(i, core.StatusFailed, "not released: it was made anew since the plan")
		return nil
	case !p.cluster.Owns(live):
		p.say(i, core.StatusFailed, "not released: it does not carry our mark any more")
		return nil
	}
	return retry(ctx, func() error {
		_, err := p.cluster.Release(ctx, live)
		return err
	})
}

// read returns the object of a change as it is now, nil if it is not there.
func (p *pass) read(ctx context.Context, i int) (live map[string]any, err error) {
	err = retry(ctx, func() error {
		live, err = p.cluster.Get(ctx, p.changes[i].Live)
		return err
	})
	return live, err
}

func uid(live map[string]any) string {
	return string((&unstructured.Unstructured{Object: live}).GetUID())
}
