package main

import (
	"github.com/spf13/cobra"

	"prumo.dev/prumo/internal/render"
	"prumo.dev/prumo/internal/sandbox"
)

// newSandboxed is the child that evaluates what nobody trusts yet.
func newSandboxed() *cobra.Command {
	return &cobra.Command{
		Use:    sandbox.Command,
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			renderer, err := render.New(render.Options{})
			if err != nil {
				return err
			}
			if code := sandbox.Serve(cmd.Context(), renderer.Render); code != 0 {
				return exitCode(code)
			}
			return nil
		},
	}
}
