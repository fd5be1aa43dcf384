package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/daemon"
	"prumo.dev/prumo/internal/reconcile"
	"prumo.dev/prumo/internal/report"
	"prumo.dev/prumo/internal/source"
)

func newPlan() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan [DIR | --repo URL --trust FILE | --config FILE]",
		Short: "Show what obeying a revision would change in the live cluster",
		Long: `Compare what an infra repo declares with the live cluster, field by field, with who
owns each differing field now. DIR is planned as it stands, whoever wrote it; a
repo is verified first. Nothing is changed.

With --pr the plan of a pull request is made once and put into its comment.

Exit code 0: nothing to do. 2: changes. 1: an error, a refusal, or problems.`,
		Example: `  reconciler plan examples/infra-repo
  reconciler plan --config /etc/prumo/config.yaml --revision 4f2a9c -o markdown
  reconciler plan --config /etc/prumo/config.yaml --pr 12`,
		Args: cobra.MaximumNArgs(1),
	}
	t := targetFlags(cmd)
	verboseFlag(cmd)
	t.revealFlag(cmd)
	cmd.Flags().StringVar(&t.revision, "revision", "", "`commit` to plan (default: the branch's tip)")
	pr := cmd.Flags().Int("pr", 0, "`number` of the pull request to plan; needs --config with a forge")
	format := outputFlag(cmd, "text", "markdown", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := t.check(args); err != nil {
			return err
		}
		cfg, err := t.load(cmd)
		if err != nil {
			return err
		}
		if *pr != 0 {
			return t.planPull(cmd, cfg, *pr)
		}
		tree, src, err := t.tree(cmd, args, cfg)
		if err != nil {
			return err
		}
		rec, err := daemon.Reconciler(cfg, asSource(src), t.options(cmd, args, cfg))
		if err != nil {
			return err
		}
		rep, err := rec.Plan(cmd.Context(), tree)
		if err != nil {
			return err
		}
		return printPlan(cmd, format.value, rep)
	}
	return cmd
}

// asSource keeps a nil source a nil interface.
func asSource(src *source.Source) reconcile.Source {
	if src == nil {
		return nil
	}
	return src
}

func printPlan(cmd *cobra.Command, format string, rep core.Report) error {
	out := cmd.OutOrStdout()
	var err error
	switch format {
	case "json":
		err = report.JSON(out, rep)
	case "markdown":
		if err = report.PlanMarkdown(out, *rep.Plan); err == nil && !rep.Drift.Empty() {
			err = report.DriftMarkdown(out, *rep.Drift)
		}
	default:
		err = planText(cmd, rep)
	}
	switch {
	case err != nil:
		return err
	case len(rep.Problems) > 0:
		return exitRefused
	case !rep.Plan.Empty() || !rep.Drift.Empty():
		return exitChanges
	}
	return nil
}

// planText tells the plan, and apart from it what had drifted before.
func planText(cmd *cobra.Command, rep core.Report) error {
	out := cmd.OutOrStdout()
	s := style(cmd, out)
	if len(rep.Problems) > 0 {
		if err := report.ProblemsText(cmd.ErrOrStderr(), rep.Problems, s); err != nil {
			return err
		}
	}
	if err := report.PlanText(out, *rep.Plan, s); err != nil || rep.Drift.Empty() {
		return err
	}
	if _, err := fmt.Fprintln(out); err != nil {
		return err
	}
	return report.DriftText(out, *rep.Drift, s)
}

// planPull plans one pull request and prints what its comment says.
func (t *target) planPull(cmd *cobra.Command, cfg *config.Config, number int) error {
	if t.reveal {
		return errors.New("--reveal and --pr: everybody who can read the pull request would see the values; plan the branch in a terminal instead")
	}
	if cfg.Forge == nil {
		return errors.New("--pr needs --config with a `forge` section")
	}
	src, err := t.source(cmd, cfg)
	if err != nil {
		return err
	}
	rec, err := daemon.Reconciler(cfg, src, t.options(cmd, nil, cfg))
	if err != nil {
		return err
	}
	accepted := src.Accepted()
	if accepted.Commit == "" {
		return errors.New("no revision was ever accepted, so there is nothing to compare a proposal with: run reconciler apply --config first")
	}
	tree, err := src.Tree(accepted)
	if err != nil {
		return err
	}
	inForce, err := rec.Compare(cmd.Context(), tree)
	if err != nil {
		return err
	}
	planner, err := daemon.Planner(cfg, src, rec, func() *core.InForce { return inForce })
	if err != nil {
		return err
	}
	pull, err := planner.Forge.Pull(cmd.Context(), number)
	if err != nil {
		return err
	}
	planned, err := planner.Plan(cmd.Context(), pull)
	if err == nil {
		err = planned.Fault
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), planned.Text)
	return err
}
