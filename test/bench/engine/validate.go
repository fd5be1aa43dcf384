package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/render"
	"prumo.dev/prumo/test/bench/row"
	"prumo.dev/prumo/test/fleet"
)

// changes is how often one file is changed.
const changes = 15

// validate measures the command on a folder of specs, and the renderer of a daemon
// when one file of them changes.
func validate(dir, bin string, specs int) ([]row.Row, error) {
	files := fleet.Mixed(specs)
	for name, text := range files {
		if err := write(dir, name, text); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command(bin, "validate", dir)
	start := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(start)
	if err != nil {
		return nil, fmt.Errorf("validate: %w\n%.1000s", err, out)
	}
	fmt.Fprintf(os.Stderr, "%s", out)
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	one, err := oneChanged(dir)
	if err != nil {
		return nil, err
	}
	measured := func(name string, value float64, unit string) row.Row {
		return row.Row{Case: "engine: validate, " + name, N: specs, Value: value, Unit: unit, OK: true}
	}
	return []row.Row{
		measured("cold", took.Seconds(), "s").Below(4, "< 4"),
		measured("cold", cpu.Seconds(), "s CPU"),
		measured("peak memory", float64(usage.Maxrss)*1024/1e6, "MB").Below(200, "< 200"),
		measured("one changed", float64(one.Microseconds())/1000, "ms").Below(50, "< 50"),
	}, nil
}

// oneChanged is how long a renderer takes that has seen all files but one, in the
// median.
func oneChanged(dir string) (time.Duration, error) {
	r, err := render.New(render.Options{})
	if err != nil {
		return 0, err
	}
	tree := core.Tree{FS: os.DirFS(dir)}
	if _, err := r.Render(context.Background(), tree); err != nil {
		return 0, err
	}
	const name = "datasets/d00000.yaml"
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return 0, err
	}
	var took []time.Duration
	for i := range changes {
		if err := write(dir, name, fmt.Sprintf("%s  description: version %d\n", text, i)); err != nil {
			return 0, err
		}
		start := time.Now()
		out, err := r.Render(context.Background(), tree)
		if err != nil || len(out.Problems) > 0 {
			return 0, fmt.Errorf("render with one file changed: %w%v", err, out.Problems)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

func write(dir, name, text string) error {
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text), 0o644)
}
