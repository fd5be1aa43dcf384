// Package proposals plans pull requests: it compares what a proposal would make of the
// repo with what is in force, and keeps one comment and one status on each.
//
// Anybody who can push a branch can propose, so everything here is written for an
// attacker who proposes:
//
//   - A proposal learns nothing. One with a commit that no principal of the accepted
//     policy signed is compared with the repo alone (plan.go), and no request is sent to
//     cluster or registry. One that is signed is compared with objects that carry our
//     mark, and with no others.
//   - It breaks nothing. It is evaluated in a process of its own (internal/sandbox), and
//     one that ends the daemon twice is never evaluated again (attempts.go).
//   - It starves nobody. The worker runs beside the loop, each plan has a deadline, and
//     authors take turns (worker.go, turns.go).
//   - What failed for a reason outside of the proposal is tried again.
//
// Charter: knows core, diff, report, forge's nouns and what reconcile says of a rendering.
// It never writes to the cluster and never changes what is in force.
package proposals
