// Package demo tells the whole story on a real control plane: a signed repo is
// verified, validated, planned and applied; people change things by hand and a
// GPU dies; what drifted is reported and corrected; an unsigned commit is
// refused; a proposal is planned.
//
// Each step runs the command that a person would type, in a process of its own,
// and prints what it prints.
//
// Charter: tells, and decides nothing. It may import everything, the servers of
// test/ included.
package demo
