package main

import (
	"github.com/spf13/cobra"

	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/daemon"
	"prumo.dev/prumo/internal/report"
	"prumo.dev/prumo/internal/source"
)

func newDrift() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drift [DIR | --repo URL --trust FILE | --config FILE]",
		Short: "Show how the live cluster differs from what was agreed on, and who did it",
		Long: `Compare the live cluster with the last accepted revision (or with DIR): fields that
someone edited, objects that someone deleted, marks that were removed, machines
that are not what is declared. Nothing is changed.

Exit code 0: no drift. 2: drift. 1: an error.`,
		Example: `  reconciler drift --config /etc/prumo/config.yaml
  reconciler drift -o json examples/infra-repo`,
		Args: cobra.MaximumNArgs(1),
	}
	t := targetFlags(cmd)
	t.revealFlag(cmd)
	format := outputFlag(cmd, "text", "markdown", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := t.check(args); err != nil {
			return err
		}
		cfg, err := t.load(cmd)
		if err != nil {
			return err
		}
		tree, src, err := t.agreed(cmd, args, cfg)
		if err != nil {
			return err
		}
		rec, err := daemon.Reconciler(cfg, asSource(src), t.options(cmd, args, cfg))
		if err != nil {
			return err
		}
		rep, err := rec.Drift(cmd.Context(), tree)
		if err != nil {
			return err
		}
		return printDrift(cmd, format.value, rep)
	}
	return cmd
}

// agreed returns the directory, or the last accepted revision of the repo; where
// none was accepted yet, the branch's tip if it may be obeyed.
func (t *target) agreed(cmd *cobra.Command, args []string, cfg *config.Config) (core.Tree, *source.Source, error) {
	if t.fromRepo() {
		src, err := t.source(cmd, cfg)
		if err != nil {
			return core.Tree{}, nil, err
		}
		if rev := src.Accepted(); rev.Commit != "" {
			tree, err := src.Tree(rev)
			return tree, src, err
		}
	}
	return t.tree(cmd, args, cfg)
}

func printDrift(cmd *cobra.Command, format string, rep core.Report) error {
	out := cmd.OutOrStdout()
	var err error
	switch format {
	case "json":
		err = report.JSON(out, rep)
	case "markdown":
		err = report.DriftMarkdown(out, *rep.Drift)
	default:
		err = report.DriftText(out, *rep.Drift, style(cmd, out))
	}
	switch {
	case err != nil:
		return err
	case len(rep.Problems) > 0:
		return tell(cmd, rep.Problems)
	case !rep.Drift.Empty():
		return exitChanges
	}
	return nil
}
