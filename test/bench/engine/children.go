package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// children notes the most memory that the child processes of a daemon held at once,
// in MB, but for the file of the program, which they share with it.
type children struct{ peak atomic.Uint64 }

// watch looks at the children of a process every 20 ms, until it ends.
func (c *children) watch(pid int) {
	for range time.Tick(20 * time.Millisecond) {
		lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
		if err != nil || len(lists) == 0 {
			return
		}
		sum := uint64(0)
		for _, list := range lists {
			text, _ := os.ReadFile(list) // a thread may be gone
			for child := range strings.FieldsSeq(string(text)) {
				sum += anonymous(child)
			}
		}
		if sum > c.peak.Load() {
			c.peak.Store(sum)
		}
	}
}

func (c *children) megabytes() float64 { return float64(c.peak.Load()) / 1e6 }

// anonymous is the memory of a process that lies in no file, in bytes; 0 if it is gone.
func anonymous(pid string) uint64 {
	text, _ := os.ReadFile("/proc/" + pid + "/status")
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kib, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib * 1024
		}
	}
	return 0
}
