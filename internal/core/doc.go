// Package core holds the words of Prumo, in the order in which data flows:
//
//	Revision -> Tree -> Spec -> Object -> Observation -> Plan -> Result -> Report
//
// A Revision is a commit that may be obeyed. Its Tree is the files of that
// commit, read only. A Spec is one declared thing with its place in a file; it
// renders to Objects. An Observation is what the live cluster says about them,
// a Plan what would change and why, a Result what was done, a Report all of it
// for people. A Problem is a user's mistake and has a place in a file; a Go
// error is a machine's fault.
//
// Each file is one of these words and what belongs to it:
//
//	revision.go     Revision, Tree, what was applied last, a proposal to change it, what is in force
//	kept.go         which specs stayed at an older commit
//	trust.go        may a commit be obeyed: verdicts, refusals, requirements
//	images.go       may an image run: the part of the policy that says so
//	spec.go         Spec, its identity, the annotations that people write
//	object.go       Object, its identity, the marks that we leave on it, Rendering
//	observation.go  Observation: wanted beside live, conflicts with other managers
//	plan.go         Plan, its changes, their risk, the pods they hit, approvals
//	result.go       Result, the outcome of each change
//	drift.go        classes and modes of drift, what is remembered of it, precautions
//	report.go       Report
//	problem.go      Problem and its place, Stage, and Fault: a Go error in a Report
//
// Values are immutable by convention: no stage edits what it was given.
//
// Charter: standard library and objpath only, no behaviour beyond naming, ordering and
// formatting of the nouns themselves.
package core
