package daemon

import (
	"context"
	"time"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/render"
	"prumo.dev/prumo/internal/sandbox"
)

// How long an evaluation may take. What was obeyed may be large, on a busy machine;
// what anybody may propose must not keep the daemon from its work.
const (
	obeyedFile   = time.Minute
	obeyedTree   = 10 * time.Minute
	proposedFile = 20 * time.Second
	proposedTree = time.Minute
)

// bounded are the settings of a renderer that evaluates in child processes, each file
// and each spec in time each, and a tree in time all.
func bounded(each, all time.Duration) render.Options {
	return render.Options{Time: all, Child: func() (render.Child, error) {
		return sandbox.Start(sandbox.Limits{Time: each})
	}}
}

// untrusted renders what is not obeyed yet. It remembers nothing: nothing that was
// proposed is ever taken for what was obeyed.
type untrusted struct{}

// Render implements reconcile.Renderer.
func (untrusted) Render(ctx context.Context, tree core.Tree) (core.Rendering, error) {
	r, err := render.New(bounded(proposedFile, proposedTree))
	if err != nil {
		return core.Rendering{}, err
	}
	return r.Render(ctx, tree)
}
