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
// Values are immutable by convention: no stage edits what it was given.
//
// Charter: standard library and objpath only, no behaviour beyond naming, ordering and
// formatting of the nouns themselves.
package core
