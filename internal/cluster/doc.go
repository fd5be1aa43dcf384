// Package cluster is one live cluster: how it is reached, what it serves, what
// it holds, and what it would make of a manifest.
//
// Observe reads live state and asks the server, by dry-run, what would change.
// Apply sends for real what the dry-run asked about: both go through the same
// code, so that what is applied is what was shown.
//
// Watch is the same for a daemon: it answers Observe from watches and from what the
// server said before, and asks only about what changed (watched.go, then recall.go,
// watch.go, memory.go, digest.go). What stands in the way of an object is asked about
// beside the passes (snags.go, again.go, patience.go). One-shot commands list and ask
// about everything.
//
// A Node is special in three ways. It is never created: a manifest for one
// carries the live uid, which the server checks. It is never deleted. And its
// taints are an atomic list to server-side apply, so they are kept out of it: a
// Node's manifest holds in spec.taints the whole list as it should be, and in
// the annotation core.AnnotationTaints which of them are ours; Apply merges ours
// by (key, effect) into whatever the list is by then, with a resourceVersion, so
// that a taint which another component sets or lifts in between is kept.
//
// Documents are the few texts that an instance remembers in the cluster itself,
// so that they outlive its disk.
//
// Discovery is an own small table (served) rather than a RESTMapper: the search
// for orphans needs to know what can be listed and deleted, which a RESTMapper
// does not tell, and both then come from the same two requests.
//
// Charter: it knows the API server and the nouns of core. It never decides what
// should change (diff) nor in which order (apply), and imports no CUE, no Git,
// no forge, and none of render, diff, apply, report.
package cluster
