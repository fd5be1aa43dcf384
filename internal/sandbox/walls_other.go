//go:build !linux

package sandbox

import (
	"runtime"
	"syscall"
)

// raise has no walls to raise.
func raise(int64) (Walls, error) {
	lacks := "landlock, seccomp and a limit of memory: " + runtime.GOOS + " has none of them, Linux has"
	return Walls{Lacks: []string{lacks}}, nil
}

// hide does nothing here.
func hide() error { return nil }

// endsWithParent is left to the end of the child's standard input.
func endsWithParent() *syscall.SysProcAttr { return nil }
