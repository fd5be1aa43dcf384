package cluster

import "syscall"

// dieWithParent makes the kernel kill the child when we end, in whatever way.
// Its own process group keeps a Ctrl-C at the terminal for us: we end the
// servers in their order.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
