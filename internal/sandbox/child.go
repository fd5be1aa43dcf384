package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Limits bound one child. Zero means the default.
type Limits struct {
	Time   time.Duration // wall clock of one exchange; default 1 min
	Memory int64         // bytes on top of what the child starts with; default DefaultMemory, as an evaluator has it
	Output int64         // bytes that it may say in its life; default 256 MiB
}

// DefaultMemory is how much memory a child may take, in bytes.
const DefaultMemory = 384 << 20

func (l Limits) orDefaults() Limits {
	return Limits{
		Time:   cmp.Or(l.Time, time.Minute),
		Memory: cmp.Or(l.Memory, DefaultMemory),
		Output: cmp.Or(l.Output, 256<<20),
	}
}

// A Child is a running child process. It is for one goroutine.
type Child struct {
	process process
	limits  Limits
	walls   Walls
	left    int64 // of its output
	ended   bool
}

// A process is a child as its parent sees it, wherever it runs. Read and Write are
// its standard output and input.
type process interface {
	Read(p []byte) (int, error)
	Write(p []byte) (int, error)

	// kill ends it. Any goroutine may call it, more than once.
	kill()

	// wait returns how the process ended. One that does not end by itself within
	// patience is killed, and then byItself is false.
	wait(patience time.Duration) (how ending, byItself bool)
}

// An ending is how a process ended.
type ending struct {
	Code   int    // exit code; -1 if it has none
	How    string // in words
	Stderr string // the first bytes that it wrote to standard error
}

// Walls returns the walls around the child.
func (c *Child) Walls() Walls { return c.walls }

// Write implements io.Writer: the child's standard input.
func (c *Child) Write(p []byte) (int, error) { return c.process.Write(p) }

// Read implements io.Reader: the child's standard output, up to its limit.
func (c *Child) Read(p []byte) (int, error) {
	if c.left < 0 {
		return 0, errOutput
	}
	n, err := c.process.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, errOutput
	}
	return n, err
}

var errOutput = errors.New("output larger than its limit")

// Close ends the child and waits for that.
func (c *Child) Close() { c.end(0) }

// end waits for the child to end, for as long as patience says.
func (c *Child) end(patience time.Duration) (how ending, byItself bool) {
	if c.ended {
		return ending{}, false
	}
	c.ended = true
	if patience == 0 {
		c.process.kill()
	}
	return c.process.wait(patience)
}

// Exceeded says which limit a child went over, or what it fell over.
type Exceeded struct{ why string }

func exceeded(format string, args ...any) *Exceeded { return &Exceeded{fmt.Sprintf(format, args...)} }

// Error implements error.
func (e *Exceeded) Error() string { return e.why }

// Culprit says that what the child was given is to blame.
func (e *Exceeded) Culprit() {}

// A Death is the end of a child that nothing explains: somebody killed it, or what it
// was given made it end without a word.
type Death struct{ how string }

// Error implements error.
func (d *Death) Error() string { return d.how }

// Unexplained says that nobody knows whether what the child was given is to blame.
func (d *Death) Unexplained() {}

// patience is how long a child may take to end by itself once an exchange failed.
const patience = time.Second

// Do runs an exchange with the child, and ends the child when that takes too long or
// ctx ends. An error is *Exceeded if what was exchanged is to blame, *Death if nobody
// knows, or that of ctx. After any error the child is gone.
func (c *Child) Do(ctx context.Context, exchange func() error) error {
	bounded, cancel := context.WithTimeout(ctx, c.limits.Time)
	defer cancel()
	stop := context.AfterFunc(bounded, c.process.kill)
	err := exchange()
	if late := !stop(); err == nil && !late {
		return nil
	}
	how, byItself := c.end(patience)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case bounded.Err() != nil:
		return exceeded("evaluation took longer than %v and was stopped; "+
			"look for unbounded comprehensions or references", c.limits.Time)
	case c.left < 0:
		return exceeded("evaluation said more than %d MiB and was stopped; split it", c.limits.Output>>20)
	case !byItself:
		return exceeded("evaluation gave an answer that cannot be read (%v) and was stopped; write it another way", err)
	case how.Code == exitPanic && how.outOfMemory():
		return exceeded("evaluation needed more than %d MiB and was stopped", c.walls.Memory>>20)
	case how.Code == exitPanic:
		return exceeded("evaluation ended (%s); write it another way", how.cause())
	}
	return &Death{strings.TrimSpace(fmt.Sprintf("%s; %s", how.How, how.lastWord()))}
}

// outOfMemory reports whether Go's runtime ended the process since the system gave it
// no more memory. Its collector does not check all that it asks for (Go 1.26): it may
// follow a nil pointer instead, outside of any goroutine, and then begins with SIGSEGV.
func (e ending) outOfMemory() bool {
	cause := e.cause()
	return strings.HasPrefix(cause, "SIGSEGV: ") || strings.HasPrefix(cause, "fatal error: ") &&
		(strings.Contains(cause, "out of memory") || strings.Contains(cause, "cannot allocate memory"))
}

// cause is the line that says why a Go program ended.
func (e ending) cause() string {
	for line := range strings.Lines(e.Stderr) {
		for _, begins := range []string{"panic: ", "fatal error: ", "SIG"} {
			if strings.HasPrefix(line, begins) {
				return brief(line)
			}
		}
	}
	return e.lastWord()
}

// lastWord is the first line of what it wrote to standard error.
func (e ending) lastWord() string {
	line, _, _ := strings.Cut(strings.TrimSpace(e.Stderr), "\n")
	return brief(cmp.Or(line, "no word why"))
}

// maxCause bounds what is told of a child's own words, in bytes.
const maxCause = 200

func brief(line string) string {
	line = strings.TrimSpace(line)
	return strings.ToValidUTF8(line[:min(len(line), maxCause)], "")
}
