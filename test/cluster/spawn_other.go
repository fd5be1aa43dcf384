//go:build !linux

package cluster

import "syscall"

// dieWithParent leaves the child in our process group: where the kernel cannot
// kill it when we end, a Ctrl-C at the terminal at least reaches it too.
func dieWithParent() *syscall.SysProcAttr { return nil }
