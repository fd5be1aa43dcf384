package main

import (
	"errors"

	"github.com/spf13/cobra"

	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/sandbox"
)

const evaluatorHelp = `Evaluate CUE for a daemon that runs apart, such as in another container of its
pod. The daemon's configuration names the socket (evaluator.socket).

Each connection gets a child process of its own, three at a time, which reaches no
file, no network and no other process. This command needs no configuration, no
credentials and no files but the socket.`

// newEvaluator serves children on a socket.
func newEvaluator() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "evaluator --listen SOCKET",
		Short:   "Evaluate CUE for the daemon, apart from all that it may reach",
		Long:    evaluatorHelp,
		Example: `  reconciler evaluator --listen /run/prumo-evaluator/socket`,
		Args:    cobra.NoArgs,
	}
	socket := cmd.Flags().String("listen", "", "Unix `socket` to listen on")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *socket == "" {
			return errors.New("--listen is missing; the daemon's configuration names the same socket in evaluator.socket")
		}
		ln, err := sandbox.Listen(*socket)
		if err != nil {
			return err
		}
		log := newLogger(cmd, config.Log{Format: "json", Level: "info"})
		log.Info("evaluates", "socket", *socket)
		server := &sandbox.Server{Log: log}
		return server.Serve(cmd.Context(), ln)
	}
	return cmd
}
