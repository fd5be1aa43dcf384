package render

import (
	"maps"
	"slices"

	"prumo.dev/prumo/internal/core"
)

// A claim is an object and the node that renders it.
type claim struct {
	*core.Object
	by *node
}

// claim counts what specs render, in order, and finds what more than one of them does.
func (g *graph) claim(limits Limits) []claim {
	var claims []claim
	count := 0
	for _, n := range g.nodes {
		if n.out == nil {
			continue
		}
		if len(n.out.Objects) > limits.SpecObjects {
			n.blame(n.Spec.Pos, "renders %d objects, and the limit for one spec is %d: split it", len(n.out.Objects), limits.SpecObjects)
			continue
		}
		if count += len(n.out.Objects); count > limits.Objects {
			n.blame(n.Spec.Pos, "the repo renders more than %d objects, which is the limit; this spec renders none", limits.Objects)
			continue
		}
		claims = n.claims(claims, n.out.Objects)
	}
	claims = byID(claims)
	first := 0
	for i := 1; i < len(claims); i++ {
		if claims[i].ID != claims[first].ID {
			first = i
			continue
		}
		claims[i].contest(claims[first])
	}
	return claims
}

// claims adds objects of a node to others.
func (n *node) claims(to []claim, objects []core.Object) []claim {
	for i := range objects {
		to = append(to, claim{&objects[i], n})
	}
	return to
}

// contest tells two specs that both render an object.
func (c claim) contest(first claim) {
	if c.by == first.by {
		c.by.blame(c.by.Spec.Pos, "renders %s twice; that is a mistake in kind %s", c.ID, c.by.Spec.ID.Kind)
		return
	}
	for _, pair := range [][2]*node{{first.by, c.by}, {c.by, first.by}} {
		pair[0].blame(pair[0].Spec.Pos, "renders %s, and so does %s at %s; rename one", c.ID, pair[1].Spec.ID, pair[1].Spec.Pos)
	}
}

// byID returns claims in the order of their objects, and of their specs where more than
// one expects something of an object. Those of one kind come nearly sorted, since specs
// are, and hardly need to be compared then.
func byID(claims []claim) []claim {
	kinds := map[core.ObjectID][]claim{}
	for _, c := range claims {
		kind := core.ObjectID{Group: c.ID.Group, Kind: c.ID.Kind}
		kinds[kind] = append(kinds[kind], c)
	}
	sorted := claims[:0]
	for _, kind := range slices.SortedFunc(maps.Keys(kinds), core.ObjectID.Compare) {
		slices.SortFunc(kinds[kind], func(a, b claim) int {
			if c := a.ID.Compare(b.ID); c != 0 {
				return c
			}
			return a.Spec.Compare(b.Spec)
		})
		sorted = append(sorted, kinds[kind]...)
	}
	return sorted
}

// good are the objects of claims whose specs have no problem.
func good(claims []claim) []core.Object {
	claims = slices.DeleteFunc(claims, func(c claim) bool { return c.by.bad })
	if len(claims) == 0 {
		return nil
	}
	out := make([]core.Object, len(claims))
	for i, c := range claims {
		out[i] = *c.Object
	}
	return out
}

// rendering collects what the tree says. Specs that share an id are one.
func (g *graph) rendering(objects []claim) core.Rendering {
	out := core.Rendering{Specs: make([]core.Spec, 0, len(g.byID)), Objects: good(objects)}
	var expects, precautions []claim
	for _, n := range g.nodes {
		if g.byID[n.Spec.ID] == n {
			out.Specs = append(out.Specs, n.Spec)
		}
		out.Problems = append(out.Problems, n.problems...)
		if n.out != nil {
			expects = n.claims(expects, n.out.Expects)
			precautions = n.claims(precautions, n.out.Precautions)
		}
	}
	out.Expects, out.Precautions = good(byID(expects)), good(byID(precautions))
	return out
}
