package trust

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
)

// Names of rules that no policy has: what allowed a commit that no rule allowed.
const (
	ruleRoot         = "root"         // the anchor's root principals, for PolicyDir
	ruleIntroduction = "introduction" // the anchor names the commit
	ruleMerge        = "merge"        // the section of a policy that says who may merge
	ruleNamesRef     = "namesRef"     // the line of a policy that has commits name their branch
)

// judge says whether one commit may be obeyed. in holds the commits of the
// range; those are judged themselves.
func (w *walk) judge(ctx context.Context, c *git.Commit, in map[string]bool) (core.CommitVerdict, error) {
	line := core.CommitVerdict{Commit: c.ID, Subject: subject(c)}
	refusal, err := w.examine(ctx, c, in, &line)
	if err != nil {
		return line, fmt.Errorf("judge commit %.10s: %w", c.ID, err)
	}
	line.Refusal = on(refusal, c.ID)
	return line, nil
}

// examine is the order of the checks. It fills in signer, key and rules.
func (w *walk) examine(ctx context.Context, c *git.Commit, in map[string]bool, line *core.CommitVerdict) (*core.Refusal, error) {
	if c.Committer.When.After(w.now.Add(clockSkew)) {
		return futureDate("the commit", c.Committer.When), nil
	}
	if refusal, err := w.lineage(ctx, c, in); refusal != nil || err != nil {
		return refusal, err
	}
	laws, refusal, err := w.laws(ctx, c)
	if refusal != nil || err != nil {
		return refusal, err
	}
	changes, refusal, err := w.changes(ctx, c)
	if refusal != nil || err != nil {
		return refusal, err
	}
	if hash := fmt.Sprintf("%x", sum(c.Payload)); w.anchor.revoked[hash] {
		return revokedPayload(hash), nil
	}
	pr, refusal := parseProof(c)
	if refusal != nil {
		return refusal, nil
	}
	line.Key = pr.name()
	line.Known = w.proposal && w.isKnown(pr, c.Payload)
	if refusal, err = w.weigh(ctx, c, pr, laws, changes, line); err != nil {
		return nil, err
	}
	rings, err := w.rings(ctx, c)
	refusal = w.abide(c.ID, c.Payload, pr, rings, refusal)
	if refusal == nil || refusal.Code == CodeThreshold { // before others approve what must be made again
		refusal = cmp.Or(w.unnamed(c, laws), refusal)
	}
	return refusal, err
}

// isKnown reports whether a principal of the accepted policy, or a root principal, has
// signed. A policy that the proposal itself brings does not count.
func (w *walk) isKnown(pr proof, payload []byte) bool {
	_, unknown := w.identify(w.accepted.ring, "the policy of the last accepted revision", pr, payload, w.now)
	if unknown != nil {
		_, unknown = w.identify(w.anchor.ring, "the trust file's root", pr, payload, w.now)
	}
	return unknown == nil
}

// weigh is what the laws say of a signed commit.
func (w *walk) weigh(ctx context.Context, c *git.Commit, pr proof, laws []law, changes []git.Change, line *core.CommitVerdict) (*core.Refusal, error) {
	own, policy := split(changes)
	if len(policy) > 0 {
		if refusal := w.judgeRoot(c, pr, laws, line); refusal != nil {
			return refusal, nil
		}
		if refusal, err := w.judgePolicy(ctx, c, policy); refusal != nil || err != nil {
			return refusal, err
		}
	}
	if len(own) > 0 || len(policy) == 0 {
		return w.judgePaths(c, pr, laws, own, line), nil
	}
	return nil, nil
}

// lineage requires that each parent is the introduction or builds on it. A
// branch from before the introduction, or from nowhere, would bring the policy
// that it is judged by.
func (w *walk) lineage(ctx context.Context, c *git.Commit, in map[string]bool) (*core.Refusal, error) {
	if len(c.Parents) == 0 {
		return wrongIntroduction("the commit has no parent: it begins a history of its own", c.ID), nil
	}
	for _, p := range c.Parents {
		if in[p] {
			continue
		}
		if ok, err := w.descends(ctx, p); err != nil {
			return nil, err
		} else if !ok {
			return wrongIntroduction(fmt.Sprintf("its parent %.10s is older than the introduction", p), c.ID), nil
		}
	}
	return nil, nil
}

// changes returns what differs between the commit and each of its parents. A
// merge answers for all that it brings to either side: what came in by the side
// branch, and what the side branch would undo.
func (w *walk) changes(ctx context.Context, c *git.Commit) ([]git.Change, *core.Refusal, error) {
	var all []git.Change
	for _, parent := range c.Parents {
		changes, err := w.h.Changes(ctx, parent, c.ID)
		if bad, ok := errors.AsType[*git.BadObject](err); ok {
			return nil, objectRefusal(bad, c.ID), nil
		}
		if err != nil {
			return nil, nil, err
		}
		all = append(all, changes...)
	}
	slices.SortFunc(all, func(a, b git.Change) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Op, b.Op))
	})
	return all, nil, nil
}

// split tells changes under PolicyDir from all others. Any spelling of PolicyDir
// counts: a file system that ignores case would show it as the real one.
func split(changes []git.Change) (own, policy []git.Change) {
	for _, ch := range changes {
		if first, _, _ := strings.Cut(ch.Path, "/"); strings.EqualFold(first, PolicyDir) {
			policy = append(policy, ch)
		} else {
			own = append(own, ch)
		}
	}
	return own, policy
}

// judgeRoot requires a root principal, whose keys come from the anchor alone.
func (w *walk) judgeRoot(c *git.Commit, pr proof, laws []law, line *core.CommitVerdict) *core.Refusal {
	k, refusal := w.identify(w.anchor.ring, "the trust file's root", pr, c.Payload, w.now)
	if refusal != nil && refusal.Code == CodeKeyUnknown {
		for _, l := range laws {
			signer, r := w.identify(l.ring, l.where, pr, c.Payload, w.now)
			if r != nil && r.Code != CodeKeyUnknown {
				return r
			}
			if r == nil {
				return notRoot(w.anchor, signer.owner)
			}
		}
	}
	if refusal != nil {
		return refusal
	}
	line.Signer = k.owner
	const where = "the trust file"
	approvers, refusal := w.panel(c, w.anchor.ring, where, k.owner).reach(quorum{need: w.anchor.need, of: w.anchor.roots}, ruleRoot)
	line.Approvers = approvers
	if refusal != nil {
		refusal.Path = PolicyPath
		return refusal
	}
	line.Rules = []string{ruleRoot}
	return nil
}

// judgePolicy checks the policy that a commit leaves behind. It binds later
// commits only, so this is about whether it can.
func (w *walk) judgePolicy(ctx context.Context, c *git.Commit, changes []git.Change) (*core.Refusal, error) {
	for _, ch := range changes {
		if ch.NewMode != "" && ch.NewMode != "100644" {
			return badPolicy(c.ID, fmt.Sprintf("%s has mode %s; files there are plain data, mode 100644", ch.Path, ch.NewMode)), nil
		}
	}
	after, refusal, err := w.policy(ctx, c.ID)
	if refusal != nil || err != nil {
		return refusal, err
	}
	newest, rival := 0, false
	kept := false // a parent of the highest version has this very policy
	for _, parent := range c.Parents {
		p, refusal, err := w.policy(ctx, parent)
		if refusal != nil || err != nil {
			return refusal, err
		}
		same := p.digest == after.digest
		switch {
		case p.Version > newest:
			newest, rival, kept = p.Version, false, same
		case p.Version == newest:
			rival, kept = rival || same != kept, kept || same
		}
	}
	if kept && !rival || after.Version == newest+1 {
		return nil, nil
	}
	return wrongVersion(c.ID, after.Version, newest), nil
}

// judgePaths requires that every law knows the signer and that every rule of
// every law that speaks of a change allows the signer to make it.
func (w *walk) judgePaths(c *git.Commit, pr proof, laws []law, changes []git.Change, line *core.CommitVerdict) *core.Refusal {
	rules := map[string]bool{}
	for _, r := range line.Rules {
		rules[r] = true
	}
	approvers := map[string]bool{}
	for _, name := range line.Approvers {
		approvers[name] = true
	}
	for _, l := range laws {
		k, refusal := w.identify(l.ring, l.where, pr, c.Payload, w.now)
		if refusal != nil {
			return refusal
		}
		line.Signer = cmp.Or(line.Signer, k.owner)
		if _, ok := slices.BinarySearch(l.merge, k.owner); len(c.Parents) > 1 && len(l.merge) > 0 && !ok {
			return mayNotMerge(k.owner, l)
		}
		p := w.panel(c, l.ring, l.where, k.owner)
		for _, ch := range changes {
			matching, refusal := l.allows(k.owner, ch, w.anchor)
			if refusal != nil {
				return refusal
			}
			for _, r := range matching {
				names, refusal := p.reach(r.quorum, r.name)
				for _, name := range names {
					approvers[name] = true
				}
				line.Approvers = slices.Sorted(maps.Keys(approvers))
				if refusal != nil {
					refusal.Path = ch.Path
					return refusal
				}
				rules[r.name] = true
			}
		}
	}
	line.Rules = slices.Sorted(maps.Keys(rules))
	return nil
}
