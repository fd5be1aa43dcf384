package trust

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
)

// maxRevoked bounds how many commits a warning lists.
const maxRevoked = 50

// RevokedSince warns of accepted commits whose key, or whose payload, the trust
// file has revoked since, or that were approved by such a key; nil if there are
// none. Their signatures held when they were accepted, so it looks only at what
// they name. They stay in force: who revokes a key must look at what it did, and
// nobody else can. Approvals are looked for among the tags that were fetched: see
// RevokedApprovals.
func (v *Verifier) RevokedSince(ctx context.Context, h History, accepted string) (*core.Warning, error) {
	if len(v.anchor.revoked) == 0 || accepted == "" {
		return nil, nil
	}
	commits, err := h.Range(ctx, v.anchor.Introduction, accepted)
	if errors.Is(err, git.ErrLimit) {
		return &core.Warning{
			Code:   CodeLimit,
			Commit: accepted,
			Found:  "the accepted history is too long to look for commits by keys that were revoked since: " + err.Error(),
			Remedy: "raise limits.commits in the trust file, or move its introduction forward to a commit that you have looked at",
		}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for commits by revoked keys: %w", err)
	}
	w, found := v.walk(h), 0
	var newest []core.CommitVerdict
	for _, c := range slices.Backward(commits) { // parents first
		line, revoked, err := w.revokedSince(ctx, c)
		if err != nil {
			return nil, err
		}
		if !revoked {
			continue
		}
		if found++; found <= maxRevoked {
			newest = append(newest, line)
		}
	}
	if found == 0 {
		return nil, nil
	}
	return &core.Warning{
		Code:   CodeKeyRevoked,
		Commit: newest[0].Commit,
		Found: fmt.Sprintf("%d accepted commits bear a key, or were approved by one, or say what, the trust file has revoked since (the newest %d are listed); "+
			"they stay in force, and nothing new by it is obeyed", found, len(newest)),
		Remedy:  "look at each (git show) and undo what was unwanted by a new commit (git revert) that others sign; how to go on is in docs/trust.md, Compromised key",
		Commits: newest,
	}, nil
}

// revokedSince reports whether a commit was revoked after it was accepted.
func (w *walk) revokedSince(ctx context.Context, c *git.Commit) (core.CommitVerdict, bool, error) {
	line := core.CommitVerdict{Commit: c.ID, Subject: subject(c)}
	revoked := w.anchor.revoked[fmt.Sprintf("%x", sum(c.Payload))]
	pr, refusal := parseProof(c)
	if refusal != nil {
		return line, revoked, nil // of a kind that was read otherwise when it was accepted
	}
	line.Key = pr.name()
	names := pr.names()
	k, err := w.bearer(ctx, c, pr)
	if err != nil {
		return line, false, err
	}
	if k != nil {
		line.Signer = k.owner
		names = append(slices.Clone(names), k.name)
	}
	line.Approvers, err = w.revokedApprovers(ctx, c)
	return line, revoked || len(line.Approvers) > 0 || slices.ContainsFunc(names, w.isRevoked), err
}

func (w *walk) isRevoked(name string) bool { return w.anchor.revoked[name] }
