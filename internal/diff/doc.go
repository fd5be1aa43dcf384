// Package diff turns what is wanted and what is live into a core.Plan: which
// fields differ, who owns them now, what would be done about it, how much it can
// hurt, and what must wait for a person.
//
// # What counts as a difference
//
// Live is compared with what the API server says the object would become (its
// dry-run), so defaults and normalised values never show. Status, managedFields,
// counters and copies of the object in annotations are no part of the
// comparison. Lists are matched by the keys that the API matches them by where
// those are known, else by index.
//
// # Whose field it is
//
// Each difference names the manager that owns the live value. A field that
// someone removed has no owner any more: the API server forgets who removed it.
// It is attributed to who owns the list or map around it as a whole, if someone
// does, or else to the one imperative manager that wrote beside it (in the same
// parent) after our own last write; else the manager is left empty.
//
// # Conflicts
//
// A conflict is a field that we render and another manager owns. Who holds a map or
// list that nothing is in has no value there to lose: that is none.
//
//   - On an object that is ours, a conflict with an imperative manager (operation
//     Update, no subresource: kubectl edit, a script) is a live edit. It is drift
//     of class edited and is taken back (Change.Force).
//   - A conflict with another declarative owner (operation Apply), with a
//     subresource such as scale (an autoscaler), or on an object that is not ours
//     yet, is a dispute between two intents. The change is blocked and names the
//     owner, unless the spec says that conflicts are to be taken.
//
// # What waits for a person
//
// Deleting a Namespace, CustomResourceDefinition, PersistentVolume,
// or PersistentVolumeClaim (a Node is never deleted, only released), or anything
// that belongs to a Dataset; replacing
// anything; deleting more than a set
// share; deleting anything while nothing at all is wanted. Such a change has
// action hold. It is done once the hash of the very plan that showed it is
// approved. Whether something is held is no part of the hash, so an approval
// fits the plan that asked for it.
//
// # What it hits
//
// Disrupts says which pods a change may stop, for whoever can list them; Hit makes
// of the answer what a plan shows. It is no part of the hash: pods come and go.
//
// # Secrets
//
// Values are masked in mask.go and nowhere else, after the dry-run, by the kind
// that the objects themselves claim; sensitive.go says which fields may hold
// secrets. Live values of objects that are not ours are not shown.
//
// # Proposals
//
// Everybody who can read a pull request reads its plan. Propose (propose.go) makes one
// that tells nothing of hidden live values, not even by what is absent from it. Offline
// (offline.go) compares the repo with itself, for proposals that nobody known signed.
//
// Charter: pure. No client of any kind, no net, no os, no CUE, no go-git.
package diff
