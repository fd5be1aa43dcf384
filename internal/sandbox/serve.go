package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
)

// Exit codes of the child that mean something.
const (
	exitFailed = 1
	exitPanic  = 2 // of Go itself, also where a stack overflows or memory ends
)

// maxStack bounds one goroutine of the child, in bytes: what recurses without end
// shall meet it before the limit of memory.
const maxStack = 64 << 20

// Serve is the child: it raises its walls as args say, those of Command, tells its
// parent which stand, and runs serve on standard input and output. It returns the
// exit code.
func Serve(ctx context.Context, args []string, serve func(context.Context, io.Reader, io.Writer) error) int {
	if err := enclosed(ctx, args, serve); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	return 0
}

func enclosed(ctx context.Context, args []string, serve func(context.Context, io.Reader, io.Writer) error) error {
	if len(args) != 1 {
		return fmt.Errorf("%d arguments, want the limit of memory as the only one", len(args))
	}
	memory, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return fmt.Errorf("limit of memory: %w", err)
	}
	runtime.GOMAXPROCS(1)   // there are others on this machine
	debug.SetGCPercent(200) // it ends soon, so memory may be spent instead of time
	debug.SetMemoryLimit(memory * 9 / 10)
	debug.SetMaxStack(maxStack)
	walls, err := raise(memory)
	if err != nil {
		return fmt.Errorf("raise the walls around evaluation: %w", err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(walls); err != nil {
		return fmt.Errorf("tell of the walls: %w", err)
	}
	return serve(ctx, os.Stdin, os.Stdout)
}
