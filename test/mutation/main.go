package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
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

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	survived, err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(2)
	}
	if survived > 0 {
		os.Exit(1)
	}
}

// run tries all mutations whose name holds one of the words, and returns how many
// no test noticed.
func run(ctx context.Context, words []string) (survived int, err error) {
	data, err := os.ReadFile(filepath.Join("test", "mutation", "mutations.yaml"))
	if err != nil {
		return 0, fmt.Errorf("run this in the root of the module: %w", err)
	}
	var all []mutation
	if err := yaml.UnmarshalStrict(data, &all); err != nil {
		return 0, err
	}
	for _, m := range all {
		if !wanted(m.Name, words) {
			continue
		}
		killed, err := m.try(ctx)
		if err != nil {
			return survived, fmt.Errorf("%s: %w", m.Name, err)
		}
		word := "noticed "
		if !killed {
			word = "SURVIVED"
			survived++
		}
		fmt.Printf("%s  %s (%s)\n", word, m.Name, m.File)
	}
	return survived, nil
}

func wanted(name string, words []string) bool {
	for _, w := range words {
		if strings.Contains(name, w) {
			return true
		}
	}
	return len(words) == 0
}

// try reports whether a test fails without the check. Code that does not compile
// proves nothing and is an error.
func (m mutation) try(ctx context.Context) (killed bool, err error) {
	dir, err := os.MkdirTemp("", "mutation-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	overlay, err := m.overlay(dir)
	if err != nil {
		return false, err
	}
	if out, err := exec.CommandContext(ctx, "go", "vet", "-overlay", overlay, m.Test).CombinedOutput(); err != nil {
		return false, fmt.Errorf("does not compile: %w\n%s", err, out)
	}
	out, err := exec.CommandContext(ctx, "go", "test", "-count=1", "-overlay", overlay, "-run", m.Run, m.Test).CombinedOutput()
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err == nil && bytes.Contains(out, []byte("no tests to run")) {
		return false, fmt.Errorf("no test matches %q", m.Run)
	}
	return err != nil, nil
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
