package render

import (
	"slices"
	"strings"

	"prumo.dev/prumo/internal/core"
)

// A graph is all specs of a tree, linked by their refs.
type graph struct {
	nodes []*node // sorted by id, then place
	byID  map[core.SpecID]*node
}

// A node is a unit in one tree: what is wrong with it there. Units are remembered
// between trees, nodes are not.
type node struct {
	*unit
	out      *outcome // nil until complete
	problems []core.Problem
	bad      bool // has a problem of its own or waits for one that has
	visit    int8 // of checkCycles: 0 none yet, 1 on the path, 2 done
}

func (n *node) blame(pos core.Pos, format string, args ...any) {
	p := problem(pos, format, args...)
	p.Spec = n.Spec.ID
	n.problems = append(n.problems, p)
	n.bad = true
}

// link checks what can be told without evaluating anything: names are unique,
// refs lead somewhere, and not in circles.
func link(units []*unit) *graph {
	g := &graph{byID: make(map[core.SpecID]*node, len(units))}
	nodes := make([]node, len(units))
	for i, u := range units {
		nodes[i] = node{unit: u, problems: slices.Clone(u.Problems), bad: len(u.Problems) > 0}
		g.nodes = append(g.nodes, &nodes[i])
	}
	slices.SortStableFunc(g.nodes, func(a, b *node) int {
		if c := a.Spec.ID.Compare(b.Spec.ID); c != 0 {
			return c
		}
		return a.Spec.Pos.Compare(b.Spec.Pos)
	})
	for _, n := range g.nodes {
		first, dup := g.byID[n.Spec.ID]
		if !dup {
			g.byID[n.Spec.ID] = n
			continue
		}
		for _, pair := range [][2]*node{{first, n}, {n, first}} {
			pair[0].blame(pair[0].Spec.Pos, "%s: also declared at %s; names are unique within a kind", n.Spec.ID, pair[1].Spec.Pos)
		}
	}
	g.checkRefs()
	g.checkCycles()
	return g
}

func (g *graph) checkRefs() {
	var names map[string][]string
	for _, n := range g.nodes {
		for _, rf := range n.Refs {
			if g.byID[rf.To] != nil {
				continue
			}
			if names == nil {
				names = g.names()
			}
			n.blame(rf.Pos, "%sno %s %q; %s", prefix(rf.Field), rf.To.Kind, rf.To.Name, there(rf.To, names[rf.To.Kind]))
		}
	}
}

// names returns the names of each kind, sorted.
func (g *graph) names() map[string][]string {
	names := map[string][]string{}
	for id := range g.byID {
		names[id.Kind] = append(names[id.Kind], id.Name)
	}
	for _, list := range names {
		slices.Sort(list)
	}
	return names
}

func there(id core.SpecID, names []string) string {
	if len(names) == 0 {
		return "there is none of that kind"
	}
	return choose(id.Name, names)
}

func prefix(field []string) string {
	if len(field) == 0 {
		return ""
	}
	return shown(field) + ": "
}

// checkCycles blames every spec on a circle of refs, at the ref that leads on.
func (g *graph) checkCycles() {
	var path []*node
	var visit func(n *node)
	visit = func(n *node) {
		n.visit = 1
		path = append(path, n)
		for _, rf := range n.Refs {
			to := g.byID[rf.To]
			switch {
			case to == nil:
			case to.visit == 0:
				visit(to)
			case to.visit == 1:
				g.blameCycle(path[slices.Index(path, to):])
			}
		}
		path = path[:len(path)-1]
		n.visit = 2
	}
	for _, n := range g.nodes {
		if n.visit == 0 {
			visit(n)
		}
	}
}

func (g *graph) blameCycle(circle []*node) {
	var names []string
	for _, n := range circle {
		names = append(names, n.Spec.ID.String())
	}
	text := strings.Join(append(names, names[0]), " -> ")
	for i, n := range circle {
		next := circle[(i+1)%len(circle)].Spec.ID
		at := slices.IndexFunc(n.Refs, func(rf ref) bool { return rf.To == next })
		n.blame(n.Refs[at].Pos, "%sneeds itself in a circle: %s", prefix(n.Refs[at].Field), text)
	}
}

// unpack gives all objects their fields.
func (g *graph) unpack() {
	in := newInterner()
	for _, n := range g.nodes {
		if n.out == nil {
			continue
		}
		if err := n.out.unpack(in); err != nil {
			p := problem(n.Spec.Pos, "%v", err)
			p.Spec = n.Spec.ID
			n.Outcome = &outcome{Problems: []core.Problem{p}, retry: retryLater()}
			n.settle()
		}
	}
}

// block tells the specs that depend on one with problems: they render nothing
// either.
func (g *graph) block() {
	for changed := true; changed; {
		changed = false
		for _, n := range g.nodes {
			if n.bad {
				continue
			}
			for _, rf := range n.Refs {
				if to := g.byID[rf.To]; to != nil && to.bad {
					n.blame(rf.Pos, "%swaits for %s, which has problems", prefix(rf.Field), rf.To)
					changed = true
					break
				}
			}
		}
	}
}
