package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// A target is what an attacker is told to reach.
type target struct {
	Parent   int    // process id
	File     string // that anybody may read
	Dir      string // where anybody may write
	Socket   string // that somebody listens on
	Abstract string // the same, without a name in the file system
	Port     int    // the same, of TCP and UDP on the loopback
	FD       int    // that the parent had open when the child was started
}

// attacks are what an attacker tries who runs code of his own in the child. Each
// returns nil if it succeeded.
func attacks(to target) map[string]func() error {
	open := func(name string, flags int) func() error {
		return func() error {
			fd, err := unix.Open(name, flags, 0o600)
			if err == nil {
				unix.Close(fd)
			}
			return err
		}
	}
	proc := func(name string) string { return fmt.Sprintf("/proc/%d/%s", to.Parent, name) }
	connect := func(kind int, at unix.Sockaddr) func() error {
		return func() error {
			family := unix.AF_INET
			if _, ok := at.(*unix.SockaddrUnix); ok {
				family = unix.AF_UNIX
			}
			fd, err := unix.Socket(family, kind, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			return unix.Connect(fd, at)
		}
	}
	call := func(nr uintptr, args ...uintptr) func() error {
		return func() error {
			var a [6]uintptr
			copy(a[:], args)
			if _, _, errno := unix.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
				return errno
			}
			return nil
		}
	}
	loopback := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: to.Port}
	inDir := func(name string) string { return filepath.Join(to.Dir, name) }
	var limit unix.Rlimit
	unlimited := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	word := make([]byte, 8)
	at := uintptr(unsafe.Pointer(&word[0]))
	return map[string]func() error{
		"read /etc/passwd":               open("/etc/passwd", unix.O_RDONLY),
		"read a file":                    open(to.File, unix.O_RDONLY),
		"read a folder":                  open(to.Dir, unix.O_RDONLY|unix.O_DIRECTORY),
		"read its environment":           open("/proc/self/environ", unix.O_RDONLY),
		"read the parent's memory":       open(proc("mem"), unix.O_RDONLY),
		"read the parent's environment":  open(proc("environ"), unix.O_RDONLY),
		"read the parent's files":        open(proc("fd/0"), unix.O_RDONLY),
		"open its own program":           open("/proc/self/exe", unix.O_PATH),
		"open a device":                  open("/dev/null", unix.O_RDWR),
		"write a file":                   open(inDir("new"), unix.O_CREAT|unix.O_WRONLY),
		"change a file":                  open(to.File, unix.O_WRONLY|unix.O_TRUNC),
		"make a folder":                  func() error { return unix.Mkdir(inDir("folder"), 0o700) },
		"make a link":                    func() error { return unix.Symlink("/etc/passwd", inDir("link")) },
		"remove a file":                  func() error { return unix.Unlink(inDir("none")) },
		"rename a file":                  func() error { return unix.Rename(inDir("none"), inDir("none2")) },
		"change rights":                  func() error { return unix.Chmod(inDir("none"), 0o777) },
		"ask about a file":               func() error { return unix.Access("/etc/passwd", unix.R_OK) },
		"go to a folder":                 func() error { return unix.Chdir("/") },
		"mount":                          func() error { return unix.Mount("none", inDir("none"), "tmpfs", 0, "") },
		"another namespace":              func() error { return unix.Unshare(unix.CLONE_NEWUSER) },
		"another root":                   func() error { return unix.Chroot("/") },
		"a Unix socket":                  connect(unix.SOCK_STREAM, &unix.SockaddrUnix{Name: to.Socket}),
		"an abstract Unix socket":        connect(unix.SOCK_STREAM, &unix.SockaddrUnix{Name: "@" + to.Abstract}),
		"TCP":                            connect(unix.SOCK_STREAM, loopback),
		"UDP":                            connect(unix.SOCK_DGRAM, loopback),
		"a raw socket":                   call(unix.SYS_SOCKET, unix.AF_PACKET, unix.SOCK_RAW, 0),
		"netlink":                        call(unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW, 0),
		"a pair of sockets":              call(unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_STREAM, 0, at),
		"run a program":                  func() error { return unix.Exec("/none", []string{"none"}, nil) },
		"fork":                           fork,
		"trace the parent":               call(unix.SYS_PTRACE, unix.PTRACE_PEEKDATA, uintptr(to.Parent), 0, at),
		"read the parent's pages":        call(unix.SYS_PROCESS_VM_READV, uintptr(to.Parent), 0, 0, 0, 0, 0),
		"write the parent's pages":       call(unix.SYS_PROCESS_VM_WRITEV, uintptr(to.Parent), 0, 0, 0, 0, 0),
		"take the parent's files":        call(unix.SYS_PIDFD_OPEN, uintptr(to.Parent), 0),
		"a signal to the parent":         func() error { return unix.Kill(to.Parent, 0) },
		"a signal to a thread of others": func() error { return unix.Tgkill(to.Parent, to.Parent, 0) },
		"a signal to nobody":             func() error { return unix.Tgkill(1<<30, 1<<30, 0) },
		"a signal to all":                call(unix.SYS_KILL, ^uintptr(0), 0),
		"raise a limit":                  func() error { return unix.Setrlimit(unix.RLIMIT_DATA, &unlimited) },
		"limits of the parent":           func() error { return unix.Prlimit(to.Parent, unix.RLIMIT_NOFILE, nil, &limit) },
		"show itself again":              func() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) },
		"outlive its parent":             func() error { return unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0) },
		"a file in memory":               call(unix.SYS_MEMFD_CREATE, at, 0),
		"new code":                       call(unix.SYS_MMAP, 0, 4096, unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON, ^uintptr(0)),
		"io_uring":                       call(unix.SYS_IO_URING_SETUP, 1, 0),
		"keys":                           call(unix.SYS_KEYCTL, 0, 0),
		"BPF":                            call(unix.SYS_BPF, 0, 0, 0),
		"performance counters":           call(unix.SYS_PERF_EVENT_OPEN, 0, 0, 0, 0, 0),
		"page faults of its own":         call(unix.SYS_USERFAULTFD, 0),
		"a filter of its own":            call(unix.SYS_SECCOMP, 1, 0, 0),
		"shared memory":                  call(unix.SYS_SHMGET, 0, 0, 0o600|unix.IPC_CREAT),
		"a terminal":                     call(unix.SYS_IOCTL, 0, unix.TIOCSTI, at),
		"another user":                   call(unix.SYS_SETUID, 0),
		"a file that was left open":      call(unix.SYS_READ, uintptr(to.FD), at, 1),
	}
}

// fork tries to start a process.
func fork() error {
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	if pid == 0 {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
	return nil
}

// otherCalls makes every system call that the filter does not speak of, with arguments
// that no call takes, and returns those that were not refused.
func otherCalls() error {
	info, err := arch.GetInfo("")
	if err != nil {
		return err
	}
	spoken := append(slices.Clone(calls), "mmap", "mprotect", "clone", "clone3", "tgkill")
	known := map[int]bool{}
	for _, name := range spoken {
		known[info.SyscallNames[name]] = true
	}
	// These belong to breakpoints of the kernel, and end whoever makes them elsewhere.
	known[335], known[336] = known[335] || runtime.GOARCH == "amd64", known[336] || runtime.GOARCH == "amd64"
	none := ^uintptr(0)
	for nr := range 600 {
		if known[nr] {
			continue
		}
		if _, _, errno := unix.RawSyscall6(uintptr(nr), none, none, none, none, none, none); errno != unix.EPERM {
			return fmt.Errorf("system call %d: %w", nr, errno)
		}
	}
	return unix.EPERM
}

// An attacker has threads that were there before the walls.
type attacker struct {
	jobs []chan func()
}

// before is one, in a child.
var before *attacker

func newAttacker() *attacker {
	a := new(attacker)
	var ready sync.WaitGroup
	for range 4 {
		jobs := make(chan func())
		a.jobs = append(a.jobs, jobs)
		ready.Add(1)
		go func() {
			runtime.LockOSThread()
			ready.Done()
			for job := range jobs {
				job()
			}
		}()
	}
	ready.Wait()
	return a
}

// try tries everything on every thread, and returns what became of it, in words, by
// name.
func (a *attacker) try(tries map[string]func() error) map[string][]string {
	became := map[string][]string{}
	for _, jobs := range append(slices.Clone(a.jobs), nil) {
		all := func() {
			for name, try := range tries {
				result := "succeeded"
				if err := try(); err != nil {
					result = err.Error()
				}
				if !slices.Contains(became[name], result) {
					became[name] = append(became[name], result)
				}
			}
		}
		if jobs == nil { // this thread, or a new one
			all()
			continue
		}
		done := make(chan struct{})
		jobs <- func() { all(); close(done) }
		<-done
	}
	return became
}

// aim sets up what an attacker is to reach: all of it can be reached by this process.
func aim(t *testing.T) target {
	t.Helper()
	dir := t.TempDir()
	to := target{Parent: os.Getpid(), File: filepath.Join(dir, "file"), Dir: dir, Socket: filepath.Join(dir, "s")}
	to.Abstract = "prumo-" + filepath.Base(filepath.Dir(dir)) + fmt.Sprint(to.Parent)
	if err := os.WriteFile(to.File, []byte("secret"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{to.Socket, "@" + to.Abstract} {
		ln, err := net.Listen("unix", name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	to.Port = ln.Addr().(*net.TCPAddr).Port
	if to.FD, err = syscall.Open(to.File, syscall.O_RDONLY, 0); err != nil { // without O_CLOEXEC
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(to.FD) })
	return to
}

// An attacker who runs code of his own in the child reaches nothing, on none of its
// threads.
func TestAttackerReachesNothing(t *testing.T) {
	to := aim(t)
	c := start(t, Host{}, Limits{})
	if w := c.Walls(); w.Landlock == 0 || !w.Seccomp {
		t.Skipf("this kernel has not all walls: %v", w.Lacks)
	}
	for name, became := range ask(t, c, to) {
		want := unix.EPERM.Error()
		if name == "a file that was left open" {
			want = unix.EBADF.Error()
		}
		if len(became) != 1 || became[0] != want {
			t.Errorf("%s: %q, want %q alone", name, became, want)
		}
	}
	if _, err := os.Stat(filepath.Join(to.Dir, "new")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that the attacker made: %v", err)
	}
}

// ask has a child attack.
func ask(t *testing.T, c *Child, to target) (became map[string][]string) {
	t.Helper()
	order, err := json.Marshal(to)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := say(t.Context(), c, "attack "+string(order))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(answer), &became); err != nil || len(became) < 50 {
		t.Fatalf("%d attacks, %v", len(became), err)
	}
	return became
}

// Landlock alone, without the filter of system calls, closes files, TCP, abstract
// sockets and signals, on all threads.
func TestLandlockAlone(t *testing.T) {
	to := aim(t)
	became := bare(t, "landlock", to)
	for _, name := range []string{
		"read /etc/passwd", "read a file", "read a folder", "read its environment", "read the parent's environment",
		"write a file", "change a file", "make a folder", "make a link",
		"TCP", "an abstract Unix socket", "a signal to the parent",
	} {
		if slices.Contains(became[name], "succeeded") {
			t.Errorf("%s: %q", name, became[name])
		}
	}
}

// Without walls the same attacks succeed: the tests above prove something.
func TestAttacksSucceedWithoutWalls(t *testing.T) {
	became := bare(t, "nothing", aim(t))
	for _, name := range []string{
		"read /etc/passwd", "read a file", "read a folder", "read its environment",
		"write a file", "change a file", "make a folder", "make a link",
		"a Unix socket", "an abstract Unix socket", "TCP", "UDP", "a signal to the parent",
		"fork", "a file in memory", "new code", "show itself again",
	} {
		if !slices.Contains(became[name], "succeeded") {
			t.Errorf("%s: %q, want success", name, became[name])
		}
	}
}

// bareCommand is a child with one wall or none.
const bareCommand = "bare"

// bare runs the attacks in such a child.
func bare(t *testing.T, wall string, to target) (became map[string][]string) {
	t.Helper()
	order, err := json.Marshal(to)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], bareCommand, wall)
	cmd.Stdin, cmd.Stderr = strings.NewReader(string(order)+"\n"), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Skip("this kernel has no Landlock")
	}
	if err := json.Unmarshal(out, &became); err != nil {
		t.Fatal(err)
	}
	return became
}

// serveBare is that child.
func serveBare(wall string, in io.Reader, out io.Writer) error {
	if w := new(Walls); wall == "landlock" {
		if err := w.landlock(); err != nil || w.Landlock < 6 {
			return err
		}
	}
	line, err := bufio.NewReader(in).ReadBytes('\n')
	if err != nil {
		return err
	}
	var to target
	if err := json.Unmarshal(line, &to); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(before.try(attacks(to)))
}

// attackLine is what a child does that is told to attack. Its threads were there before
// its walls.
func attackLine(order string, out io.Writer) error {
	var to target
	if err := json.Unmarshal([]byte(order), &to); err != nil {
		return err
	}
	tries := attacks(to)
	tries["every other system call"] = otherCalls
	return json.NewEncoder(out).Encode(before.try(tries))
}

// childMain is the child of the tests.
func childMain(command string, args []string) bool {
	switch command {
	case Command:
		before = newAttacker()
		os.Exit(Serve(context.Background(), args, child))
	case parentCommand:
		if err := serveParent(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return true
	case bareCommand:
		before = newAttacker()
		if err := serveBare(args[0], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return true
	}
	return false
}
