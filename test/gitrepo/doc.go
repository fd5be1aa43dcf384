// Package gitrepo is the repository of an author: it writes files, signs
// commits and pushes them, without a git binary. Tests and the demo play the
// people who change an infra repo with it, honest ones and others: raw objects
// of any shape can be written too.
//
// The repository is bare. What would be the work tree is held in memory, so
// that Write, Remove and Checkout touch no files.
//
// Charter: knows go-git and SSH signatures; must not import any package of the
// program, which is what it tests.
package gitrepo
