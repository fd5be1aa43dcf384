package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unicode"
)

func main() { os.Exit(Main()) }

// Main runs the program and returns its exit code: 0 done or nothing to say, 1 an
// error or a refusal, 2 changes or drift found.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	err := newRoot().ExecuteContext(ctx)
	var code exitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "reconciler: interrupted")
	default:
		fmt.Fprintln(os.Stderr, "reconciler:", printable(err.Error()))
	}
	return 1
}

// printable replaces what would steer a terminal: parts of an error are the words of
// a server, or names of files.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// An exitCode ends the program with a code after all has been said.
type exitCode int

const (
	exitRefused exitCode = 1
	exitChanges exitCode = 2
)

// Error implements error; it is never printed.
func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }
