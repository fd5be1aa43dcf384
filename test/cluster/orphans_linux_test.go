package cluster_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"prumo.dev/prumo/test/cluster"
	"prumo.dev/prumo/test/cluster/clustertest"
)

func TestNoOrphans(t *testing.T) {
	clustertest.Need(t, cluster.Options{})
	for name, signal := range map[string]os.Signal{"killed": syscall.SIGKILL, "interrupted": os.Interrupt, "panic": nil} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), endVariable+"="+name)
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(stdout).ReadString('\n')
			dir := filepath.Dir(strings.TrimSpace(line))
			if err != nil || !filepath.IsAbs(dir) {
				t.Fatalf("the child did not start a cluster: %s (%v)", line, err)
			}
			servers := serversIn(t, dir)
			if len(servers) != 2 {
				t.Fatalf("servers that run: %v, want etcd and the API server", servers)
			}
			defer func() {
				if t.Failed() {
					for pid := range servers {
						_ = syscall.Kill(pid, syscall.SIGKILL)
					}
				}
			}()
			if signal != nil {
				err = cmd.Process.Signal(signal)
			} else {
				_, err = fmt.Fprintln(stdin)
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err == nil {
				t.Fatal("the child ended well")
			}
			eventually(t, func(context.Context) error {
				if left := serversIn(t, dir); len(left) > 0 {
					return fmt.Errorf("still running: %v", left)
				}
				return nil
			})
			start(t, cluster.Options{}) // cleans up what the dead left
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("%s of the dead cluster is left: %v", dir, err)
			}
		})
	}
}

// serversIn returns the names of the processes that work in dir, by id.
func serversIn(t *testing.T, dir string) map[int]string {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[int]string)
	for _, process := range processes {
		if cwd, err := os.Readlink(filepath.Join(process, "cwd")); err != nil || cwd != dir {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(process))
		if err != nil {
			t.Fatal(err)
		}
		if name, err := os.ReadFile(filepath.Join(process, "comm")); err == nil {
			found[pid] = strings.TrimSpace(string(name))
		}
	}
	return found
}

// TestServersOutliveThread starts a cluster from a thread that ends: the kernel
// takes the thread that forked a child for its parent.
func TestServersOutliveThread(t *testing.T) {
	clustertest.Need(t, cluster.Options{})
	var c *cluster.Cluster
	var err error
	thread := onEndingThread(func() { c, err = cluster.Start(context.Background(), cluster.Options{}) })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	eventually(t, func(context.Context) error {
		_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", thread))
		if err == nil {
			err = fmt.Errorf("thread %d has not ended", thread)
		} else if os.IsNotExist(err) {
			err = nil
		}
		return err
	})
	createNamespace(t, client(t, c.Config()), "after-thread")
}

// onEndingThread calls a function on a thread that ends after it, and returns
// the thread's id.
func onEndingThread(call func()) (thread int) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // not unlocked: the thread ends with the goroutine
		if thread = syscall.Gettid(); thread != os.Getpid() {
			call()
			return
		}
		thread = onEndingThread(call) // while we hold the main thread, which never ends
		runtime.UnlockOSThread()
	}()
	<-done
	return thread
}
