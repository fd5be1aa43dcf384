package trust

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
)

// Explain says who may change a path in a commit on top of parents, by the same
// policies that Verify would judge that commit by. accepted is the revision that
// was accepted last; empty means the introduction. A Refusal says why there is
// no policy to explain.
func (v *Verifier) Explain(ctx context.Context, h History, accepted, path string, parents ...string) (core.Explanation, *core.Refusal, error) {
	w, e := v.walk(h), core.Explanation{Path: path}
	if accepted == "" {
		accepted = v.anchor.Introduction
	}
	var refusal *core.Refusal
	var err error
	if w.accepted, refusal, err = w.policy(ctx, accepted); refusal != nil || err != nil {
		return e, refusal, err
	}
	laws, refusal, err := w.laws(ctx, &git.Commit{Parents: parents})
	if refusal != nil || err != nil {
		return e, refusal, err
	}
	for _, l := range laws {
		one := l.Explain(path, v.anchor)
		e.Trailer = cmp.Or(e.Trailer, one.Trailer)
		for _, r := range one.Requirements {
			if r.Rule != ruleRoot {
				r.Policy = l.where
			} else if len(e.Requirements) > 0 {
				continue // the trust file is one, however many policies there are
			}
			e.Requirements = append(e.Requirements, r)
		}
	}
	return e, nil, nil
}

// Explain says what a change of a path must satisfy by this policy alone. Without
// an anchor the root principals stay unnamed, and so does the branch.
func (p *Policy) Explain(path string, a *Anchor) core.Explanation {
	e := core.Explanation{Path: path, Requirements: p.requirements(path, a)}
	if p.namesRef {
		e.Trailer = trailer("REF")
		if a != nil && a.Ref != "" {
			e.Trailer = trailer(a.Ref)
		}
	}
	return e
}

// requirements returns the rules that speak of a path; none if nobody may change
// it.
func (p *Policy) requirements(path string, a *Anchor) []core.Requirement {
	if _, policy := split([]git.Change{{Path: path}}); len(policy) > 0 {
		root := core.Requirement{Rule: ruleRoot, Policy: "the trust file", Threshold: 1}
		if a != nil {
			root.Threshold = a.need
			root.Signers = slices.Clone(a.roots)
		}
		return []core.Requirement{root}
	}
	var out []core.Requirement
	for _, r := range p.rules {
		if r.speaksOf(path) {
			out = append(out, core.Requirement{Rule: r.name, Policy: PolicyPath, Ops: slices.Clone(r.ops),
				Signers: slices.Clone(r.quorum.of), Threshold: r.quorum.need, Distinct: r.quorum.distinct})
		}
	}
	return out
}

// Meet marks what of the requirements a commit meets that does ops to the path,
// and drops those that do not speak of them. Without ops all are kept.
func Meet(all []core.Requirement, ops []string, line core.CommitVerdict) []core.Requirement {
	var out []core.Requirement
	for _, r := range all {
		if len(ops) > 0 && len(r.Ops) > 0 && !slices.ContainsFunc(ops, func(op string) bool { return slices.Contains(r.Ops, op) }) {
			continue
		}
		if slices.Contains(r.Signers, line.Signer) && !r.Distinct {
			r.By = []string{line.Signer}
		}
		for _, name := range line.Approvers {
			if slices.Contains(r.Signers, name) {
				r.By = append(r.By, name)
			}
		}
		out = append(out, r)
	}
	return out
}

// CleanPath returns a path as rules see it, from the root of the repo, or says
// why no rule can speak of it.
func CleanPath(path string) (string, error) {
	path = strings.TrimPrefix(path, "./")
	switch {
	case path == "" || strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/"):
		return "", errors.New("give the path of a file from the root of the repo, such as nodes/a.yaml")
	case slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return s == "" || s == "." || s == ".." }):
		return "", errors.New("give the path without empty, . or .. parts, as git ls-files prints it")
	}
	return path, nil
}
