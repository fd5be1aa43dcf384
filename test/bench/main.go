// Command bench runs the benchmarks, or those that are named, prints one table and
// writes bench.json. It fails if a bar is missed.
//
//	go run ./test/bench [engine|trust]...
//
// Each case is a program of its own below this folder: it measures processes, and
// must not be part of what it measures.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"prumo.dev/prumo/test/bench/row"
)

// cases are the folders below this one.
var cases = []string{"engine", "trust"}

func main() {
	chosen := os.Args[1:]
	if len(chosen) == 0 {
		chosen = cases
	}
	if err := run(chosen); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(chosen []string) error {
	dir, err := os.MkdirTemp("", "prumo-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	start := time.Now()
	var rows []row.Row
	var faults []error
	for _, name := range chosen {
		if !slices.Contains(cases, name) {
			return fmt.Errorf("there is no case %q: there are %v", name, cases)
		}
		measured, err := measure(name, filepath.Join(dir, name))
		rows, faults = append(rows, measured...), append(faults, err)
	}
	fmt.Printf("%s on %s/%s, %d CPUs, %s, %.0fs\n\n", time.Now().UTC().Format(time.DateOnly),
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), time.Since(start).Seconds())
	faults = append(faults, row.Print(os.Stdout, rows), row.Save("bench.json", rows), row.Missed(rows))
	return errors.Join(faults...)
}

// measure runs one case. That a bar is missed is told by its rows.
func measure(name, bin string) ([]row.Row, error) {
	build := exec.Command("go", "build", "-o", bin, "./test/bench/"+name)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("build %s: %w", name, err)
	}
	cmd := exec.Command(bin, "-o", bin+".json")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	err := cmd.Run()
	rows, unread := row.Load(bin + ".json")
	if unread != nil {
		return nil, fmt.Errorf("case %s: %w", name, errors.Join(err, unread))
	}
	return rows, nil
}
