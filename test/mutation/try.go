package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// A mutation is one check, taken out.
type mutation struct {
	Name string `json:"name"` // what is no longer checked
	File string `json:"file"` // from the root of the module
	Old  string `json:"old"`  // text that stands in it exactly once
	New  string `json:"new"`
	Test string `json:"test"` // package whose tests must fail
	Run  string `json:"run"`  // -run of go test; empty: all
}

// An outcome is what became of one mutation.
type outcome struct {
	failed string // the first test that noticed; empty if none did
	err    error  // why it could not be tried
	took   time.Duration
}

func (o outcome) noticed() bool { return o.err == nil && o.failed != "" }

func (o outcome) word() string {
	switch {
	case o.err != nil:
		return "ERROR"
	case o.failed == "":
		return "SURVIVED"
	}
	return "noticed"
}

func (o outcome) detail() string {
	if o.err != nil {
		return ": " + o.err.Error()
	}
	if o.failed != "" {
		return " (" + o.failed + ")"
	}
	return ""
}

// rowLimit bounds the tests of one row. Without a check some would never end.
const rowLimit = 5 * time.Minute

// try builds the package's tests without the check, and runs those that should
// fail. Code that does not compile proves nothing and is an error.
func (m mutation) try(ctx context.Context) (o outcome) {
	start := time.Now()
	defer func() { o.took = time.Since(start) }()
	dir, err := os.MkdirTemp("", "mutation-")
	if err != nil {
		return outcome{err: err}
	}
	defer os.RemoveAll(dir)
	overlay, err := m.overlay(dir)
	if err != nil {
		return outcome{err: err}
	}
	binary := filepath.Join(dir, "mutated.test")
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-ldflags=-s -w", "-overlay", overlay, "-o", binary, m.Test).CombinedOutput(); err != nil {
		return outcome{err: fmt.Errorf("does not compile: %w\n%s", err, out)}
	}
	ctx, cancel := context.WithTimeout(ctx, rowLimit+time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-test.run", m.Run, "-test.failfast", "-test.timeout", rowLimit.String())
	cmd.Dir = m.Test
	cmd.WaitDelay = 10 * time.Second // for what the tests started
	out, err := cmd.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return outcome{err: ctx.Err()}
	case err == nil && bytes.Contains(out, []byte("no tests to run")):
		return outcome{err: fmt.Errorf("no test matches %q", m.Run)}
	case err == nil:
		return outcome{}
	}
	if bad := (*exec.ExitError)(nil); !errors.As(err, &bad) {
		return outcome{err: err}
	}
	return outcome{failed: firstFailure(out)}
}

var failLine = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// firstFailure names the test that failed, or how all of them ended.
func firstFailure(out []byte) string {
	if m := failLine.FindSubmatch(out); m != nil {
		return string(m[1])
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return "ended: " + line
}

// overlay writes the broken file and what go test needs to see it instead.
func (m mutation) overlay(dir string) (string, error) {
	source, err := os.ReadFile(m.File)
	if err != nil {
		return "", err
	}
	if n := bytes.Count(source, []byte(m.Old)); n != 1 {
		return "", fmt.Errorf("%q stands %d times in %s, want once", m.Old, n, m.File)
	}
	broken := filepath.Join(dir, filepath.Base(m.File))
	if err := os.WriteFile(broken, bytes.Replace(source, []byte(m.Old), []byte(m.New), 1), 0o600); err != nil {
		return "", err
	}
	original, err := filepath.Abs(m.File)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{original: broken}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o600)
}
