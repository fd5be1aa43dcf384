package images

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"

	"prumo.dev/prumo/internal/core"
)

// Pin judges the images of a rendering by the policy of a tree. It returns the
// rendering with every image by digest, without the specs that use an image that
// is refused, and with a Problem for each of these. Where the policy does not
// speak of images it returns the rendering as it is.
func (v *Verifier) Pin(ctx context.Context, policy core.Tree, want core.Rendering) (core.Rendering, error) {
	v.pins.fresh = newMemory()
	rules, err := v.rules(policy)
	if err != nil || rules == nil {
		return want, err
	}
	uses := Find(want.Objects, rules.Fields)
	pinned, problems := v.Resolve(ctx, *rules, uses)
	if err := ctx.Err(); err != nil {
		return want, err
	}
	for image, to := range pinned {
		if !byDigest(image) {
			v.pins.fresh.Tags[image] = to
		}
	}
	let := without(want, problems)
	for _, u := range Find(let.Objects, rules.Fields) {
		id := u.Object.String()
		v.pins.fresh.Objects[id] = append(v.pins.fresh.Objects[id], u.Image)
	}
	return pin(let, rules.Fields, pinned), nil
}

// Keep remembers what the last Pin resolved tags to. It is called before what was
// pinned is applied: from then on a tag means what it meant then.
func (v *Verifier) Keep() error { return v.pins.keep() }

// Recall returns a rendering that was applied before as it was applied: with the
// images that Keep remembers, and without the specs that were refused then, since
// a revision counts as applied also where some of it was refused. It judges
// nothing and asks nobody.
func (v *Verifier) Recall(policy core.Tree, before core.Rendering) (core.Rendering, error) {
	rules, err := v.rules(policy)
	if err != nil || rules == nil {
		return before, err
	}
	pinned := make(map[string]string)
	var refused []core.Problem
	for _, u := range Find(before.Objects, rules.Fields) {
		ref, repo, err := parse(u.Image)
		switch {
		case err != nil:
			refused = append(refused, u.problem("no image name"))
		case !v.pins.letIn(u.Object, u.Image):
			refused = append(refused, u.problem("was not let in"))
		default:
			if d, ok := ref.(name.Digest); ok {
				pinned[u.Image] = repo + "@" + d.DigestStr()
			} else if to, ok := v.pins.tag(u.Image); ok {
				pinned[u.Image] = to
			}
		}
	}
	problems := before.Problems
	before = without(pin(before, rules.Fields, pinned), refused)
	before.Problems = problems // what was wrong then is not told again
	return before, nil
}

// rules are what the policy of a tree says about images; nil if nothing.
func (v *Verifier) rules(tree core.Tree) (*core.ImagePolicy, error) {
	if v.policy == nil || tree.FS == nil {
		return nil, nil
	}
	rules, problems, err := v.policy(tree.FS)
	if len(problems) > 0 {
		return nil, fmt.Errorf("images cannot be judged, the policy has %d problems: %s", len(problems), problems[0])
	}
	return rules, err
}

func byDigest(image string) bool {
	ref, _, err := parse(image)
	_, ok := ref.(name.Digest)
	return err == nil && ok
}

func pin(r core.Rendering, fields []core.ImageField, pinned map[string]string) core.Rendering {
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
	of := func(o core.Object) bool { return blocked[o.Spec] }
	r.Objects = slices.DeleteFunc(slices.Clone(r.Objects), of)
	r.Expects = slices.DeleteFunc(slices.Clone(r.Expects), of)
	r.Precautions = slices.DeleteFunc(slices.Clone(r.Precautions), of)
	r.Problems = slices.Concat(r.Problems, problems)
	slices.SortStableFunc(r.Problems, func(a, b core.Problem) int { return a.Pos.Compare(b.Pos) })
	return r
}
