package sandbox

import (
	"context"
	"fmt"
	"strings"
)

// A Host starts children. The zero Host starts them as processes of this one.
type Host struct {
	// Socket is the Unix socket of an evaluator, which then starts them instead.
	Socket string

	// Require are the walls that a child must have, of those in Requirable.
	Require []string
}

// Names of the walls that a Host may require.
const (
	WallLandlock = "landlock"
	WallSeccomp  = "seccomp"
)

// Requirable are the walls that depend on the kernel, by name.
var Requirable = []string{WallLandlock, WallSeccomp}

// Start starts a child. An error is never the fault of what it will evaluate. An
// evaluator that does not answer is waited for, for half a minute.
func (h Host) Start(ctx context.Context, limits Limits) (*Child, error) {
	limits = limits.orDefaults()
	p, walls, err := h.start(ctx, limits.Memory)
	if err != nil {
		return nil, err
	}
	c := &Child{process: p, limits: limits, walls: walls, left: limits.Output}
	for _, name := range h.Require {
		if !walls.stand(name) {
			c.Close()
			return nil, fmt.Errorf("the wall %s is required around evaluation (evaluator.require) and does not stand: %s",
				name, strings.Join(walls.Lacks, "; "))
		}
	}
	return c, nil
}

func (h Host) start(ctx context.Context, memory int64) (process, Walls, error) {
	if h.Socket != "" {
		return dial(ctx, h.Socket)
	}
	return startLocal(ctx, memory)
}

// Probe starts a child, ends it, and returns the walls that stood around it.
func (h Host) Probe(ctx context.Context) (Walls, error) {
	c, err := h.Start(ctx, Limits{})
	if err != nil {
		return Walls{}, err
	}
	c.Close()
	return c.Walls(), nil
}

// Walls are what stands around a child, as it says before it reads anything.
type Walls struct {
	Landlock int      // version of the kernel's Landlock that holds it; 0: none
	Seccomp  bool     // a filter lets it make few system calls
	Memory   int64    // bytes that it may take on top of what it started with; 0: no limit
	Lacks    []string // what does not stand of these, and why, in words
}

// stand reports whether a wall stands.
func (w Walls) stand(name string) bool {
	return name == WallLandlock && w.Landlock > 0 || name == WallSeccomp && w.Seccomp
}
