package render

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"prumo.dev/prumo/internal/core"
)

// Limits bound what a repo may ask of the renderer. Zero means the default.
type Limits struct {
	FileBytes int64 // of one file; default 4 MiB
	Files     int   // folders and files looked at; default 50,000
	Specs     int   // default 50,000
	Objects   int   // default 200,000
}

func (l Limits) orDefault() Limits {
	return Limits{
		FileBytes: cmp.Or(l.FileBytes, 4<<20),
		Files:     cmp.Or(l.Files, 50_000),
		Specs:     cmp.Or(l.Specs, 50_000),
		Objects:   cmp.Or(l.Objects, 200_000),
	}
}

// Options are the settings of a Renderer. The zero value is fine.
type Options struct {
	Limits Limits
}

// A Renderer renders trees and remembers what it saw in the last one. It may be
// used by many goroutines; one evaluates at a time, because CUE values that pass
// through an import race (cuelang.org/go v0.17.1).
type Renderer struct {
	limits Limits

	mu       sync.Mutex
	builtin  *builtin
	shared   *shared // of the last tree that had a good one
	files    map[[32]byte]*fileResult
	batch    *batch
	evaluate counters
}

// counters count what was evaluated, so that tests can tell that nothing was.
type counters struct {
	shared, files, completions int
}

// New returns a Renderer with the built-in kinds loaded.
func New(opts Options) (*Renderer, error) {
	b, err := loadBuiltin()
	if err != nil {
		return nil, fmt.Errorf("load the built-in kinds: %w", err)
	}
	return &Renderer{
		limits:  opts.Limits.orDefault(),
		builtin: b,
		files:   map[[32]byte]*fileResult{},
		batch:   newBatch(),
	}, nil
}

// Render returns what the tree says: its specs, their objects, and what is wrong
// with it. An error is a machine's fault, or the end of ctx.
func (r *Renderer) Render(ctx context.Context, tree core.Tree) (core.Rendering, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	repo, problems, err := scan(ctx, tree.FS, r.limits)
	if err != nil {
		return core.Rendering{}, fmt.Errorf("read the tree of %s: %w", tree.Revision.Short(), err)
	}
	shared, more := r.loadShared(repo)
	if shared == nil {
		return core.Rendering{Problems: sorted(append(problems, more...))}, nil
	}
	units, more, err := r.readSpecs(ctx, repo, shared)
	if err != nil {
		return core.Rendering{}, err
	}
	problems = append(problems, more...)

	g := link(units)
	if err := r.complete(ctx, g); err != nil {
		return core.Rendering{}, err
	}
	g.claimObjects(r.limits.Objects)
	g.block()
	out := g.rendering()
	out.Problems = sorted(append(out.Problems, problems...))
	return out, nil
}

// sorted orders problems by place and drops those said twice.
func sorted(ps []core.Problem) []core.Problem {
	slices.SortFunc(ps, func(a, b core.Problem) int {
		return cmp.Or(a.Pos.Compare(b.Pos), a.Spec.Compare(b.Spec), cmp.Compare(a.Msg, b.Msg))
	})
	return slices.Compact(ps)
}

// problem returns a Problem of this stage.
func problem(pos core.Pos, format string, args ...any) core.Problem {
	return core.Problem{Pos: pos, Stage: core.StageRender, Msg: oneLine(fmt.Sprintf(format, args...))}
}
