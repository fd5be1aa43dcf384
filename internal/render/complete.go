package render

import (
	"context"

	"cuelang.org/go/cue"

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
			case n.outcome != nil && (n.in == nil || n.outcomeKey == key):
				n.settle()
			default:
				r.evaluate.completions++
				if !yield(task{func(sh *shared) { n.complete(sh, g, key) }, n.spec.Pos, func(p core.Problem) { n.fail(p, key) }}) {
					return
				}
			}
		}
	})
}

// complete renders one spec.
func (n *node) complete(sh *shared, g *graph, key [32]byte) {
	// Both at once, because each filling evaluates the whole kind.
	v := sh.kinds[n.spec.ID.Kind].schema.FillPath(cue.MakePath(), map[string]any{"in": n.in.value(), "deps": g.deps(n)})
	n.outcome, n.outcomeKey = n.render(v), key
	n.settle()
}

// fail says why the spec could not be rendered.
func (n *node) fail(p core.Problem, key [32]byte) {
	p.Spec = n.spec.ID
	n.outcome, n.outcomeKey = &outcome{problems: []core.Problem{p}}, key
	n.settle()
}

func (n *node) settle() {
	n.out = n.outcome
	n.problems = append(n.problems, n.out.problems...)
	n.bad = len(n.problems) > 0
}

// depsKey tells facts of all that a spec needs from other facts. It is not ready if
// one of these has none.
func (g *graph) depsKey(n *node) (key [32]byte, ready bool) {
	h := newHash("deps", nil)
	for _, rf := range n.refs {
		to := g.byID[rf.to]
		if to == nil || len(to.facts) == 0 {
			return key, false
		}
		h.add(rf.to.String(), to.factsHash[:])
	}
	return h.sum(), true
}

// deps are the facts of all that a spec needs, by kind and name.
func (g *graph) deps(n *node) map[string]map[string]any {
	deps := map[string]map[string]any{}
	for _, rf := range n.refs {
		if deps[rf.to.Kind] == nil {
			deps[rf.to.Kind] = map[string]any{}
		}
		deps[rf.to.Kind][rf.to.Name] = g.byID[rf.to].facts.value()
	}
	return deps
}
