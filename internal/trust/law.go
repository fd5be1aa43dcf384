package trust

import (
	"context"
	"fmt"
	"slices"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
)

// A law is a policy that a commit must satisfy.
type law struct {
	*Policy
	where string // for people
}

// laws returns the policies of all parents, never the one that the commit
// carries. A parent whose policy is older than the accepted one, or another of
// the same version, adds the accepted one: a key that was removed since does not
// come back by signing on an old base.
func (w *walk) laws(ctx context.Context, c *git.Commit) ([]law, *core.Refusal, error) {
	var laws []law
	for _, parent := range c.Parents {
		p, refusal, err := w.policy(ctx, parent)
		if refusal != nil || err != nil {
			return nil, refusal, err
		}
		laws = appendLaw(laws, p, fmt.Sprintf("the policy of its parent %.10s", parent))
		if p.Version <= w.accepted.Version {
			laws = appendLaw(laws, w.accepted, "the policy of the last accepted revision")
		}
	}
	return laws, nil, nil
}

func appendLaw(laws []law, p *Policy, where string) []law {
	if slices.ContainsFunc(laws, func(l law) bool { return l.digest == p.digest }) {
		return laws
	}
	return append(laws, law{p, where})
}

// allows returns the rules that speak of a change, all of which must have the
// principal among their signers; a change that no rule speaks of is refused.
func (l law) allows(principal string, ch git.Change, a *Anchor) ([]rule, *core.Refusal) {
	var matching []rule
	for _, r := range l.rules {
		if !r.covers(ch) {
			continue
		}
		if _, ok := slices.BinarySearch(r.signers, principal); !ok {
			return nil, notAllowed(principal, ch, r, l.where)
		}
		matching = append(matching, r)
	}
	if len(matching) == 0 {
		return nil, noRule(principal, ch, a, l.where)
	}
	return matching, nil
}

// covers reports whether the rule speaks of a change.
func (r rule) covers(ch git.Change) bool {
	return r.speaksOf(ch.Path) && (len(r.ops) == 0 || slices.Contains(r.ops, string(ch.Op)))
}

// speaksOf reports whether the rule is about a path, whatever is done to it.
func (r rule) speaksOf(path string) bool {
	matches := func(g glob) bool { return g.match(path) }
	return slices.ContainsFunc(r.paths, matches) && !slices.ContainsFunc(r.except, matches)
}
