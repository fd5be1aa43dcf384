// Package sandbox evaluates in a child process that can reach nothing and can be stopped.
//
// CUE evaluation cannot be cancelled, and a few bytes can make it run for ever, take
// all memory or overflow a stack, which ends a process. A mistake in CUE may let a
// file do more than that. So the daemon starts the same program again as a child. A
// Host starts it: as a process of its own (process.go), or behind the socket of an
// evaluator (remote.go), which is this program in a container of its own (server.go).
//
// The child raises its walls before it reads the first byte of input (walls.go): a
// filter of system calls, Landlock, and limits of memory and files. It has no
// environment, no files but its standard input, output and errors, and no input but
// what it is sent. It tells its parent which walls stand, and the parent bounds each
// exchange in time and output (child.go).
//
// What a child says after that is not to be trusted: it may lie about its own input
// and about how it ended, and about nothing else.
//
// Charter: knows how to start, bound and stop the child; what the two say to each
// other is the caller's. Must not import CUE, Kubernetes or go-git.
package sandbox
