package apply

import (
	"context"
	"fmt"
	"iter"

	"prumo.dev/prumo/internal/core"
)

// A trouble is why what depends on a spec has to wait: one object of that spec, or
// of another that it depends on in turn.
type trouble struct {
	spec   core.SpecID
	object core.ObjectID
	reason string
}

func (t *trouble) String() string {
	return fmt.Sprintf("waiting for %s (%s: %s)", t.spec, t.object, t.reason)
}

// guardDependents makes wait what depends on a spec in trouble, where the step from
// one rendering to the next asks for it: what was in force before stays so, and is
// put right. Namespaces and definitions of kinds wait for no spec, unless they go.
func (g *graph) guardDependents(s *transition, going bool) {
	waits := func(i int) bool {
		id := g.p.changes[i].ID
		return going || !isDefinition(id.Kind) && s.isAsked(id)
	}
	for _, n := range g.nodes {
		n.start.enter = func() {
			t := n.needed()
			if t == nil {
				return
			}
			for _, i := range n.changes {
				if waits(i) && g.p.outcomes[i].Status == "" {
					g.p.say(i, core.StatusBlocked, t.String())
				}
			}
		}
		n.end.enter = func() { n.judge(g.p, going) }
	}
}

// needed is the trouble that those are in that come before a node.
func (n *node) needed() *trouble {
	for _, m := range n.first {
		if m.trouble != nil {
			return m.trouble
		}
	}
	return nil
}

// judge says whether a spec is in trouble, once all of it was tried. A machine
// that is away is no trouble: whatever is meant to run on it waits by itself.
func (n *node) judge(p *pass, going bool) {
	n.trouble = n.needed()
	for _, i := range n.changes {
		if going && isDefinition(p.changes[i].ID.Kind) {
			continue // it goes after all else, whatever that belongs to
		}
		o := p.outcomes[i]
		unmade := o.Status == core.StatusFailed || o.Status == core.StatusHeld || o.Status == core.StatusBlocked
		if unmade && n.trouble == nil && o.ID.Kind != "Node" {
			n.trouble = &trouble{n.spec, o.ID, o.Reason}
		}
	}
}

// gateDependents makes what depends on a spec wait until that is ready, whether or
// not this plan changes it.
func (g *graph) gateDependents() {
	needed := map[core.SpecID]*node{}
	for _, n := range g.nodes {
		for _, m := range n.first {
			needed[m.spec] = m
		}
	}
	if len(needed) == 0 {
		return
	}
	unchanged := map[core.SpecID][]core.Object{}
	for o := range g.p.unchanged() {
		if needed[o.Spec] != nil && gates(o) {
			unchanged[o.Spec] = append(unchanged[o.Spec], o)
		}
	}
	for id, n := range needed {
		n.end.leave = func(ctx context.Context) error { return n.gate(ctx, g.p, unchanged[id]) }
	}
}

// gates reports whether it takes more of an object to be ready than to be there.
func gates(o core.Object) bool { return !isPassive(o.ID.Kind) || len(o.Ready) > 0 }

// unchanged are the objects that the plan leaves as they are.
func (p *pass) unchanged() iter.Seq[core.Object] {
	changes := make(map[core.ObjectID]bool, len(p.changes))
	for _, c := range p.changes {
		changes[c.ID] = true
	}
	return func(yield func(core.Object) bool) {
		for _, o := range p.plan.After.Objects {
			if !changes[o.ID] && !yield(o) {
				return
			}
		}
	}
}

// gate waits until all of a spec is ready.
func (n *node) gate(ctx context.Context, p *pass, unchanged []core.Object) error {
	if n.trouble != nil {
		return nil
	}
	var objects []*seen
	for _, o := range unchanged {
		objects = append(objects, &seen{change: -1, object: o})
	}
	if err := p.reread(ctx, objects); err != nil {
		return err
	}
	for _, i := range n.changes {
		if s := p.applied(i); s != nil && gates(s.object) {
			objects = append(objects, s)
		}
	}
	unready, err := p.await(ctx, objects)
	if len(unready) > 0 {
		reason, _ := unready[0].verdict()
		n.trouble = &trouble{n.spec, unready[0].object.ID, "not ready: " + reason}
	}
	return err
}
