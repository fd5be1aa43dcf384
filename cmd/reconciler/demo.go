package main

import (
	"github.com/spf13/cobra"

	"prumo.dev/prumo/internal/demo"
)

func newDemo() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Tell the whole story on a real local control plane",
		Long: `Start a Kubernetes control plane on this machine, push a signed infra repo, verify,
validate, plan and apply it, damage it by hand, show the drift and correct it,
refuse an unsigned commit, and plan a pull request. Nothing is left behind.

The control plane's binaries are built from source once, in a clone of the project.`,
		Example: `  reconciler demo
  reconciler demo --keep`,
		Args: cobra.NoArgs,
	}
	keep := cmd.Flags().Bool("keep", false, "leave the cluster up until Ctrl-C")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		out := cmd.OutOrStdout()
		return demo.Run(cmd.Context(), demo.Options{Out: out, Color: style(cmd, out).Color, Keep: *keep})
	}
	return cmd
}
