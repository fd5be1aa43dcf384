package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/internal/render"
	"prumo.dev/prumo/internal/report"
)

func newValidate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate [DIR]",
		Short: "Check the specs, kinds and references of an infra repo, offline",
		Long: `Check every spec of the infra repo in DIR (default: the working directory): its
type, what it refers to, and what its kind demands of both. All mistakes are told
at once, as file:line:column, also for YAML. No network, no cluster.`,
		Example: `  reconciler validate
  reconciler validate examples/infra-repo
  reconciler validate -o github .        # annotations in a CI run
  reconciler validate -o sarif . > problems.sarif`,
		Args: cobra.MaximumNArgs(1),
	}
	format := outputFlag(cmd, "text", "json", "github", "sarif")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		tree, rendering, err := renderDir(cmd, dirArg(args))
		if err == nil {
			err = noteUnread(cmd, tree, rendering)
		}
		if err != nil {
			return err
		}
		if err := printProblems(cmd, format.value, rendering); err != nil {
			return err
		}
		if len(rendering.Problems) > 0 {
			return exitRefused
		}
		return nil
	}
	return cmd
}

func printProblems(cmd *cobra.Command, format string, r core.Rendering) error {
	out := cmd.OutOrStdout()
	switch format {
	case "json":
		return report.JSON(out, nonNil(r.Problems))
	case "github":
		return report.ProblemsGitHub(out, r.Problems)
	case "sarif":
		return report.ProblemsSARIF(out, r.Problems, version())
	}
	if len(r.Problems) == 0 {
		_, err := fmt.Fprintf(out, "%d specs are valid and render to %d objects\n", len(r.Specs), len(r.Objects))
		return err
	}
	return report.ProblemsText(out, r.Problems, style(cmd, out))
}

// nonNil makes no problems an empty list in JSON.
func nonNil(problems []core.Problem) []core.Problem {
	return append([]core.Problem{}, problems...)
}

// renderDir renders a directory that no commit vouches for.
func renderDir(cmd *cobra.Command, dir string) (tree core.Tree, r core.Rendering, err error) {
	collectLess()
	if tree, err = git.OpenDir(dir); err != nil {
		return tree, r, err
	}
	renderer, err := render.New(render.Options{})
	if err != nil {
		return tree, r, err
	}
	r, err = renderer.Render(cmd.Context(), tree)
	return tree, r, err
}
