package render

import (
	"context"
	"crypto/sha256"

	"prumo.dev/prumo/internal/core"
)

// complete renders the specs that need others, with the facts of these. One whose
// facts are what they were when it was last rendered is not rendered again.
func (r *Renderer) complete(ctx context.Context, c *crew, g *graph) error {
	return c.do(ctx, func(yield func(task) bool) {
		for _, n := range g.nodes {
			if ctx.Err() != nil {
				return
			}
			if n.bad {
				continue
			}
			key, ready := g.depsKey(n)
			switch {
			case !ready: // block will tell it
			case n.Outcome != nil && (n.In == nil || n.outcomeKey == key) && !n.Outcome.retry.due():
				n.settle()
			default:
				r.evaluate.completions++
				if !yield(n.completion(g, key)) {
					return
				}
			}
		}
	})
}

// completion is the task to render one spec.
func (n *node) completion(g *graph, key [32]byte) task {
	settle := func(out *outcome) {
		n.Outcome, n.outcomeKey = out, key
		n.settle()
	}
	return task{
		pos: n.Spec.Pos,
		do: func(ctx context.Context, e evaluator) (int, error) {
			out, err := e.complete(ctx, n.unit, g.deps(n))
			if err != nil {
				return 0, err
			}
			settle(out)
			return len(out.Fields), nil
		},
		fail: func(p core.Problem) {
			p.Spec = n.Spec.ID
			settle(&outcome{Problems: []core.Problem{p}, retry: retryLater()})
		},
	}
}

func (n *node) settle() {
	n.out = n.Outcome
	n.problems = append(n.problems, n.out.Problems...)
	n.bad = len(n.problems) > 0
}

// depsKey tells facts of all that a spec needs, in the order of its refs, from other
// facts. It is not ready if one of these has none.
func (g *graph) depsKey(n *node) (key [32]byte, ready bool) {
	var few [4 * sha256.Size]byte
	facts := few[:0]
	for _, rf := range n.Refs {
		to := g.byID[rf.To]
		if to == nil || len(to.Facts) == 0 {
			return key, false
		}
		facts = append(facts, to.FactsHash[:]...)
	}
	return sha256.Sum256(facts), true
}

// deps are the facts of all that a spec needs.
func (g *graph) deps(n *node) []dep {
	var deps []dep
	for _, id := range n.Spec.Refs {
		deps = append(deps, dep{id, g.byID[id].Facts})
	}
	return deps
}
