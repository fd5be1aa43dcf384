// Package lab is the example infra repo come to life: fresh keys for the people
// of its policy, a signed history, a remote that can be fetched, and the files
// that a daemon needs to follow it. The demo and the scripts of the commands are
// told with it.
//
// Charter: knows test/gitrepo and the example; must not import what it tests.
package lab
