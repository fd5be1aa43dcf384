// Package source is the infra repo as the loop sees it: a branch that is fetched,
// judged commit by commit, and only then read.
//
// It joins git (what is there) with trust (may it be obeyed) and remembers two
// revisions across restarts: the last accepted one, from which history only goes
// forward, and the last one that was applied whole, which tells drift from
// change. Advance and SetApplied alone write that; all else is for those who ask.
// What other branches propose is fetched into stores of its own (Proposals), which
// are thrown away: nothing of it is left where the obeyed branch lies.
//
// Charter: knows git and trust. Must not import go-git itself, CUE or Kubernetes.
package source
