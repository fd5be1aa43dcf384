package reconcile

import (
	"context"
	"slices"

	"prumo.dev/prumo/internal/core"
)

// pinImages lets into a rendering only the images that the policy of a tree
// allows.
func (r *Reconciler) pinImages(ctx context.Context, policy core.Tree, want core.Rendering) (core.Rendering, error) {
	if r.Images == nil {
		return want, nil
	}
	return r.Images.Pin(ctx, policy, want)
}

// untrusted says which objects that stay as they were have an image that the
// policy refuses now. good is what renders without a problem.
func (r *Reconciler) untrusted(ctx context.Context, policy core.Tree, good core.Rendering, seen core.Observation) (map[core.ObjectID]core.Untrusted, error) {
	if r.Images == nil || len(good.Problems) == 0 {
		return nil, nil
	}
	renders := rendered(good)
	kept := slices.DeleteFunc(slices.Clone(seen.Objects), func(o core.Observed) bool { return renders[o.Object.Spec] })
	return r.Images.Untrusted(ctx, policy, kept)
}

// keepImages remembers the images of what is about to be applied.
func (r *Reconciler) keepImages(ctx context.Context, inForce core.Rendering) error {
	if r.Images == nil {
		return nil
	}
	return r.Images.Keep(ctx, inForce)
}

// renderBefore renders a tree that was applied before, with the images that it
// was applied with.
func (r *Reconciler) renderBefore(ctx context.Context, tree core.Tree) (core.Rendering, error) {
	before, err := r.Renderer.Render(ctx, tree)
	if err != nil {
		return before, err
	}
	return r.recall(ctx, tree, before)
}

func (r *Reconciler) recall(ctx context.Context, tree core.Tree, before core.Rendering) (core.Rendering, error) {
	if r.Images == nil {
		return before, nil
	}
	return r.Images.Recall(ctx, tree, before)
}

// renderAgreed renders a tree that live state should match: with the images that
// are let in now, and where a spec has a problem, as it was applied.
func (r *Reconciler) renderAgreed(ctx context.Context, tree core.Tree) (core.Rendering, error) {
	now, err := r.Renderer.Render(ctx, tree)
	if err != nil {
		return now, err
	}
	before, err := r.recall(ctx, tree, now)
	if err != nil {
		return now, err
	}
	if before, err = r.withKept(ctx, before, r.Source.Applied().Kept); err != nil {
		return now, err
	}
	now, err = r.pinImages(ctx, tree, now)
	return KeepLastGood(now, before), err
}
