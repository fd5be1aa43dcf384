package trust

import (
	"fmt"
	"slices"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
)

// A trunk is the way from the tip of a range down to where it begins, by first
// parents. If a policy asks for it (namesRef), each commit of the trunk names in
// its signed message the branch that it is for. What a merge brings in by another
// parent need not: its signer answers for all of that, by every rule that speaks
// of it, and says which branch it is for. So all that differs between the two
// ends was meant for this branch by somebody who may change it.
type trunk struct {
	commits map[string]bool // by id; none: nothing is to be obeyed yet
	builds  map[string]bool // on what the range begins at; none: nothing does
}

// findTrunk returns the trunk of a range, whose commits come parents first.
func findTrunk(from, to string, commits []*git.Commit) trunk {
	t := trunk{commits: map[string]bool{}, builds: map[string]bool{from: true}}
	byID := map[string]*git.Commit{}
	for _, c := range commits {
		byID[c.ID] = c
		t.builds[c.ID] = slices.ContainsFunc(c.Parents, func(p string) bool { return t.builds[p] })
	}
	for c := byID[to]; c != nil && len(c.Parents) > 0; c = byID[c.Parents[0]] {
		t.commits[c.ID] = true
	}
	return t
}

// unnamed refuses a commit of the trunk that does not name the branch which the
// trust file is about, if a law asks for that. Nor may the trunk pass by what was
// accepted: a merge that has the branch as a later parent answers for nothing
// that came into the branch before it.
func (w *walk) unnamed(c *git.Commit, laws []law) *core.Refusal {
	i := slices.IndexFunc(laws, func(l law) bool { return l.namesRef })
	if i < 0 || !w.trunk.commits[c.ID] {
		return nil
	}
	ref, why := namedRef(c.Message)
	switch {
	case w.anchor.Ref == "":
		return namelessAnchor(laws[i].where)
	case why != "":
		return namesNone(why, w.anchor.Ref, laws[i].where)
	case ref != w.anchor.Ref:
		return namesNone("its message names "+ref, w.anchor.Ref, laws[i].where)
	case w.trunk.builds[c.ID] && !w.trunk.builds[c.Parents[0]]:
		return backToFront(c.Parents[0], w.anchor.Ref)
	}
	return nil
}

func namesNone(found, ref, where string) *core.Refusal {
	return &core.Refusal{
		Code:   CodeRef,
		Rule:   ruleNamesRef,
		Found:  found,
		Needed: fmt.Sprintf("%s in the last paragraph of the signed message (%s of %s)", trailer(ref), ruleNamesRef, where),
		Remedy: fmt.Sprintf("if it is meant for this branch, have it say so: %s (several: git rebase --exec \"that\" ORIGIN/BRANCH), then push; "+
			"or take it out of the branch and bring it in by a merge that says so: %s", nameCommand(ref), mergeCommand(ref)),
	}
}

func namelessAnchor(where string) *core.Refusal {
	return &core.Refusal{
		Code:   CodeRef,
		Rule:   ruleNamesRef,
		Found:  "the trust file does not say which branch it is about",
		Needed: fmt.Sprintf("a branch for the commit to name (%s of %s)", ruleNamesRef, where),
		Remedy: "put repo: {id: …, ref: refs/heads/…} into the trust file",
	}
}

func backToFront(parent, ref string) *core.Refusal {
	return &core.Refusal{
		Code:   CodeRef,
		Rule:   ruleNamesRef,
		Found:  fmt.Sprintf("it merges the branch into something else: its first parent, %.10s, does not build on the last accepted revision", parent),
		Needed: "a merge into the branch, whose first parent is the branch",
		Remedy: "merge the other way round (git switch BRANCH && " + mergeCommand(ref) + "), or rebase instead (git pull --rebase)",
	}
}

// trailer is how a commit names a branch.
func trailer(ref string) string { return refTrailer + ": " + ref }

// nameCommand and mergeCommand are the lines by which the last commit, or a merge,
// is made to name a branch.
func nameCommand(ref string) string {
	return fmt.Sprintf("git -c trailer.ifexists=replace commit --amend --no-edit -S --trailer '%s'", trailer(ref))
}

func mergeCommand(ref string) string {
	return fmt.Sprintf("git merge --no-ff -S -m SUBJECT -m '%s' OTHER", trailer(ref))
}
