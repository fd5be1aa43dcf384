// Command engine measures what it costs to keep a cluster true to a repo: the real
// daemon, as a process of its own, on a real control plane, with fleets that are
// rendered from signed specs. What it is held against is a bare HTTP/2 client in the
// same run, which sends one server-side apply for each object and does nothing else.
//
//	go run ./test/bench/engine [-n 1000,10000] [-specs 5000] [-o FILE]
//
// It runs on Linux, for it reads the daemon's memory and CPU time from /proc.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"prumo.dev/prumo/test/bench/row"
	"prumo.dev/prumo/test/fleet"
)

func main() {
	sizes := flag.String("n", "1000,10000", "objects of the fleets; all cases run on the last")
	specs := flag.Int("specs", 5000, "specs to validate")
	out := flag.String("o", "", "file for the rows; without it they are printed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	rows, err := run(ctx, strings.Split(*sizes, ","), *specs)
	if err == nil {
		err = row.Report(*out, rows)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench engine:", err)
		os.Exit(1)
	}
}

// run measures all cases. What was measured before a fault is lost: half a table
// looks like a whole one.
func run(ctx context.Context, sizes []string, specs int) ([]row.Row, error) {
	dir, err := os.MkdirTemp("", "prumo-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "reconciler")
	build := exec.Command("go", "build", "-o", bin, "./cmd/reconciler")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make build and the image have it
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the reconciler: %w\n%s", err, out)
	}
	rows, err := validate(filepath.Join(dir, "specs"), bin, specs)
	for i, size := range sizes {
		if err != nil {
			return nil, err
		}
		n, bad := strconv.Atoi(size)
		if bad != nil || n < fleet.ObjectsPerPair {
			return nil, fmt.Errorf("-n %s: want numbers of at least %d", size, fleet.ObjectsPerPair)
		}
		var more []row.Row
		more, err = onCluster(ctx, filepath.Join(dir, size), bin, n/fleet.ObjectsPerPair, i == len(sizes)-1)
		rows = append(rows, more...)
	}
	return rows, err
}

// onCluster measures a fleet of pairs on a control plane of its own.
func onCluster(ctx context.Context, dir, bin string, pairs int, all bool) (rows []row.Row, err error) {
	w, err := newWorld(ctx, dir, bin, pairs)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	cases := []func(context.Context) ([]row.Row, error){w.firstApply, w.restart}
	if all {
		cases = append(cases, w.idle, w.edits, w.commits, w.memory)
	} else {
		cases = append(cases, w.applyAgain)
	}
	for _, measure := range cases {
		start := time.Now()
		more, err := measure(ctx)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
		for _, r := range more {
			fmt.Fprintf(os.Stderr, "%-40s %10.2f %s\n", r.Case, r.Value, r.Unit)
		}
		fmt.Fprintf(os.Stderr, "  (%.1fs)\n", time.Since(start).Seconds())
	}
	return rows, nil
}
