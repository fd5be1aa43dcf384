package trust

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"prumo.dev/prumo/internal/git"
)

// RevokedApprovals matches the tags by which people may have approved accepted
// commits with a key that the trust file has revoked since; nil if there is
// nothing to look for.
func (v *Verifier) RevokedApprovals(ctx context.Context, h History, accepted string) (func(ref string) bool, error) {
	if len(v.anchor.revoked) == 0 || v.anchor.Repo == "" || accepted == "" {
		return nil, nil
	}
	commits, err := h.Range(ctx, v.anchor.Introduction, accepted)
	if errors.Is(err, git.ErrLimit) {
		return nil, nil // RevokedSince says so
	}
	if err != nil {
		return nil, fmt.Errorf("look for approvals by revoked keys: %w", err)
	}
	w, refs := v.walk(h), map[string]bool{}
	for _, c := range commits {
		rings, err := w.rings(ctx, c)
		if err != nil {
			return nil, err
		}
		for _, name := range w.suspects(rings) {
			refs[ApprovalRef(c.Tree, name)] = true
		}
	}
	if len(refs) == 0 {
		return nil, nil
	}
	return func(ref string) bool { return refs[ref] }, nil
}

// suspects are the principals of whom the trust file may have revoked a key. Which
// keys an authority vouched for is known only by what they signed.
func (w *walk) suspects(rings []keyring) []string {
	people := map[string]bool{}
	for _, ring := range rings {
		for id, k := range ring {
			if w.anchor.revoked[k.name] || w.anchor.revoked[strings.TrimPrefix(id, "openpgp:")] || strings.HasPrefix(id, "sshca:") {
				people[k.owner] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(people))
}

// revokedApprovers are those who approved an accepted commit with a key that was
// revoked since.
func (w *walk) revokedApprovers(ctx context.Context, c *git.Commit) (by []string, err error) {
	if w.anchor.Repo == "" {
		return nil, nil
	}
	rings, err := w.rings(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, name := range w.suspects(rings) {
		if slices.ContainsFunc(rings, func(ring keyring) bool { return w.approvedByRevoked(c, ring, name) }) {
			by = append(by, name)
		}
	}
	return by, nil
}

func (w *walk) approvedByRevoked(c *git.Commit, ring keyring, name string) bool {
	ref := ApprovalRef(c.Tree, name)
	tag, err := w.h.Tag(ref)
	if err != nil {
		return false // it is gone, or is none
	}
	pr, why := w.panel(c, ring, "", "").form(tag, ref)
	if why != "" {
		return false
	}
	k, _ := pr.find(ring)
	return k != nil && k.owner == name && slices.ContainsFunc(append(slices.Clone(pr.names()), k.name), w.isRevoked) &&
		pr.made(w.anchor, k, tag.Payload, w.now)
}
