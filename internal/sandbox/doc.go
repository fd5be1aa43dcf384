// Package sandbox runs a part of the program in a child process that can be stopped.
//
// CUE evaluation cannot be cancelled, and a few bytes can make it run for ever, eat
// all memory or overflow a stack, which ends a process. So the daemon has it done by
// the same program started again, with a deadline for each exchange, a limit of
// memory and output, no environment, and no input but what it is sent.
//
// Charter: knows how to start, bound and stop the child; what the two say to each
// other is the caller's. Must not import CUE, Kubernetes or go-git.
package sandbox
