package trust

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"prumo.dev/prumo/internal/core"
)

// overrides is where root principals say that a branch may leave a revision that
// was accepted: refs/tags/override/FROM/TO/PRINCIPAL.
const overrides = "override/"

// OverrideRef is the full name of the tag by which a root principal puts one
// revision in the place of another, which it does not build on.
func OverrideRef(from, to, principal string) string {
	return "refs/tags/" + overrides + from + "/" + to + "/" + principal
}

// OverrideBody is what an override must say, to the byte.
func (a *Anchor) OverrideBody(from, to string) string {
	return fmt.Sprintf("repo: %s\nref: %s\nfrom: %s\nto: %s\n", a.Repo, a.Ref, from, to)
}

// Override judges a branch that was rewritten or set back from an accepted
// revision. It is refused as E-REWRITTEN unless as many root principals as the
// anchor's threshold say have signed a tag, of to, for exactly this step. What
// to has and from has not is judged like any other commits: root principals can
// leave a bad revision, not bring in what the policy forbids. The verdict names
// them, and Next takes it.
func (v *Verifier) Override(ctx context.Context, h History, from, to string) (core.Verdict, error) {
	by, ignored := v.walk(h).overriders(from, to)
	if len(by) < v.anchor.need {
		r := rewritten(from, to)
		r.Found = strings.Join(append([]string{r.Found}, ignored...), "; ")
		if v.anchor.Repo != "" {
			r.Remedy += v.anchor.overrideCommand(from, to, by)
		}
		return core.Verdict{From: from, To: to, Refusal: r}, nil
	}
	verdict, err := v.VerifyProposal(ctx, h, from, to)
	verdict.Override = by
	return verdict, err
}

// overriders returns the root principals who signed the step, sorted, and why
// other tags for it do not count.
func (w *walk) overriders(from, to string) (by, ignored []string) {
	p := &panel{w: w, ring: w.anchor.ring, where: "the trust file", object: to, body: w.anchor.OverrideBody(from, to),
		ref: func(name string) string { return OverrideRef(from, to, name) }, votes: map[string]vote{}}
	return p.count(w.anchor.roots)
}

func (a *Anchor) overrideCommand(from, to string, by []string) string {
	missing := slices.DeleteFunc(slices.Clone(a.roots), func(name string) bool { return slices.Contains(by, name) })
	return fmt.Sprintf("; or, if the branch is right as it is, let %d more of %s say so: %s", a.need-len(by), strings.Join(missing, ", "),
		tagCommand(a.OverrideBody(from, to), overrides+from+"/"+to+"/YOU", to))
}

// OverrideTags matches the refs of the tags that Override looks for.
func (v *Verifier) OverrideTags(from, to string) func(ref string) bool {
	return func(ref string) bool {
		return slices.ContainsFunc(v.anchor.roots, func(name string) bool { return ref == OverrideRef(from, to, name) })
	}
}

// Returns refuses a verdict that would bring back what root principals had the
// branch leave, under whatever id, unless they say so again. prev is the last
// accepted State.
func (v *Verifier) Returns(ctx context.Context, h History, prev State, verdict core.Verdict) (*core.Refusal, error) {
	if len(prev.Left) == 0 || len(verdict.Commits) == 0 || len(verdict.Override) > 0 {
		return nil, nil
	}
	w := v.walk(h)
	gone := map[[32]byte]string{} // by payload
	for _, tip := range prev.Left {
		commits, err := w.beside(ctx, prev.Commit, tip)
		if err != nil {
			return nil, fmt.Errorf("what root principals had the branch leave: %w", err)
		}
		for _, c := range commits {
			gone[sum(c.Payload)] = c.ID
		}
	}
	for _, line := range verdict.Commits {
		c, err := h.Commit(line.Commit)
		if err != nil {
			return nil, err
		}
		if id := gone[sum(c.Payload)]; id != "" {
			return comesBack(c.ID, id), nil
		}
	}
	return nil, nil
}
