package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain is the child when it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && childMain(os.Args[1], os.Args[2:]) {
		return
	}
	os.Exit(m.Run())
}

// child answers lines, each in its own way.
func child(_ context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		line := lines.Text()
		if order, ok := strings.CutPrefix(line, "attack "); ok {
			if err := attackLine(order, out); err != nil {
				return err
			}
			continue
		}
		switch line {
		case "loop":
			select {}
		case "hog":
			for hog := []byte{1}; ; {
				hog = append(hog, hog...)
			}
		case "repeat":
			fmt.Fprintln(out, len(strings.Repeat(strings.Repeat("0123456789", 300), 1_000_000)))
		case "piece":
			for range 300 { // so that the runtime has what it needs by itself
				_ = bytes.Repeat([]byte("x"), 1<<20)
			}
			fmt.Fprintln(out, len(bytes.Repeat([]byte("x"), 1<<30)))
		case "small":
			for hog := [][]byte{}; ; {
				hog = append(hog, bytes.Repeat([]byte("x"), 1000))
			}
		case "threads":
			for {
				go func() {
					runtime.LockOSThread()
					fmt.Fprintln(out, overflow(1))
				}()
				runtime.Gosched()
			}
		case "exit":
			os.Exit(75)
		case "pid":
			fmt.Fprintln(out, os.Getpid())
		case "forge":
			if err := gob.NewEncoder(out).Encode(part{End: &ending{How: "by magic"}}); err != nil {
				return err
			}
			fmt.Fprintln(out)
		case "nonsense":
			fmt.Fprintln(out, line)
		case "overflow":
			fmt.Fprintln(out, overflow(1))
		case "talk":
			for {
				if _, err := out.Write(make([]byte, 1<<10)); err != nil {
					return err
				}
			}
		case "fail":
			return errors.New("no disk")
		default:
			fmt.Fprintf(out, "%s %q\n", line, os.Getenv("PRUMO_TEST_SECRET"))
		}
	}
	return lines.Err()
}

func overflow(n int) int {
	if n == 0 {
		return 0
	}
	return overflow(n+1) + 1
}

// underRace says that this is a build with the race detector, which keeps its own
// record of all memory: that counts for the limit, and ends the process with words of
// its own. So what takes memory is tested without it.
var underRace bool

func needMemory(t *testing.T) {
	t.Helper()
	if underRace {
		t.Skip("the race detector takes more memory than the limit allows; run this without -race")
	}
}

func start(t *testing.T, h Host, limits Limits) *Child {
	t.Helper()
	c, err := h.Start(t.Context(), limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// onHosts runs a test with children of this process, and with those of an evaluator.
func onHosts(t *testing.T, test func(t *testing.T, h Host)) {
	t.Run("child", func(t *testing.T) { test(t, Host{}) })
	t.Run("evaluator", func(t *testing.T) { test(t, Host{Socket: evaluator(t, &Server{})}) })
}

// evaluator serves children on a socket until the test ends.
func evaluator(t *testing.T, s *Server) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	serve(t, s, socket)
	return socket
}

// serve serves children on a socket until the test ends or stop is called.
func serve(t *testing.T, s *Server, socket string) (stop func()) {
	t.Helper()
	ln, err := Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// say says a line and returns the answer.
func say(ctx context.Context, c *Child, line string) (answer string, err error) {
	err = c.Do(ctx, func() error {
		if _, err := fmt.Fprintln(c, line); err != nil {
			return err
		}
		for !strings.HasSuffix(answer, "\n") {
			part := make([]byte, 64<<10)
			n, err := c.Read(part)
			if err != nil {
				return err
			}
			answer += string(part[:n])
		}
		if answer == "nonsense\n" || strings.Contains(answer, "by magic") {
			return errors.New("no answer")
		}
		return nil
	})
	return answer, err
}

// A child answers many times, and knows nothing of the environment.
func TestChildAnswers(t *testing.T) {
	t.Setenv("PRUMO_TEST_SECRET", "s3cret")
	onHosts(t, func(t *testing.T, h Host) {
		c := start(t, h, Limits{})
		for _, line := range []string{"one", "two"} {
			if got, err := say(t.Context(), c, line); err != nil || got != line+" \"\"\n" {
				t.Errorf("answer %q, %v", got, err)
			}
		}
	})
}

// What goes over a limit, or ends the child, is told as such, and ends it.
func TestChildIsBounded(t *testing.T) {
	tests := []struct {
		line, want string
		limits     Limits
	}{
		{"loop", "longer than 200ms", Limits{Time: 200 * time.Millisecond}},
		{"hog", "more than 384 MiB", Limits{}},
		{"repeat", "more than 384 MiB", Limits{}},
		{"piece", "more than 384 MiB", Limits{}},
		{"talk", "more than 1 MiB", Limits{Output: 1 << 20}},
		{"overflow", "fatal error: stack overflow", Limits{}},
		{"nonsense", "an answer that cannot be read", Limits{}},
	}
	onHosts(t, func(t *testing.T, h Host) {
		for _, tt := range tests {
			t.Run(tt.line, func(t *testing.T) {
				if slices.Contains([]string{"hog", "repeat", "piece", "overflow"}, tt.line) {
					needMemory(t)
				}
				c := start(t, h, tt.limits)
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				_, err := say(ctx, c, tt.line)
				if _, ok := errors.AsType[*Exceeded](err); !ok || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want one with %q that blames the line", err, tt.want)
				}
				if !c.ended {
					t.Error("the child is still there")
				}
			})
		}
	})
}

// kill kills a child from outside, as the system does that has no more memory.
func kill(t *testing.T, c *Child) {
	t.Helper()
	pid, err := say(t.Context(), c, "pid")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(pid))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(n, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// What ended the child is not to blame on what it was given if nobody knows.
func TestChildDies(t *testing.T) {
	onHosts(t, func(t *testing.T, h Host) {
		for line, want := range map[string]string{"fail": "no disk", "exit": "exit status 75", "one": "signal: killed"} {
			c := start(t, h, Limits{})
			if line == "one" {
				kill(t, c)
			}
			_, err := say(t.Context(), c, line)
			if _, unexplained := errors.AsType[*Death](err); !unexplained || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want a death with %q", line, err, want)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		c := start(t, h, Limits{})
		cancel()
		if _, err := say(ctx, c, "loop"); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want %v", err, context.Canceled)
		}
	})
}
