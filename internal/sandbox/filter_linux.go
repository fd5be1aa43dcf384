package sandbox

import (
	"fmt"
	"runtime"

	"github.com/elastic/go-seccomp-bpf"
	"golang.org/x/sys/unix"
)

// calls are the system calls that Go's runtime makes by itself once a program runs,
// and those to read and write what is open. None of them opens, connects or starts
// anything.
var calls = []string{
	"read", "write", "close",
	"futex", "sched_yield", "nanosleep", "clock_gettime", "clock_nanosleep", "gettimeofday",
	"munmap", "madvise", "getrandom",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall",
	"getpid", "gettid",
	"epoll_create1", "epoll_ctl", "epoll_pwait", "eventfd2",
	"exit", "exit_group",

	// What the C library makes, in a program that has one.
	"set_robust_list", "rseq",
}

// A thread is what clone may start: these are the flags that Go's runtime uses, and
// those of pthread_create in a program with a C library.
const (
	threadOfGo = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES |
		unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD
	threadOfC = threadOfGo | unix.CLONE_SETTLS | unix.CLONE_PARENT_SETTID | unix.CLONE_CHILD_CLEARTID
)

// What seccomp(2) may answer a call with. Few callers can live with another answer
// than ENOSYS where a call is new.
const (
	notAllowed = seccomp.ActionErrno // EPERM
	noSuchCall = seccomp.ActionErrno | seccomp.Action(unix.ENOSYS)
)

// policy lets the process make few system calls. All others fail.
func policy(pid int) seccomp.Policy {
	only := func(name string, conditions ...seccomp.Condition) seccomp.NameWithConditions {
		return seccomp.NameWithConditions{Name: name, Conditions: conditions}
	}
	equal := func(argument uint32, value uint64) seccomp.Condition {
		return seccomp.Condition{Argument: argument, Operation: seccomp.Equal, Value: value}
	}
	notExecutable := seccomp.Condition{Argument: 2, Operation: seccomp.BitsNotSet, Value: unix.PROT_EXEC}
	return seccomp.Policy{
		DefaultAction: notAllowed,
		Syscalls: []seccomp.SyscallGroup{
			{Action: seccomp.ActionAllow, Names: calls},
			{Action: seccomp.ActionAllow, NamesWithCondtions: []seccomp.NameWithConditions{
				only("mmap", notExecutable),
				only("mprotect", notExecutable),
				only("clone", equal(0, threadOfGo)),
				only("clone", equal(0, threadOfC)),
				only("tgkill", equal(0, uint64(pid))), // Go stops its own threads for a moment
			}},
			// Its flags are out of a filter's reach. The C library then uses clone.
			{Action: noSuchCall, Names: []string{"clone3"}},
		},
	}
}

// filter lets all threads of this process make the calls of policy, and no others,
// for good.
func filter() error {
	// Privileges are given up on the thread that installs the filter; the kernel takes
	// both over to all others, or says ESRCH.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := seccomp.LoadFilter(seccomp.Filter{
		NoNewPrivs: true,
		Flag:       seccomp.FilterFlagTSync | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH,
		Policy:     policy(unix.Getpid()),
	})
	if err != nil {
		return err
	}
	// The library takes it for success if the kernel refused one of the threads in a
	// way that is no error number: a call that must fail tells.
	if err := unix.Access("/", unix.F_OK); err != unix.EPERM {
		return fmt.Errorf("the filter is not in force: opening a folder says %v", err)
	}
	return nil
}
