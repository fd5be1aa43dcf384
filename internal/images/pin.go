package images

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"prumo.dev/prumo/internal/core"
)

// Pin judges the images of a rendering by the policy of a tree. It returns the
// rendering with every image by digest, without the specs that use an image that
// is refused, and with a Problem for each of these. Where the policy does not
// speak of images it returns the rendering as it is.
func (v *Verifier) Pin(ctx context.Context, policy core.Tree, want core.Rendering) (core.Rendering, error) {
	v.pins.fresh = nil
	rules, err := v.rules(ctx, policy)
	if err != nil || rules == nil {
		return want, err
	}
	uses := Find(want.Objects, rules.Fields)
	pinned, problems := v.Resolve(ctx, *rules, uses)
	if err := ctx.Err(); err != nil {
		return want, err
	}
	v.pins.fresh, v.fields = make(map[string]pin, len(pinned)), rules.Fields
	for image, to := range pinned {
		if rule, repo, ok := ruleFor(*rules, image); ok {
			v.pins.fresh[image] = pin{Digest: strings.TrimPrefix(to, repo+"@"), Rules: []string{keyOf(rule)}}
		}
	}
	return rewriteAll(without(want, problems), rules.Fields, pinned), nil
}

// Keep remembers what the last Pin let in. It is called before what was pinned is
// applied: from then on a tag means what it meant then. When there is no room for
// more, what is not in force is forgotten.
func (v *Verifier) Keep(ctx context.Context, inForce core.Rendering) error {
	return v.pins.keep(ctx, func() map[string]bool {
		runs := make(map[string]bool)
		for _, u := range Find(inForce.Objects, v.fields) {
			if _, digest, ok := strings.Cut(u.Image, "@"); ok {
				runs[digest] = true
			}
		}
		return runs
	})
}

// Recall returns a rendering that was applied before as it was applied: with what
// images were let in as, and without the specs that were refused then, since a
// revision counts as applied also where some of it was refused. An image was let in
// if it has passed under the rule that the policy of that time has for it. Recall
// judges nothing and asks no registry.
func (v *Verifier) Recall(ctx context.Context, policy core.Tree, before core.Rendering) (core.Rendering, error) {
	rules, err := v.rules(ctx, policy)
	if err != nil || rules == nil {
		return before, err
	}
	pinned := make(map[string]string)
	var refused []core.Problem
	for _, u := range Find(before.Objects, rules.Fields) {
		rule, repo, ok := ruleFor(*rules, u.Image)
		digest, letIn := v.pins.letIn(u.Image, rule)
		if !ok || !letIn || u.Guess {
			refused = append(refused, u.problem("was not let in"))
			continue
		}
		pinned[u.Image] = repo + "@" + digest
	}
	problems := before.Problems
	before = without(rewriteAll(before, rules.Fields, pinned), refused)
	before.Problems = problems // what was wrong then is not told again
	return before, nil
}

// rules are what the policy of a tree says about images; nil if nothing. Where it
// says something, what was let in before is known from then on.
func (v *Verifier) rules(ctx context.Context, tree core.Tree) (*core.ImagePolicy, error) {
	if v.policy == nil || tree.FS == nil {
		return nil, nil
	}
	rules, problems, err := v.policy(tree.FS)
	if len(problems) > 0 {
		return nil, fmt.Errorf("images cannot be judged, the policy has %d problems: %s", len(problems), problems[0])
	}
	if err != nil || rules == nil {
		return nil, err
	}
	return rules, v.pins.load(ctx)
}

// ruleFor returns the rule that judges an image, and the image's repository.
func ruleFor(rules core.ImagePolicy, image string) (rule core.ImageRule, repo string, ok bool) {
	_, repo, err := parse(image)
	if err != nil {
		return rule, "", false
	}
	rule, ok = ruleOf(rules.Rules, repo)
	return rule, repo, ok
}

func rewriteAll(r core.Rendering, fields []core.ImageField, pinned map[string]string) core.Rendering {
	objects := make([]core.Object, len(r.Objects))
	for i, o := range r.Objects {
		objects[i] = rewrite(o, fields, pinned)
	}
	r.Objects = objects
	return r
}

// without returns a rendering with more problems, and without what they block:
// the objects of their specs and of all specs that depend on these.
func without(r core.Rendering, problems []core.Problem) core.Rendering {
	if len(problems) == 0 {
		return r
	}
	blocked := make(map[core.SpecID]bool)
	for _, p := range problems {
		blocked[p.Spec] = true
	}
	for changed := true; changed; {
		changed = false
		for _, s := range r.Specs {
			if !blocked[s.ID] && slices.ContainsFunc(s.Refs, func(ref core.SpecID) bool { return blocked[ref] }) {
				blocked[s.ID], changed = true, true
			}
		}
	}
	r = r.Without(func(s core.SpecID) bool { return blocked[s] })
	r.Problems = slices.Concat(r.Problems, problems)
	slices.SortStableFunc(r.Problems, func(a, b core.Problem) int { return a.Pos.Compare(b.Pos) })
	return r
}
