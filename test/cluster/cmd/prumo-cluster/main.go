// Command prumo-cluster builds and runs the control plane of the tests, for
// developers.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"prumo.dev/prumo/test/cluster"
)

const usage = `Usage: prumo-cluster build   build the programs that are missing
       prumo-cluster start   start a cluster, print its kubeconfig, wait for Ctrl-C
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "prumo-cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	opts := cluster.Options{Workloads: true, Log: func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, format+"\n", args...)
	}}
	switch {
	case len(args) == 1 && args[0] == "build":
		dir, err := cluster.Ensure(ctx, opts)
		if err == nil {
			fmt.Println(dir)
		}
		return err
	case len(args) == 1 && args[0] == "start":
		return start(ctx, opts)
	case len(args) == 1 && (args[0] == "help" || args[0] == "-h" || args[0] == "--help"):
		fmt.Print(usage)
		return nil
	}
	return fmt.Errorf("want one command\n%s", usage)
}

func start(ctx context.Context, opts cluster.Options) error {
	begin := time.Now()
	c, err := cluster.Start(ctx, opts)
	if err != nil {
		return err
	}
	opts.Log("ready in %s; Ctrl-C stops it. Try:", time.Since(begin).Round(100*time.Millisecond))
	opts.Log("  export KUBECONFIG=%s", c.Kubeconfig())
	fmt.Println(c.Kubeconfig())
	<-ctx.Done()
	return c.Stop()
}
