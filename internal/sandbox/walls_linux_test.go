package sandbox

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A child never holds more memory than its limit, with what it started with, however
// it asks for more.
func TestMemoryStaysUnderItsLimit(t *testing.T) {
	needMemory(t)
	const rest = 64 << 20 // what the program takes, and pages of its file
	for _, line := range []string{"hog", "repeat", "piece", "small", "threads"} {
		t.Run(line, func(t *testing.T) {
			c := start(t, Host{}, Limits{Memory: 128 << 20})
			if _, err := say(t.Context(), c, line); err == nil {
				t.Fatal("it was not stopped")
			}
			usage := c.process.(*local).cmd.ProcessState.SysUsage().(*syscall.Rusage)
			t.Logf("peak %d MiB", usage.Maxrss>>10)
			if peak := usage.Maxrss << 10; peak > 128<<20+rest {
				t.Errorf("peak of %d MiB, want at most %d", peak>>20, (128<<20+rest)>>20)
			}
		})
	}
}

// What no other user than root may do is refused to root too, and what root may is
// refused to everybody: the attacks again, as the user of the manifests.
func TestAttackerOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	dir, err := os.MkdirTemp("", "prumo-walls-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "program")
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, data, 0o755); err != nil {
		t.Fatal(err)
	}
	tests := "-test.run=^(TestAttackerReachesNothing|TestChildAnswers)$"
	cmd := exec.CommandContext(t.Context(), program, tests, "-test.v")
	cmd.Dir, cmd.Env = "/", []string{"TMPDIR=/tmp"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), "SKIP") {
		t.Errorf("%v\n%s", err, out)
	}
}

// parentCommand is a program that starts a child and is killed.
const parentCommand = "parent"

// serveParent tells the child's process id, and waits.
func serveParent() error {
	p, _, err := startLocal(context.Background(), DefaultMemory)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(p, "loop"); err != nil { // it looks at its input no more
		return err
	}
	fmt.Println(p.cmd.Process.Pid)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// A child that is busy ends when its parent is killed.
func TestChildEndsWithItsParent(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], parentCommand)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	child, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(child)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(child), Events: unix.POLLIN}}, int((10 * time.Second).Milliseconds()))
	if n != 1 || err != nil {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		t.Errorf("the child is still there after 10 s: %d, %v", n, err)
	}
}

// A parent of children is closed to others of its user.
func TestParentIsHidden(t *testing.T) {
	start(t, Host{}, Limits{})
	if dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); dumpable != 0 || err != nil {
		t.Errorf("dumpable %d, %v; want 0", dumpable, err)
	}
}

// A child may write no file, dump no core, and gain no privilege.
func TestLimits(t *testing.T) {
	c := start(t, Host{}, Limits{})
	pid := c.process.(*local).cmd.Process.Pid
	for resource, want := range map[int]uint64{unix.RLIMIT_CORE: 0, unix.RLIMIT_FSIZE: 0, unix.RLIMIT_NOFILE: maxOpen} {
		var limit unix.Rlimit
		if err := unix.Prlimit(pid, resource, nil, &limit); err != nil || limit != (unix.Rlimit{Cur: want, Max: want}) {
			t.Errorf("limit %d: %+v, %v; want %d", resource, limit, err, want)
		}
	}
	for _, resource := range []int{unix.RLIMIT_DATA, unix.RLIMIT_AS} {
		var limit unix.Rlimit
		if err := unix.Prlimit(pid, resource, nil, &limit); err != nil || limit.Cur != limit.Max || limit.Max > 1<<60 {
			t.Errorf("limit %d: %+v, %v; want one", resource, limit, err)
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for _, want := range []string{"NoNewPrivs:\t1\n", "Seccomp:\t2\n"} {
		if err != nil || !strings.Contains(string(status), want) {
			t.Errorf("%v, want %s in\n%s", err, want, status)
		}
	}
	if info, err := os.Stat(fmt.Sprintf("/proc/%d/mem", pid)); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("its memory is not root's: %v, %v", info, err)
	}
}
