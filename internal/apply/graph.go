package apply

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"prumo.dev/prumo/internal/core"
)

// A step is changes that may be made at once, after other steps. One without
// changes joins others.
type step struct {
	changes []int
	next    []*step // what comes after

	enter func()                      // before its changes; may be nil
	leave func(context.Context) error // after them and before what is next; may take long, may be nil

	waits int // for how many steps that have not ended
	open  int // changes that are not made yet
}

func (s *step) then(next *step) {
	s.next = append(s.next, next)
	next.waits++
}

// A node is one spec in the graph of references.
type node struct {
	spec       core.SpecID
	level      int     // 0: refers to nothing; -1: not known yet
	first      []*node // those that come before it
	start, end *step   // all of it lies between the two, definitions apart
	changes    []int   // of it, those that are not tried included
	trouble    *trouble
}

// A graph is the order of some changes. A spec comes after those that it refers
// to; within a spec, kinds have their ranks. Namespaces and definitions of kinds
// wait for nothing, and what uses them waits for them, whatever spec it belongs to.
// Before what may run pods come the quotas and network policies of its namespace.
//
// It has no circle: every edge leads from a definition to something else, or to a
// higher level, or to a higher rank of one level.
type graph struct {
	p       *pass
	refs    map[core.SpecID][]core.SpecID
	nodes   map[core.SpecID]*node
	steps   []*step
	defines map[core.ObjectID][]*step // by what is defined, see uses
	fences  map[fence]*step
}

// A fence is all that bounds the pods of a namespace, up to a level.
type fence struct {
	namespace string
	level     int
}

// newGraph orders the changes that have one of the actions, or would have if they
// were not held. What is blocked and has no manifest is on its way out.
func (p *pass) newGraph(refs map[core.SpecID][]core.SpecID, actions ...core.Action) *graph {
	g := &graph{p: p, refs: refs, nodes: map[core.SpecID]*node{}, defines: map[core.ObjectID][]*step{}, fences: map[fence]*step{}}
	for i, c := range p.changes {
		if slices.Contains(actions, cmp.Or(c.Wanted, c.Action)) && (c.Action != core.ActionBlocked || c.Manifest != nil) {
			n := g.node(c.Spec)
			n.changes = append(n.changes, i)
		}
	}
	nodes := slices.SortedFunc(maps.Values(g.nodes), func(a, b *node) int {
		return cmp.Or(cmp.Compare(a.level, b.level), a.spec.Compare(b.spec))
	})
	for _, n := range nodes {
		g.addDefinitions(n)
	}
	for _, n := range nodes {
		g.addRanks(n)
	}
	return g
}

// node finds or makes the node of a spec, and with it those of all that it refers
// to. A ref that closes a circle is left out: render refuses it.
func (g *graph) node(id core.SpecID) *node {
	if n := g.nodes[id]; n != nil {
		return n
	}
	n := &node{spec: id, level: -1, start: g.step(), end: g.step()}
	g.nodes[id] = n
	level := 0
	for _, ref := range g.refs[id] {
		if m := g.node(ref); m.level >= 0 {
			n.first = append(n.first, m)
			m.end.then(n.start)
			level = max(level, m.level+1)
		}
	}
	n.level = level
	return n
}

func (g *graph) step(changes ...int) *step {
	s := &step{changes: changes}
	g.steps = append(g.steps, s)
	return s
}

// open are the changes of a spec that are still to be made.
func (g *graph) open(n *node) []int {
	return slices.DeleteFunc(slices.Clone(n.changes), func(i int) bool { return g.p.outcomes[i].Status != "" })
}

// addDefinitions makes a step of each change that defines what others use.
func (g *graph) addDefinitions(n *node) {
	for _, i := range g.open(n) {
		if id := g.p.changes[i].ID; isDefinition(id.Kind) {
			s := g.step(i)
			s.leave = func(ctx context.Context) error { return g.p.serve(ctx, i) }
			s.then(n.end)
			g.defines[defined(id)] = append(g.defines[defined(id)], s)
		}
	}
}

// addRanks makes a chain of the other changes, rank by rank.
func (g *graph) addRanks(n *node) {
	byRank := map[int][]int{}
	for _, i := range g.open(n) {
		if kind := g.p.changes[i].ID.Kind; !isDefinition(kind) {
			byRank[ranks[kind]] = append(byRank[ranks[kind]], i)
		}
	}
	last := n.start
	for _, rank := range slices.Sorted(maps.Keys(byRank)) {
		s := g.step(byRank[rank]...)
		last.then(s)
		last = s
		g.join(n, s)
	}
	last.then(n.end)
}

// join puts a step after what its changes use, and before or after the fence of
// the namespaces that they are in.
func (g *graph) join(n *node, s *step) {
	before, after := map[*step]bool{}, map[*step]bool{}
	for _, i := range s.changes {
		c := g.p.changes[i]
		for _, id := range uses(c.ID) {
			for _, d := range g.defines[id] {
				before[d] = true
			}
		}
		switch {
		case c.ID.Namespace == "":
		case isFence[c.ID.Kind]:
			after[g.fence(c.ID.Namespace, n.level)] = true
		case !isPassive(c.ID.Kind):
			before[g.fence(c.ID.Namespace, n.level)] = true
		}
	}
	for b := range before {
		b.then(s)
	}
	for a := range after {
		s.then(a)
	}
}

// fence joins what bounds the pods of a namespace, up to a level.
func (g *graph) fence(namespace string, level int) *step {
	key := fence{namespace, level}
	if g.fences[key] == nil {
		g.fences[key] = g.step()
		if level > 0 {
			g.fence(namespace, level-1).then(g.fences[key])
		}
	}
	return g.fences[key]
}

// reverse turns the order round: what came last comes first.
func (g *graph) reverse() {
	edges := make([][]*step, len(g.steps))
	for i, s := range g.steps {
		edges[i], s.next, s.waits = s.next, nil, 0
	}
	for i, s := range g.steps {
		for _, later := range edges[i] {
			later.then(s)
		}
	}
	first := map[*node][]*node{}
	for _, n := range g.nodes {
		for _, m := range n.first {
			first[m] = append(first[m], n)
		}
	}
	for _, n := range g.nodes {
		n.start, n.end, n.first = n.end, n.start, first[n]
	}
}
