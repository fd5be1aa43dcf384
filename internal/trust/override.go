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

// Override judges again a step that Follow has refused as E-REWRITTEN, since the
// branch was rewritten or set back, or as E-REFUSED. That stands unless as many
// root principals as the anchor's threshold say have signed a tag, of the tip,
// for exactly this step. What the tip brings is judged like any other commits:
// root principals can leave a bad revision, or take up what was refused once, not
// bring in what the policy forbids. The verdict names them.
func (v *Verifier) Override(ctx context.Context, h History, prev State, refused Step) (Step, error) {
	from, to := prev.Commit, refused.verdict.To
	w := v.walk(h)
	w.memory = prev.Refused
	by, ignored := w.overriders(from, to)
	if len(by) < v.anchor.need {
		r := *refused.verdict.Refusal
		r.Found = strings.Join(append([]string{r.Found}, ignored...), "; ")
		if v.anchor.Repo != "" {
			r.Remedy += v.anchor.overrideCommand(from, to, by)
		}
		refused.verdict.Refusal, refused.refused = &r, append(refused.refused, w.refused...)
		return refused, nil
	}
	w = v.walk(h) // without what was refused before
	w.aside = true
	verdict, err := v.verify(ctx, from, to, w)
	verdict.Override = by
	return Step{verdict: verdict, instead: refused.verdict.Refusal.Code == CodeRewritten, refused: w.refused}, err
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

// OverrideTags matches the refs of the tags that Override looks for; nil if they
// could not help a step.
func (v *Verifier) OverrideTags(prev State, step Step) func(ref string) bool {
	r := step.verdict.Refusal
	if prev.Commit == "" || r == nil || r.Code != CodeRewritten && r.Code != CodeRefused {
		return nil
	}
	return func(ref string) bool {
		return slices.ContainsFunc(v.anchor.roots, func(name string) bool { return ref == OverrideRef(prev.Commit, step.verdict.To, name) })
	}
}

// returns refuses a verdict that would bring back what root principals had the
// branch leave, under whatever id. prev is the last accepted State.
func (w *walk) returns(ctx context.Context, prev State, verdict core.Verdict) (*core.Refusal, error) {
	if len(prev.Left) == 0 || len(verdict.Commits) == 0 {
		return nil, nil
	}
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
		c, err := w.h.Commit(line.Commit)
		if err != nil {
			return nil, err
		}
		if id := gone[sum(c.Payload)]; id != "" {
			return comesBack(c.ID, id), nil
		}
	}
	return nil, nil
}
