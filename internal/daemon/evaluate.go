package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"prumo.dev/prumo/internal/config"
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

// host is where children are started.
func host(cfg *config.Config) sandbox.Host {
	return sandbox.Host{Socket: cfg.Evaluator.Socket, Require: cfg.Evaluator.Require}
}

// tellWalls logs what is missing of the walls around evaluation. An error says that
// something is which the configuration requires, or that nothing can be evaluated.
func tellWalls(ctx context.Context, h sandbox.Host, log *slog.Logger) error {
	walls, err := h.Probe(ctx)
	if err != nil {
		return fmt.Errorf("start an evaluation: %w", err)
	}
	for _, what := range walls.Lacks {
		log.Warn("a wall around evaluation is missing; `evaluator.require` in the configuration makes it necessary", "wall", what)
	}
	return nil
}

// bounded are the settings of a renderer that evaluates in children, each file and
// each spec in time each, and a tree in time all.
func bounded(h sandbox.Host, each, all time.Duration) render.Options {
	return render.Options{Time: all, Child: func(ctx context.Context) (render.Child, error) {
		return h.Start(ctx, sandbox.Limits{Time: each})
	}}
}

// untrusted renders what is not obeyed yet. It remembers nothing: nothing that was
// proposed is ever taken for what was obeyed.
type untrusted struct{ host sandbox.Host }

// Render implements reconcile.Renderer.
func (u untrusted) Render(ctx context.Context, tree core.Tree) (core.Rendering, error) {
	opts := bounded(u.host, proposedFile, proposedTree)
	opts.Children = 1 // what is obeyed needs the others
	r, err := render.New(opts)
	if err != nil {
		return core.Rendering{}, err
	}
	return r.Render(ctx, tree)
}
