package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// raise raises the walls around this process, all its threads, for good, and returns
// those that stand. Memory is in bytes, on top of what the process has by now. What
// the kernel does not have is no error.
func raise(memory int64) (Walls, error) {
	w := Walls{Memory: memory}
	data, space, err := sizes()
	if err != nil {
		return w, err
	}
	if err := errors.Join(hide(), closeFiles()); err != nil {
		return w, err
	}
	if err := w.landlock(); err != nil {
		return w, err
	}
	for _, l := range []struct {
		name     string
		resource int
		limit    uint64
	}{
		{"data", unix.RLIMIT_DATA, uint64(data + memory)},
		{"address space", unix.RLIMIT_AS, uint64(space + memory + spareSpace)},
		{"file size", unix.RLIMIT_FSIZE, 0},
		{"core", unix.RLIMIT_CORE, 0},
		{"open files", unix.RLIMIT_NOFILE, maxOpen},
		{"locked memory", unix.RLIMIT_MEMLOCK, 0},
		{"message queues", unix.RLIMIT_MSGQUEUE, 0},
	} {
		if err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: l.limit, Max: l.limit}); err != nil {
			return w, fmt.Errorf("limit of %s: %w", l.name, err)
		}
	}
	if err := filter(); err != nil {
		w.Lacks = append(w.Lacks, "seccomp: "+err.Error())
	} else {
		w.Seccomp = true
	}
	return w, nil
}

// maxOpen bounds the open files: the standard three, and those of Go's runtime.
const maxOpen = 16

// landlock closes files, TCP, abstract sockets and signals to others, as far as the
// kernel can.
func (w *Walls) landlock() error {
	version, err := ll.LandlockGetABIVersion()
	if err != nil || version < 1 {
		w.Lacks = append(w.Lacks, "landlock: the kernel has none, or it is not enabled at boot (lsm=landlock,…)")
		return nil
	}
	if err := landlock.V10.BestEffort().Restrict(); err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	w.Landlock = version
	for _, part := range []struct {
		since int
		what  string
	}{{4, "TCP"}, {6, "abstract Unix sockets and signals"}} {
		if version < part.since {
			w.Lacks = append(w.Lacks, fmt.Sprintf("landlock: version %d of this kernel does not close %s, which version %d does",
				version, part.what, part.since))
		}
	}
	return nil
}

// spareSpace is how much address space a child may reserve on top of the memory that it
// may use, in bytes. Go's heap reserves 64 MiB at a time.
const spareSpace = 64 << 20

// sizes returns how much memory this process has that counts for RLIMIT_DATA, what is
// private and can be written, whether or not it was; and how much address space it has,
// for RLIMIT_AS. Both are in bytes, and both are needed. The kernel does not check the
// first where memory is mapped over what is reserved already (mm/vma.c, the check for
// MAP_FIXED), as Go's heap does: one allocation of any size passes, and only the next
// is refused. To reserve is always checked against the second.
func sizes() (data, space int64, err error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0, err
	}
	of := make(map[string]int64)
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		if name != "VmData" && name != "VmSize" {
			continue
		}
		kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("/proc/self/status: %s: %w", name, err)
		}
		of[name] = kb << 10
	}
	if of["VmData"] == 0 || of["VmSize"] == 0 {
		return 0, 0, errors.New("/proc/self/status has no VmData or no VmSize")
	}
	return of["VmData"], of["VmSize"], nil
}

// hide keeps others of the same user from the memory, the environment and the open
// files of this process: they may neither trace it nor read them in /proc.
func hide() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("hide this process from others: %w", err)
	}
	return nil
}

// endsWithParent has a child killed when its parent ends. The kernel does so when the
// thread that started it ends; Go ends no thread but those that goroutines locked.
func endsWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// closeFiles closes all files but the standard three: those that this process was
// started with, and those of control groups, which Go's runtime looks at no more once
// GOMAXPROCS was set. What is no file but part of the runtime stays.
func closeFiles() error {
	const open = "/proc/self/fd"
	entries, err := os.ReadDir(open)
	if err != nil {
		return fmt.Errorf("list open files: %w", err)
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= 2 {
			continue
		}
		to, err := os.Readlink(open + "/" + e.Name())
		if err != nil || to == "anon_inode:[eventpoll]" || to == "anon_inode:[eventfd]" {
			continue // one that is gone was that of the list
		}
		_ = unix.Close(fd)
	}
	return nil
}
