// Command trust measures how fast signed histories are judged: all commits of a
// long one, beside `git log --show-signature` over the same one in the same run,
// and one new commit on top of what is accepted.
//
//	go run ./test/bench/trust [-n 10000] [-git 10000] [-o FILE]
//
// It needs git and ssh-keygen. The child that judges runs as a process of its
// own, so that its memory can be told.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"prumo.dev/prumo/test/bench/row"
)

func main() {
	n := flag.Int("n", 10_000, "commits of the history")
	gitN := flag.Int("git", 10_000, "commits, from the newest, that git looks at")
	out := flag.String("o", "", "file for the rows; without it they are printed")
	child := flag.String("judge", "", "judge the history in this folder, and print what it took")
	flag.Parse()
	err := error(nil)
	if *child != "" {
		err = judge(*child)
	} else {
		err = run(*n, min(*n, *gitN), *out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench trust:", err)
		os.Exit(1)
	}
}

func run(n, gitN int, out string) error {
	dir, err := os.MkdirTemp("", "prumo-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	start := time.Now()
	if err := generate(dir, n); err != nil {
		return fmt.Errorf("make a history: %w", err)
	}
	fmt.Fprintf(os.Stderr, "%d signed commits made in %.1fs; %s, %d CPUs\n\n", n, time.Since(start).Seconds(), runtime.Version(), runtime.NumCPU())
	us, memory, err := judgeInChild(dir)
	if err != nil {
		return err
	}
	gitTook, gitMemory, err := gitLog(dir, gitN)
	if err != nil {
		return err
	}
	return row.Report(out, rowsOf(n, gitN, us, memory, gitTook, gitMemory))
}

func rowsOf(n, gitN int, us took, memory float64, gitTook time.Duration, gitMemory float64) []row.Row {
	rate, gitRate := float64(n)/us.Verify.Seconds(), float64(gitN)/gitTook.Seconds()
	whole := float64(n) / (us.Fetch + us.Verify).Seconds()
	one := float64((us.FetchOne + us.VerifyOne).Microseconds()) / 1000
	return []row.Row{
		{Case: "trust: verify", N: n, Value: rate, Unit: "commits/s", Limit: gitRate, Ratio: rate / gitRate, Bar: "> git log", OK: rate > gitRate},
		{Case: "trust: fetch and verify", N: n, Value: whole, Unit: "commits/s", Limit: gitRate, Ratio: whole / gitRate, OK: true},
		{Case: "trust: peak memory", N: n, Value: memory, Unit: "MB", Limit: gitMemory, Ratio: memory / gitMemory, OK: true},
		{Case: "trust: fetch and verify one new commit", N: 1, Value: one, Unit: "ms", Bar: "< 50", OK: one < 50},
		{Case: "trust: the same after a restart", N: 1, Value: float64(us.Restart.Microseconds()) / 1000, Unit: "ms", OK: true},
	}
}

// judgeInChild runs this program again to judge the history.
func judgeInChild(dir string) (took, float64, error) {
	self, err := os.Executable()
	if err != nil {
		return took{}, 0, err
	}
	cmd := exec.Command(self, "-judge", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return took{}, 0, fmt.Errorf("judge: %w", err)
	}
	var t took
	err = json.Unmarshal(out, &t)
	return t, peak(cmd), err
}

// gitLog lets git check the newest commits of the history.
func gitLog(dir string, n int) (time.Duration, float64, error) {
	cmd := exec.Command("git", "-C", filepath.Join(dir, "origin.git"), "-c", "gpg.ssh.allowedSignersFile="+filepath.Join(dir, "allowed"),
		"log", "--show-signature", "--format=%H", fmt.Sprintf("-%d", n), "main")
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "HOME="+dir, "LC_ALL=C")
	start := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("git log: %w\n%s", err, out)
	}
	// The introduction is unsigned and is the oldest.
	if good := strings.Count(string(out), "Good \"git\" signature for bench"); good < n-1 {
		return 0, 0, fmt.Errorf("git finds %d good signatures in %d commits:\n%.500s", good, n, bytes.TrimSpace(out))
	}
	return time.Since(start), peak(cmd), nil
}

// peak is the most memory that a finished process had, in MB.
func peak(cmd *exec.Cmd) float64 {
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	kib := float64(usage.Maxrss) // bytes on macOS
	if runtime.GOOS == "darwin" {
		kib /= 1024
	}
	return kib / 1000
}
