// Package trust decides whether commits may be obeyed.
//
// An Anchor, from the daemon's configuration and never from the repo, names the
// introduction: the first commit that is trusted. From there on each commit is
// judged by the policy (.prumo/policy.yaml) in its parents, never by the one
// that it carries, as in Guix channel authentication: it must bear one valid
// signature of a principal whom every parent's policy knows, and all rules of
// these policies that speak of a path that it changes must allow that
// principal. What no rule speaks of is refused. A merge answers for what
// differs from each of its parents. The policy itself is changed by the root
// principals of the anchor only, one version up, and binds later commits only.
//
// A rule with a threshold wants several people behind a commit. One signs it; the
// others approve it by signed annotated tags refs/tags/approve/TREE/PRINCIPAL,
// whose text binds them to repo, ref, base, commit and tree (see ApprovalBody).
// People are counted, never keys.
//
// A policy can ask that what lands in the branch names it in its signed message,
// so that no other branch is served in its place: see trunk.
//
// A Store keeps the last accepted revision, on disk and in the cluster, so that
// history only grows. Only the
// root principals together can have the branch leave it: see Override.
//
// Time is when a commit is first seen, by the verifier's clock: dates in commits
// and signatures are written by those who are to be judged.
//
// # Refusals
//
// Codes are stable. Each refusal says what was found, what was needed, and what
// a person can do.
//
//	E-UNSIGNED        no signature
//	E-FORMAT          commit, signature or armor not exactly as git, ssh-keygen and gpg write it
//	E-SIGNATURE       the signature is not over this commit, or not by this key
//	E-CERTIFICATE     a certificate that its authority did not make, or not for this
//	E-KEYLESS         a keyless signature that the pinned Sigstore root does not bear out
//	E-NAMESPACE       an SSH signature made for another purpose than git
//	E-WEAK            SHA-1, or a key that is too weak
//	E-KEY-UNKNOWN     the key belongs to no principal of a policy that judges the commit
//	E-KEY-EXPIRED     the key is not valid yet, or no longer, at the first-seen time
//	E-KEY-REVOKED     the key is revoked, in the trust file or by its owner; or the trust file revokes the commit's payload
//	E-DATE            a date in the future
//	E-PATH            the signer may not do this to this path
//	E-MERGE           the signer may not merge
//	E-THRESHOLD       too few of those who may make the change stand behind it
//	E-REF             the commit does not say, in what is signed, that it is for this branch
//	E-POLICY          a commit without a readable policy
//	E-POLICY-ROOT     .prumo/ changed by someone who is no root principal
//	E-POLICY-VERSION  the policy's version is not one higher
//	E-REFUSED         what is signed was refused before; only root principals can take it up
//	E-REWRITTEN       the branch no longer contains the last accepted revision
//	E-LEFT            the branch brings back what root principals had it leave
//	E-INTRODUCTION    the history does not begin at the introduction
//	E-STATE           state folder and cluster do not say the same of what was accepted last
//	E-STALE           no heartbeat of late: newer commits may be withheld
//	E-HEARTBEAT       a heartbeat that is not signed as it must be, or goes backwards
//	E-CLOCK           the verifier's clock was set back
//	E-LIMIT           more commits at once than the limits allow
//
// A malformed object keeps the code that package git gives it: E-FORMAT, E-HASH,
// E-NAME, E-MODE, E-SYMLINK, E-SUBMODULE, E-SIZE.
//
// # Charter
//
// Knows core, the types of package git, and signature formats. Must not import
// Kubernetes, CUE or go-git: who may be obeyed does not depend on what is asked.
package trust
