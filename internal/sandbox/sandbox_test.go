package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain is the child when it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Command {
		os.Exit(Serve(context.Background(), os.Args[2:], child))
	}
	os.Exit(m.Run())
}

// child answers lines, each in its own way.
func child(_ context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		switch line := lines.Text(); line {
		case "loop":
			select {}
		case "hog":
			for hog := []byte{1}; ; {
				hog = append(hog, hog...)
			}
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

func start(t *testing.T, limits Limits) *Child {
	t.Helper()
	c, err := Start(limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
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
		return nil
	})
	return answer, err
}

// A child answers many times, and knows nothing of the environment.
func TestChildAnswers(t *testing.T) {
	t.Setenv("PRUMO_TEST_SECRET", "s3cret")
	c := start(t, Limits{})
	for _, line := range []string{"one", "two"} {
		if got, err := say(t.Context(), c, line); err != nil || got != line+" \"\"\n" {
			t.Errorf("answer %q, %v", got, err)
		}
	}
}

// What goes over a limit, or ends the child, is told as such, and ends it.
func TestChildIsBounded(t *testing.T) {
	tests := []struct {
		line, want string
		limits     Limits
	}{
		{"loop", "longer than 200ms", Limits{Time: 200 * time.Millisecond}},
		{"hog", "more than 128 MiB", Limits{Memory: 128 << 20}},
		{"talk", "more than 1 MiB", Limits{Output: 1 << 20}},
		{"overflow", "fatal error: stack overflow", Limits{}},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			c := start(t, tt.limits)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			_, err := say(ctx, c, tt.line)
			if _, ok := errors.AsType[*Exceeded](err); !ok || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q that blames the line", err, tt.want)
			}
			if c.cmd.ProcessState == nil {
				t.Error("the child is still there")
			}
		})
	}
}

// What ended the child is not to blame on what it was given if it did not come of it.
func TestChildFails(t *testing.T) {
	_, err := say(t.Context(), start(t, Limits{}), "fail")
	if _, blamed := errors.AsType[*Exceeded](err); blamed || err == nil || !strings.Contains(err.Error(), "no disk") {
		t.Errorf("error %v, want one that tells what the child says", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := say(ctx, start(t, Limits{}), "loop"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}
