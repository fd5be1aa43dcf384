package render

import (
	"context"
	"encoding/json"
	"fmt"

	"cuelang.org/go/cue"
)

// complete renders the specs that need others, with the facts of these. One whose
// facts are what they were when it was last rendered is not rendered again.
func (r *Renderer) complete(ctx context.Context, g *graph) error {
	for _, n := range g.nodes {
		if n.bad {
			continue
		}
		if n.in == nil {
			n.settle(n.outcome)
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		deps, ready := g.deps(n)
		if !ready {
			continue // block will tell it
		}
		key, err := hashDeps(deps)
		if err != nil {
			return fmt.Errorf("hash the facts that %s sees: %w", n.spec.ID, err)
		}
		if n.outcome == nil || n.outcomeKey != key {
			r.evaluate.completions++
			// Both at once, because each filling evaluates the whole kind.
			v := n.kind.schema.FillPath(cue.MakePath(), map[string]any{"in": n.in, "deps": deps})
			n.outcome, n.outcomeKey = n.render(v), key
		}
		n.settle(n.outcome)
	}
	return nil
}

func (n *node) settle(out *outcome) {
	n.out = out
	n.problems = append(n.problems, out.problems...)
	n.bad = len(n.problems) > 0
}

// deps are the facts of all that a spec needs, by kind and name. It is not ready
// if one of these has none.
func (g *graph) deps(n *node) (map[string]map[string]any, bool) {
	deps := map[string]map[string]any{}
	for _, rf := range n.refs {
		to := g.byID[rf.to]
		if to == nil || to.facts == nil {
			return nil, false
		}
		if deps[rf.to.Kind] == nil {
			deps[rf.to.Kind] = map[string]any{}
		}
		deps[rf.to.Kind][rf.to.Name] = to.facts
	}
	return deps, true
}

// hashDeps relies on maps being marshalled in order of their keys.
func hashDeps(deps map[string]map[string]any) ([32]byte, error) {
	b, err := json.Marshal(deps)
	if err != nil {
		return [32]byte{}, err
	}
	return newHash("deps", b).sum(), nil
}
