package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"prumo.dev/prumo/internal/core"
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
		_, rendering, err := renderDir(cmd, dirArg(args))
		if err != nil {
			return err
		}
		if format.value == "json" {
			err = report.JSON(cmd.OutOrStdout(), fields(rendering.Objects))
		} else {
			err = printYAML(cmd.OutOrStdout(), rendering.Objects)
		}
		if err == nil && len(rendering.Problems) > 0 {
			err = tell(cmd, rendering.Problems)
		}
		return err
	}
	return cmd
}

// fields returns the objects as Kubernetes reads them.
func fields(objects []core.Object) []map[string]any {
	out := make([]map[string]any, len(objects))
	for i, o := range objects {
		out[i] = o.Fields
	}
	return out
}

// printYAML prints one document an object, each with the place it comes from.
func printYAML(w io.Writer, objects []core.Object) error {
	for _, o := range objects {
		text, err := yaml.Marshal(o.Fields)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", o.Pos, o.ID, err)
		}
		if _, err := fmt.Fprintf(w, "---\n# %s, %s\n%s", o.Spec, o.Pos, text); err != nil {
			return err
		}
	}
	return nil
}
