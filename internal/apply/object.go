package apply

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"prumo.dev/prumo/internal/cluster"
	"prumo.dev/prumo/internal/core"
)

// applyOne does one change that creates or updates.
func (p *pass) applyOne(ctx context.Context, i int) error {
	c := p.changes[i]
	if missing := p.missing(c.ID); missing != nil {
		p.say(i, core.StatusBlocked, fmt.Sprintf("%s was not created: %s", missing.ID, missing.Reason))
		return nil
	}
	switch {
	case c.Manifest == nil:
		p.say(i, core.StatusFailed, "the plan does not say what to send")
		return nil
	case c.Action == core.ActionReplace:
		return p.replace(ctx, i)
	case c.Action == core.ActionCreate:
		return p.create(ctx, i, c.Manifest)
	}
	return p.send(ctx, i, pinned(c), cluster.ApplyOptions{Force: c.Force, GiveUp: c.Ignore})
}

// creates names what a change brings that others cannot be without: a namespace,
// or a kind, which has no name.
func creates(c core.Change) (core.ObjectID, bool) {
	switch {
	case c.Live != nil || c.Manifest == nil:
	case c.ID.Group == "" && c.ID.Kind == "Namespace":
		return c.ID, true
	case c.ID.Group == "apiextensions.k8s.io" && c.ID.Kind == "CustomResourceDefinition":
		group, _, _ := unstructured.NestedString(c.Manifest, "spec", "group")
		kind, _, _ := unstructured.NestedString(c.Manifest, "spec", "names", "kind")
		return core.ObjectID{Group: group, Kind: kind}, true
	}
	return core.ObjectID{}, false
}

// missing is the outcome of what an object cannot be without, if this plan was to
// create it and did not.
func (p *pass) missing(id core.ObjectID) *core.Outcome {
	for _, need := range []core.ObjectID{{Kind: "Namespace", Name: id.Namespace}, {Group: id.Group, Kind: id.Kind}} {
		if i, ok := p.creates[need]; ok && p.outcomes[i].Status != core.StatusDone {
			return &p.outcomes[i]
		}
	}
	return nil
}

// pinned is the manifest of a change to an object that exists, bound to that very
// object: should it be deleted, or made anew by someone else, it is not ours to
// write to. What takes fields of others is bound to the version they were seen in.
func pinned(c core.Change) map[string]any {
	u := (&unstructured.Unstructured{Object: c.Manifest}).DeepCopy()
	_ = unstructured.SetNestedField(u.Object, c.UID, "metadata", "uid")
	if c.Force {
		u.SetResourceVersion(c.ResourceVersion)
	}
	return u.Object
}

func (p *pass) send(ctx context.Context, i int, manifest map[string]any, opts cluster.ApplyOptions) error {
	return retry(ctx, func() (err error) {
		p.after[i], err = p.cluster.Apply(ctx, manifest, opts)
		// Half of what a pass over thousands of objects would hold, and nobody reads it.
		unstructured.RemoveNestedField(p.after[i], "metadata", "managedFields")
		return err
	})
}

// create applies an object that does not exist. If it does by now, it is not we
// who created it, and nothing is written: the next pass plans to adopt it.
func (p *pass) create(ctx context.Context, i int, manifest map[string]any) error {
	return p.send(ctx, i, manifest, cluster.ApplyOptions{New: true, GiveUp: p.changes[i].Ignore})
}

// replace deletes an object, waits until it is gone, and creates it anew.
func (p *pass) replace(ctx context.Context, i int) error {
	gone, err := p.remove(ctx, i, max(p.opts.Wait, replaceWait))
	if err != nil || p.outcomes[i].Status != "" {
		return err
	}
	if !gone {
		p.say(i, core.StatusFailed, "the old object is not gone yet: "+p.outcomes[i].Reason)
		return nil
	}
	p.outcomes[i].Reason = ""
	fresh := (&unstructured.Unstructured{Object: p.changes[i].Manifest}).DeepCopy()
	unstructured.RemoveNestedField(fresh.Object, "metadata", "uid")
	unstructured.RemoveNestedField(fresh.Object, "metadata", "resourceVersion")
	return p.create(ctx, i, fresh.Object)
}

// say writes an outcome that is no error.
func (p *pass) say(i int, status core.Status, reason string) {
	p.outcomes[i].Status, p.outcomes[i].Reason = status, reason
}
