// Package sandbox evaluates a tree that nobody trusts yet in a child process.
//
// CUE evaluation cannot be cancelled and a few bytes can make it run for ever or
// eat all memory, so what comes from a pull request is rendered by the same
// program started again, with a deadline, a memory limit, no environment and no
// input but the files.
//
// Charter: knows how to start, feed and bound the child; the rendering itself is
// the caller's. Must not import CUE, Kubernetes or go-git.
package sandbox
