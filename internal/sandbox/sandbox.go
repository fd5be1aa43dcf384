package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Command is the hidden subcommand that the child is started with. Its arguments are
// for Serve.
const Command = "evaluate"

// Limits bound one child. Zero means the default.
type Limits struct {
	Time   time.Duration // wall clock of one exchange; default 1 min
	Memory int64         // bytes that the child may hold; default 384 MiB
	Output int64         // bytes that it may say in its life; default 256 MiB
}

func (l Limits) orDefaults() Limits {
	return Limits{
		Time:   cmp.Or(l.Time, time.Minute),
		Memory: cmp.Or(l.Memory, 384<<20),
		Output: cmp.Or(l.Output, 256<<20),
	}
}

// A Child is a running child process. It is for one goroutine.
type Child struct {
	limits Limits
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout io.ReadCloser
	stderr head
	left   int64 // of its output
	ended  error // how, once Close returned
}

// Start starts this program as a child.
func Start(limits Limits) (*Child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &Child{limits: limits.orDefaults(), stderr: head{limit: 4 << 10}}
	c.left = c.limits.Output
	c.cmd = exec.Command(exe, Command, strconv.FormatInt(c.limits.Memory, 10))
	c.cmd.Args[0] = os.Args[0] // a program that is several by its name stays the one it is
	c.cmd.Env = []string{"GOMAXPROCS=1"}
	c.cmd.Dir = os.TempDir()
	c.cmd.Stderr = &c.stderr
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if c.stdout, err = c.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if err = c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a child process: %w", err)
	}
	return c, nil
}

// Write implements io.Writer: the child's standard input.
func (c *Child) Write(p []byte) (int, error) { return c.stdin.Write(p) }

// Read implements io.Reader: the child's standard output, up to its limit.
func (c *Child) Read(p []byte) (int, error) {
	if c.left < 0 {
		return 0, errOutput
	}
	n, err := c.stdout.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, errOutput
	}
	return n, err
}

var errOutput = errors.New("output larger than its limit")

// Close ends the child and waits for that.
func (c *Child) Close() {
	if c.cmd.ProcessState != nil {
		return
	}
	_ = c.cmd.Process.Kill() // it may have ended
	c.ended = c.cmd.Wait()
}

// Exceeded says which limit a child went over, or what it fell over.
type Exceeded struct{ why string }

// Error implements error.
func (e *Exceeded) Error() string { return e.why }

// Culprit says that what the child was given is to blame.
func (e *Exceeded) Culprit() {}

// Do runs an exchange with the child, and ends the child when that takes too long or
// ctx ends. An error is *Exceeded if what was exchanged is to blame. After any error
// the child is gone.
func (c *Child) Do(ctx context.Context, exchange func() error) error {
	bounded, cancel := context.WithTimeout(ctx, c.limits.Time)
	defer cancel()
	stop := context.AfterFunc(bounded, func() { _ = c.cmd.Process.Kill() })
	err := exchange()
	if late := !stop(); err == nil && !late {
		return nil
	}
	exited := c.exited()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case bounded.Err() != nil:
		return &Exceeded{fmt.Sprintf("evaluation took longer than %v and was stopped; look for unbounded comprehensions or references", c.limits.Time)}
	case c.left < 0:
		return &Exceeded{fmt.Sprintf("evaluation said more than %d MiB and was stopped; split it", c.limits.Output>>20)}
	case exited == exitMemory:
		return &Exceeded{fmt.Sprintf("evaluation needed more than %d MiB and was stopped", c.limits.Memory>>20)}
	case exited == exitPanic:
		return &Exceeded{fmt.Sprintf("evaluation ended (%s); write it another way", c.stderr.line())}
	}
	return fmt.Errorf("child process: %w (%v): %s", err, c.ended, strings.TrimSpace(string(c.stderr.kept)))
}

// exited waits for the end of a child whose exchange failed, and returns its exit
// code. One that does not end by itself is made to.
func (c *Child) exited() int {
	_ = c.stdin.Close()
	timer := time.AfterFunc(time.Second, func() { _ = c.cmd.Process.Kill() })
	defer timer.Stop()
	c.ended = c.cmd.Wait()
	return c.cmd.ProcessState.ExitCode()
}

// A head keeps the first bytes that are written.
type head struct {
	kept  []byte
	limit int
}

// Write implements io.Writer.
func (h *head) Write(p []byte) (int, error) {
	h.kept = append(h.kept, p[:min(len(p), h.limit-len(h.kept))]...)
	return len(p), nil
}

// line is the first line that says why a Go program ended.
func (h *head) line() string {
	for line := range strings.Lines(string(h.kept)) {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return strings.TrimSpace(line)
		}
	}
	return "no word why"
}
