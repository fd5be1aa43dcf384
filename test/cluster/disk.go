package cluster

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

const gib = 1 << 30

// checkDisk fails if the disks that a build writes to have too little room for
// it. A build that fills the disk of a workstation hurts more than its own
// failure.
func checkDisk(ctx context.Context, goTool, dir string, missing []program) error {
	if len(missing) == 0 {
		return nil
	}
	out, err := exec.CommandContext(ctx, goTool, "env", "GOCACHE").Output()
	if err != nil {
		return fmt.Errorf("ask go for its build cache: %w", err)
	}
	var need float64
	for _, p := range missing {
		need += p.needGiB
	}
	for _, place := range []string{dir, strings.TrimSpace(string(out))} {
		free, err := freeGiB(place)
		if err != nil {
			continue // not there yet, or not a disk: the build says what is wrong
		}
		if free < need {
			return fmt.Errorf("the disk of %s has %.1f GiB free; building %d programs for the first time takes up to %.1f GiB: free %.1f GiB more",
				place, free, len(missing), need, need-free)
		}
	}
	return nil
}

func freeGiB(dir string) (float64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, err
	}
	return float64(fs.Bavail) * float64(fs.Bsize) / gib, nil
}
