package main

import (
	"github.com/spf13/cobra"

	"prumo.dev/prumo/internal/render"
	"prumo.dev/prumo/internal/sandbox"
)

// newEvaluate is the child in which the daemon evaluates CUE.
func newEvaluate() *cobra.Command {
	return &cobra.Command{
		Use:    sandbox.Command,
		Hidden: true,
		Args:   cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if code := sandbox.Serve(cmd.Context(), args, render.Serve); code != 0 {
				return exitCode(code)
			}
			return nil
		},
	}
}
