package main

import (
	"github.com/spf13/cobra"

	"prumo.dev/prumo/internal/report"
)

func newRender() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "render [DIR]",
		Short: "Print the Kubernetes objects that an infra repo declares",
		Long: `Print the objects that the specs in DIR (default: the working directory) render to,
sorted and stable, so that two revisions can be compared with diff. Specs with
problems render nothing and make the command fail; the rest is still printed.`,
		Example: `  reconciler render examples/infra-repo
  reconciler render -o json . | jq '.[] | .kind' | sort | uniq -c`,
		Args: cobra.MaximumNArgs(1),
	}
	format := outputFlag(cmd, "yaml", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		rendering, err := renderDir(cmd, dirArg(args))
		if err != nil {
			return err
		}
		if format.value == "json" {
			err = report.ObjectsJSON(cmd.OutOrStdout(), rendering.Objects)
		} else {
			err = report.ObjectsYAML(cmd.OutOrStdout(), rendering.Objects)
		}
		if err == nil && len(rendering.Problems) > 0 {
			err = tell(cmd, rendering.Problems)
		}
		return err
	}
	return cmd
}
