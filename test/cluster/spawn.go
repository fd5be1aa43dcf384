package cluster

import (
	"os/exec"
	"runtime"
	"sync"
)

// spawner starts child processes from one operating system thread that lives
// as long as this process. On Linux a child is killed when the thread that
// forked it ends (PR_SET_PDEATHSIG), and Go ends threads at will: a child
// started by any goroutine could die in the middle of its work.
var spawner = sync.OnceValue(func() chan<- func() {
	calls := make(chan func())
	go func() {
		runtime.LockOSThread() // never unlocked
		for call := range calls {
			call()
		}
	}()
	return calls
})

// spawn starts a command whose process dies with this one.
func spawn(cmd *exec.Cmd) error {
	cmd.SysProcAttr = dieWithParent()
	started := make(chan error)
	spawner() <- func() { started <- cmd.Start() }
	return <-started
}
