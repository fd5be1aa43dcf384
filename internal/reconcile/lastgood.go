package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"prumo.dev/prumo/internal/core"
)

// lastGood is what was applied last, and what it renders to.
type lastGood struct {
	core.Applied
	declared  core.Rendering // what its tree says; until it is remembered
	rendering core.Rendering
	asked     map[string]bool // see askedFor; until it is remembered
}

// before returns what was applied last, rendered again after a restart. It is
// empty if nothing ever was. What of it cannot be read again is told in rep.
func (r *Reconciler) before(ctx context.Context, rep *core.Report) (core.Rendering, error) {
	applied := r.Source.Applied()
	if applied.Commit == "" || applied.Commit == r.lastGood.Commit {
		return r.lastGood.rendering, nil
	}
	tree, err := r.Source.Tree(applied.Revision)
	if err != nil {
		return core.Rendering{}, err
	}
	rendering, err := r.renderBefore(ctx, tree)
	if err != nil {
		return core.Rendering{}, err
	}
	rendering, err = r.withKept(ctx, rendering, applied.Kept)
	if applied.Forgotten > 0 {
		err = errors.Join(err, fmt.Errorf("drift of %d more specs is not corrected until the repo is mended: no more are remembered over a restart", applied.Forgotten))
	}
	if err != nil {
		rep.Errors = append(rep.Errors, core.Fault{Stage: core.StageRender, Msg: err.Error()})
	}
	r.lastGood = lastGood{Applied: applied, rendering: rendering}
	return rendering, nil
}

// maxKept bounds the old revisions that are rendered after a restart.
const maxKept = 32

// withKept puts into what a revision renders to the specs that stayed as they were
// at older ones, instead of what it says of them. What cannot be rendered is left
// out: nothing becomes of it, and nothing is deleted while the repo has the problems
// that it was kept for.
func (r *Reconciler) withKept(ctx context.Context, now core.Rendering, kept core.Kept) (core.Rendering, error) {
	now = now.Without(func(s core.SpecID) bool { _, ok := kept[s.String()]; return ok })
	byCommit := make(map[string]map[string]bool)
	for spec, commit := range kept {
		if byCommit[commit] == nil {
			byCommit[commit] = make(map[string]bool)
		}
		byCommit[commit][spec] = true
	}
	var errs []error
	for i, commit := range slices.Sorted(maps.Keys(byCommit)) {
		was, err := core.Rendering{}, fmt.Errorf("it is the last good one of more than %d", maxKept)
		if i < maxKept {
			was, err = r.renderCommit(ctx, commit)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("drift of %s is not corrected until the repo is mended: revision %.10s, at which it last was good: %w",
				strings.Join(slices.Sorted(maps.Keys(byCommit[commit])), ", "), commit, err))
			continue
		}
		now = add(now, was, func(spec core.SpecID, _ core.Pos) bool { return byCommit[commit][spec.String()] })
	}
	return now, errors.Join(errs...)
}

func (r *Reconciler) renderCommit(ctx context.Context, commit string) (core.Rendering, error) {
	tree, err := r.Source.Tree(core.Revision{Commit: commit})
	if err != nil {
		return core.Rendering{}, err
	}
	return r.renderBefore(ctx, tree)
}

// keptSpecs says of what commit the specs are that want has and good does not
// render.
func (r *Reconciler) keptSpecs(good, want core.Rendering) core.Kept {
	kept := make(core.Kept)
	if len(good.Problems) == 0 {
		return kept // want is good
	}
	renders := rendered(good)
	for spec := range rendered(want) {
		if !renders[spec] {
			kept[spec.String()] = cmp.Or(r.lastGood.Kept[spec.String()], r.lastGood.Commit)
		}
	}
	return kept
}

// maxKeptBytes bounds what is remembered over a restart of specs that stayed as
// they were, as it is written: with all else it must fit into one ConfigMap.
const maxKeptBytes = 256 << 10

// forRestart is what is remembered of what was applied. Of too many specs that
// stayed as they were the first are. Of the others nothing becomes after a
// restart: nothing is deleted while the repo has problems.
func (a lastGood) forRestart() core.Applied {
	const around = 16 // bytes, of JSON with indentation
	applied, size, commits := a.Applied, 0, map[string]bool{}
	applied.Kept = make(core.Kept)
	for _, spec := range slices.Sorted(maps.Keys(a.Kept)) {
		commit := a.Kept[spec]
		if size += len(spec) + around; !commits[commit] {
			size += len(commit) + around
		}
		if size > maxKeptBytes {
			applied.Forgotten = len(a.Kept) - len(applied.Kept)
			break
		}
		commits[commit], applied.Kept[spec] = true, commit
	}
	return applied
}

// rendered are the specs that render to something.
func rendered(r core.Rendering) map[core.SpecID]bool {
	specs := make(map[core.SpecID]bool, len(r.Specs))
	for _, objects := range [][]core.Object{r.Objects, r.Expects} {
		for i := range objects {
			specs[objects[i].Spec] = true
		}
	}
	return specs
}

// KeepLastGood returns want with every spec that a Problem blocks as it was
// before: what is broken in the repo stays in force as it last was.
func KeepLastGood(want, before core.Rendering) core.Rendering {
	if len(want.Problems) == 0 {
		return want
	}
	renders := rendered(want)
	declared := declared(want)
	blocked := make(map[core.SpecID]bool)
	var unreadable []string // files and folders; "" for the whole tree
	if len(want.Specs) == 0 {
		unreadable = []string{""} // what all specs share is wrong, such as site.cue or a kind
	}
	for _, p := range want.Problems {
		if p.Spec == (core.SpecID{}) {
			unreadable = append(unreadable, p.Pos.File)
		} else {
			blocked[p.Spec] = true
		}
	}
	return add(want, before, func(s core.SpecID, pos core.Pos) bool {
		return !renders[s] && (blocked[s] || declared[s] || slices.ContainsFunc(unreadable, func(name string) bool {
			return name == "" || name == pos.File || strings.HasPrefix(pos.File, name+"/")
		}))
	})
}

// add returns want with the specs of before that are kept, where want has not
// their like.
func add(want, before core.Rendering, kept func(core.SpecID, core.Pos) bool) core.Rendering {
	declared := declared(want)
	taken := make(map[core.ObjectID]bool, len(want.Objects))
	for _, o := range want.Objects {
		taken[o.ID] = true
	}
	out := core.Rendering{Specs: slices.Clone(want.Specs), Objects: slices.Clone(want.Objects),
		Expects: slices.Clone(want.Expects), Precautions: slices.Clone(want.Precautions), Problems: want.Problems}
	for _, s := range before.Specs {
		if kept(s.ID, s.Pos) && !declared[s.ID] {
			out.Specs = append(out.Specs, s)
		}
	}
	for _, o := range before.Objects {
		if kept(o.Spec, o.Pos) && !taken[o.ID] {
			out.Objects = append(out.Objects, o)
		}
	}
	for _, o := range before.Expects {
		if kept(o.Spec, o.Pos) {
			out.Expects = append(out.Expects, o)
		}
	}
	for _, o := range before.Precautions {
		if kept(o.Spec, o.Pos) {
			out.Precautions = append(out.Precautions, o)
		}
	}
	slices.SortFunc(out.Specs, func(a, b core.Spec) int { return a.ID.Compare(b.ID) })
	slices.SortFunc(out.Objects, func(a, b core.Object) int { return a.ID.Compare(b.ID) })
	slices.SortFunc(out.Expects, func(a, b core.Object) int { return a.ID.Compare(b.ID) })
	slices.SortFunc(out.Precautions, func(a, b core.Object) int { return a.ID.Compare(b.ID) })
	return out
}

// declared are the specs that a rendering knows, with a problem or not.
func declared(r core.Rendering) map[core.SpecID]bool {
	specs := make(map[core.SpecID]bool, len(r.Specs))
	for _, s := range r.Specs {
		specs[s.ID] = true
	}
	return specs
}

// HoldReason says why nothing may be deleted now, if so. A repo with problems
// does not tell for sure what it no longer wants.
func HoldReason(want core.Rendering) string {
	if len(want.Problems) == 0 {
		return ""
	}
	return fmt.Sprintf("the repo has problems (%d), the first at %s", len(want.Problems), want.Problems[0].Pos)
}
