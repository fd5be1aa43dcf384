package reconcile

import (
	"context"

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

// keepImages remembers the images of what is about to be applied.
func (r *Reconciler) keepImages() error {
	if r.Images == nil {
		return nil
	}
	return r.Images.Keep()
}

// renderBefore renders a tree that was applied before, with the images that it
// was applied with.
func (r *Reconciler) renderBefore(ctx context.Context, tree core.Tree) (core.Rendering, error) {
	before, err := r.Renderer.Render(ctx, tree)
	if err != nil || r.Images == nil {
		return before, err
	}
	return r.Images.Recall(tree, before)
}

// renderAgreed renders a tree that live state should match: with the images that
// are let in now, and where one is refused, as it was applied.
func (r *Reconciler) renderAgreed(ctx context.Context, tree core.Tree) (core.Rendering, error) {
	now, err := r.Renderer.Render(ctx, tree)
	if err != nil || r.Images == nil {
		return now, err
	}
	before, err := r.Images.Recall(tree, now)
	if err == nil {
		now, err = r.Images.Pin(ctx, tree, now)
	}
	return keepLastGood(now, before), err
}
