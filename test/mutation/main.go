package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/yaml"
)

// atOnce is how many rows are tried at a time: most of each is waiting for one
// compiler or one control plane.
const atOnce = 2

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	failed, err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(2)
	}
	if failed > 0 {
		os.Exit(1)
	}
}

// run tries all mutations whose name holds one of the words, and returns how many
// no test noticed, or could not be tried.
func run(ctx context.Context, words []string) (failed int, err error) {
	rows, err := load()
	if err != nil {
		return 0, fmt.Errorf("run this in the root of the module: %w", err)
	}
	start, tried := time.Now(), 0
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, m := range rows {
		if !wanted(m.Name, words) {
			continue
		}
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			o := m.try(ctx)
			mu.Lock()
			defer mu.Unlock()
			tried++
			if !o.noticed() {
				failed++
			}
			fmt.Printf("%-8s  %5.1fs  %s: %s%s\n", o.word(), o.took.Seconds(), m.File, m.Name, o.detail())
			return ctx.Err()
		})
	}
	err = group.Wait()
	fmt.Printf("%d tried in %s, %d not noticed\n", tried, time.Since(start).Round(time.Second), failed)
	return failed, err
}

func load() ([]mutation, error) {
	data, err := os.ReadFile(filepath.Join("test", "mutation", "mutations.yaml"))
	if err != nil {
		return nil, err
	}
	var rows []mutation
	return rows, yaml.UnmarshalStrict(data, &rows)
}

func wanted(name string, words []string) bool {
	for _, w := range words {
		if strings.Contains(name, w) {
			return true
		}
	}
	return len(words) == 0
}
