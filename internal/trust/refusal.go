package trust

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
)

// Codes of refusals; see the table in the package documentation. A commit or
// tree that is malformed keeps the code of git.BadObject.
const (
	CodeUnsigned      = "E-UNSIGNED"
	CodeFormat        = "E-FORMAT"
	CodeSignature     = "E-SIGNATURE"
	CodeCertificate   = "E-CERTIFICATE"
	CodeKeyless       = "E-KEYLESS"
	CodeNamespace     = "E-NAMESPACE"
	CodeWeak          = "E-WEAK"
	CodeKeyUnknown    = "E-KEY-UNKNOWN"
	CodeKeyExpired    = "E-KEY-EXPIRED"
	CodeKeyRevoked    = "E-KEY-REVOKED"
	CodeDate          = "E-DATE"
	CodePath          = "E-PATH"
	CodeMerge         = "E-MERGE"
	CodeThreshold     = "E-THRESHOLD"
	CodeRef           = "E-REF"
	CodePolicy        = "E-POLICY"
	CodePolicyRoot    = "E-POLICY-ROOT"
	CodePolicyVersion = "E-POLICY-VERSION"
	CodeRefused       = "E-REFUSED"
	CodeLeft          = "E-LEFT"
	CodeRewritten     = "E-REWRITTEN"
	CodeIntroduction  = "E-INTRODUCTION"
	CodeState         = "E-STATE"
	CodeStale         = "E-STALE"
	CodeHeartbeat     = "E-HEARTBEAT"
	CodeClock         = "E-CLOCK"
	CodeLimit         = "E-LIMIT"
)

// resign is the command that signs all commits of a branch again. Their ids
// change, so it is for commits that nothing has accepted yet.
const resign = "re-sign with the right key: git rebase --exec 'git commit --amend --no-edit -S' ORIGIN/BRANCH, then push"

func quote(s string) string { return strconv.QuoteToASCII(s) }

func unsigned() *core.Refusal {
	return &core.Refusal{
		Code:   CodeUnsigned,
		Found:  "the commit carries no signature",
		Needed: "one SSH or OpenPGP signature by a principal of the policy",
		Remedy: "turn signing on (git config commit.gpgSign true) and " + resign,
	}
}

func malformed(found string) *core.Refusal {
	return &core.Refusal{
		Code:   CodeFormat,
		Found:  found,
		Needed: "exactly one signature, as git, ssh-keygen and gpg write it",
		Remedy: resign,
	}
}

func weak(found string) *core.Refusal {
	return &core.Refusal{
		Code:   CodeWeak,
		Found:  found,
		Needed: fmt.Sprintf("SHA-256 or better, and Ed25519, ECDSA or RSA of %d bits or more", minRSA),
		Remedy: "make a new key (ssh-keygen -t ed25519), have a root principal put it into " + PolicyPath + ", and " + resign,
	}
}

func badSignature(name string, err error) *core.Refusal {
	return &core.Refusal{
		Code:   CodeSignature,
		Found:  fmt.Sprintf("the signature by %s does not hold for this commit: %s", name, strings.TrimSpace(err.Error())),
		Needed: "a signature over exactly this commit",
		Remedy: "the commit was changed after it was signed, or its signature copied from another: " + resign,
	}
}

func badCertificate(name, why string) *core.Refusal {
	return &core.Refusal{
		Code:   CodeCertificate,
		Found:  fmt.Sprintf("the certificate of the key %s does not count: %s", name, why),
		Needed: "a user certificate by an authority of the policy, for one of its principals, without critical options",
		Remedy: "have the authority issue another certificate (ssh-keygen -s CA -n PRINCIPAL KEY.pub), and " + resign,
	}
}

func badKeyless(name string, err error) *core.Refusal {
	return &core.Refusal{
		Code:   CodeKeyless,
		Found:  fmt.Sprintf("the keyless signature of %s is not borne out by the trust file's Sigstore root: %s", name, strings.TrimSpace(err.Error())),
		Needed: "a certificate and a log entry, embedded in the signature, that the pinned root vouches for",
		Remedy: "sign with gitsign against the Sigstore that the trust file pins (gitsign.rekorMode offline; gitsign.timestampServerURL too if its Rekor is version 2), and " + resign,
	}
}

func unknownKey(name string, where string) *core.Refusal {
	return &core.Refusal{
		Code:   CodeKeyUnknown,
		Found:  fmt.Sprintf("the key %s belongs to no principal of %s", name, where),
		Needed: "a signature by a key that this policy lists",
		Remedy: "if it is your key, have a root principal add it to " + PolicyPath + " in a commit of its own, then rebase on that; else " + resign,
	}
}

func otherPurpose(k *key, where string) *core.Refusal {
	return &core.Refusal{
		Code:   CodeNamespace,
		Found:  fmt.Sprintf("the key %s is not for commits: %s has it for the namespaces %s", k.name, where, strings.Join(k.purposes, ", ")),
		Needed: "a key that is for git",
		Remedy: "sign with a key that is for git and " + resign + "; or have a root principal add " + namespace + " to the key's namespaces",
	}
}

func expiredKey(name, why string) *core.Refusal {
	return &core.Refusal{
		Code:   CodeKeyExpired,
		Found:  fmt.Sprintf("the key %s is not valid at the time when the commit is first seen: %s", name, why),
		Needed: "a key that is valid now; dates in the commit do not count, because its author chooses them",
		Remedy: "extend the key's validity in " + PolicyPath + " or use a new key, and " + resign +
			"; for old commits, start from the last accepted revision or move the introduction in the trust file forward",
	}
}

func revokedKey(name, by string) *core.Refusal {
	return &core.Refusal{
		Code:   CodeKeyRevoked,
		Found:  fmt.Sprintf("the key %s is revoked %s", name, by),
		Needed: "a signature by a key that is not revoked",
		Remedy: "look at what the commit does and, if it is wanted, let someone else take it over: " + resign,
	}
}

func revokedPayload(hash string) *core.Refusal {
	return &core.Refusal{
		Code:   CodeKeyRevoked,
		Found:  "the trust file revokes what the commit says (payload " + hash + "), whatever its id and signature",
		Needed: "a history without this commit",
		Remedy: "take it out of the branch (git rebase -i), or, if it is wanted after all, take its payload out of the trust file",
	}
}

func mayNotMerge(signer string, l law) *core.Refusal {
	return &core.Refusal{
		Code:   CodeMerge,
		Rule:   ruleMerge,
		Found:  signer + " signed a merge",
		Needed: fmt.Sprintf("a merge signed by one of %s (merge of %s)", strings.Join(l.merge, ", "), l.where),
		Remedy: "rebase the branch instead of merging it, or let one of them merge",
	}
}

func futureDate(what string, t time.Time) *core.Refusal {
	return &core.Refusal{
		Code:   CodeDate,
		Found:  what + " is dated " + t.UTC().Format(time.RFC3339) + ", in the future",
		Needed: fmt.Sprintf("a date at most %v ahead of the verifier's clock", clockSkew),
		Remedy: "set the clocks of both machines (NTP), then " + resign,
	}
}

// on returns the refusal as that of a commit.
func on(r *core.Refusal, commit string) *core.Refusal {
	if r != nil && r.Commit == "" {
		r.Commit = commit
	}
	return r
}

// objectRefusal keeps the code of what is wrong with the object itself.
func objectRefusal(bad *git.BadObject, commit string) *core.Refusal {
	return &core.Refusal{
		Code:   bad.Code,
		Commit: commit,
		Path:   bad.Path,
		Found:  bad.Reason,
		Needed: "commits and trees in exactly the form that git writes",
		Remedy: "make the commit again with a current git, without that object, and " + resign,
	}
}

func overLimit(commit, found string, limit int) *core.Refusal {
	return &core.Refusal{
		Code:   CodeLimit,
		Commit: commit,
		Found:  found,
		Needed: fmt.Sprintf("at most %d commits at once", limit),
		Remedy: "raise limits.commits in the trust file, or move its introduction forward to a commit that you have looked at",
	}
}

func wrongIntroduction(found, commit string) *core.Refusal {
	return &core.Refusal{
		Code:   CodeIntroduction,
		Commit: commit,
		Found:  found,
		Needed: "a history that begins at the introduction of the trust file",
		Remedy: "compare repository URL, branch and introduction with whoever set the trust file up; if the commit was meant to be merged, rebase it onto the branch instead",
	}
}

func rewritten(from, to string) *core.Refusal {
	return &core.Refusal{
		Code:   CodeRewritten,
		Commit: to,
		Found:  fmt.Sprintf("the branch no longer contains %s, which was accepted: it was rewritten or set back", from),
		Needed: "a branch that only grows",
		Remedy: fmt.Sprintf("put the branch back (git push --force ORIGIN %.10s:BRANCH) and undo what was unwanted by a new commit: git revert", from),
	}
}

func comesBack(commit, left string) *core.Refusal {
	return &core.Refusal{
		Code:   CodeLeft,
		Commit: commit,
		Found:  fmt.Sprintf("the branch brings back %.10s, which root principals had it leave", left),
		Needed: "a history without it",
		Remedy: "make what is still wanted of it again as a new commit (git cherry-pick), without what was wrong",
	}
}

func badPolicy(commit, found string) *core.Refusal {
	return &core.Refusal{
		Code:   CodePolicy,
		Commit: commit,
		Path:   PolicyPath,
		Found:  found,
		Needed: "a readable policy in every commit",
		Remedy: "correct " + PolicyPath + " in the commit that broke it (git rebase -i), and have a root principal sign it; the policy before it stays in force",
	}
}

func notRoot(a *Anchor, signer string) *core.Refusal {
	return &core.Refusal{
		Code:   CodePolicyRoot,
		Path:   PolicyPath,
		Rule:   ruleRoot,
		Found:  fmt.Sprintf("%s, who is no root principal, changes %s/", signer, PolicyDir),
		Needed: "a signature by " + a.rootNames() + ", with a key of the trust file",
		Remedy: fmt.Sprintf("let %s make this change in a commit of its own; if a merge brings it, rebase the branch instead of merging", a.rootNames()),
	}
}

func wrongVersion(commit string, found, parent int) *core.Refusal {
	return &core.Refusal{
		Code:   CodePolicyVersion,
		Commit: commit,
		Path:   PolicyPath,
		Found:  fmt.Sprintf("the policy changes from version %d to version %d", parent, found),
		Needed: fmt.Sprintf("version %d", parent+1),
		Remedy: fmt.Sprintf("write version: %d in %s, and %s", parent+1, PolicyPath, resign),
	}
}

func notAllowed(principal string, ch git.Change, r rule, where string) *core.Refusal {
	return &core.Refusal{
		Code:   CodePath,
		Path:   ch.Path,
		Rule:   r.name,
		Found:  fmt.Sprintf("%s signed a commit that has %s %s", principal, done(ch.Op), quote(ch.Path)),
		Needed: fmt.Sprintf("a signature by %s (rule %s of %s)", r.whoMaySign(), r.name, where),
		Remedy: fmt.Sprintf("let %s commit this path, or take it out of the commit (git rebase -i), and push again", r.whoMaySign()),
	}
}

func noRule(principal string, ch git.Change, a *Anchor, where string) *core.Refusal {
	return &core.Refusal{
		Code:   CodePath,
		Path:   ch.Path,
		Found:  fmt.Sprintf("%s signed a commit that has %s %s, and no rule speaks of that", principal, done(ch.Op), quote(ch.Path)),
		Needed: "a rule for the path in " + where + "; what no rule speaks of is refused",
		Remedy: fmt.Sprintf("move the file to a path with a rule, or ask %s to add a rule to %s in an earlier commit", a.rootNames(), PolicyPath),
	}
}

func done(op git.Op) string {
	switch op {
	case git.OpAdd:
		return "added"
	case git.OpDelete:
		return "deleted"
	}
	return "modified"
}
