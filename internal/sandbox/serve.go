package sandbox

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"time"
)

// Exit codes of the child that mean something.
const (
	exitFailed = 1
	exitPanic  = 2 // of Go itself, also where a stack overflows
	exitMemory = 75
)

// maxStack bounds one goroutine of the child, in bytes: what recurses without end
// shall meet it before the limit of memory.
const maxStack = 64 << 20

// Serve is the child: it bounds itself as args say, those of Command, and runs serve
// on standard input and output. It returns the exit code.
func Serve(ctx context.Context, args []string, serve func(context.Context, io.Reader, io.Writer) error) int {
	if len(args) != 1 {
		fmt.Fprintln(os.Stderr, "want the limit of memory as the only argument")
		return exitFailed
	}
	memory, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		fmt.Fprintln(os.Stderr, "limit of memory:", err)
		return exitFailed
	}
	debug.SetGCPercent(200) // it ends soon, so memory may be spent instead of time
	debug.SetMemoryLimit(memory * 9 / 10)
	debug.SetMaxStack(maxStack)
	go watch(memory, os.Getppid())
	if err := serve(ctx, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	return 0
}

// watch ends the process when it holds more than limit bytes, since a limit of Go's
// alone only makes the collector work harder; and when nobody waits for it.
func watch(limit int64, parent int) {
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	for range time.Tick(20 * time.Millisecond) {
		metrics.Read(sample)
		if int64(sample[0].Value.Uint64()-sample[1].Value.Uint64()) > limit {
			os.Exit(exitMemory)
		}
		if os.Getppid() != parent {
			os.Exit(exitFailed)
		}
	}
}
