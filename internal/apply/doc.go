// Package apply makes a plan true: spec after spec as they refer to each other, one
// request per object, deletions last, and an outcome for every change whatever
// happens.
//
// The order is a graph of steps (graph.go) that is walked as far as it goes
// (walk.go): what depends on an object that is not applied, or not ready, waits for
// the next plan (trouble.go), and what such an object may still need is not deleted
// (keep.go).
//
// Of fluxcd/pkg/ssa it uses the order of kinds and, of its kstatus, the verdict
// on readiness. It does not use its ResourceManager:
//
//   - Apply and its dry-run always force, so that a conflict with another manager
//     never shows. Here force is what the plan says, and is bound to the
//     resourceVersion that the plan was made from.
//   - Apply dry-runs before it applies, and ApplyAll stops at the first error and
//     returns nothing of what it did before. The plan was dry-run already, and one
//     object that fails must not hide the others.
//   - Its test for immutable fields takes every conflict and every invalid object
//     for one, and its remedy is to delete. Here only a plan that says replace
//     replaces.
//   - WaitForSet and WaitForTermination cannot be cancelled, and their error is
//     one sentence about all objects.
//   - Its sort builds a table at each comparison. Here the table is built once.
//   - Its normalisation goes through the typed structs and drops every field that
//     this client does not know, so that strict validation has nothing left to
//     find.
//
// Nothing is deleted on the word of a plan. Each object is read again, and must
// still be the one that the plan saw, carry our mark, name itself, be known to
// the server as applied by us, and remember that we created it.
//
// Charter: it knows core and cluster. It never decides what should change (diff),
// and imports no CUE, no Git, no forge, and none of render, diff, report.
package apply
