package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/daemon"
	"prumo.dev/prumo/internal/report"
)

func newApply() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply [--repo URL --trust FILE | --config FILE | --allow-unsigned DIR]",
		Short: "Make the live cluster match a verified revision, once",
		Long: `Verify the branch, plan it, apply the plan and say what became of each object. The
same pass that the daemon runs, once. A plain directory has no signatures: it is
applied only with --allow-unsigned.

Deletions of protected kinds, mass deletions and replacements are held until the
plan that shows them is approved by its hash: beforehand (reconciler approve), or
with --approve, which carries out that plan and no other. Where the daemon runs only
the first works, for the state is its own.`,
		Example: `  reconciler apply --config /etc/prumo/config.yaml
  reconciler apply --config /etc/prumo/config.yaml --approve 7c1e…
  reconciler apply --allow-unsigned examples/infra-repo   # to try things out`,
		Args: cobra.MaximumNArgs(1),
	}
	t := targetFlags(cmd)
	verboseFlag(cmd)
	unsigned := cmd.Flags().Bool("allow-unsigned", false, "apply a directory that nobody signed")
	approve := cmd.Flags().String("approve", "", "carry out what a plan holds; the plan's `hash`")
	wait := cmd.Flags().Duration("wait", 0, "how long to wait for readiness, such as 2m")
	format := outputFlag(cmd, "text", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := t.check(args); err != nil {
			return err
		}
		if !t.fromRepo() && !*unsigned {
			return errors.New("a directory has no signatures; give --repo and --trust or --config, or say --allow-unsigned")
		}
		rep, err := t.apply(cmd, args, *approve, *wait)
		if rep.Plan == nil && rep.Result == nil && rep.Refused == nil {
			return err
		}
		return errors.Join(err, printApplied(cmd, format.value, rep))
	}
	return cmd
}

func (t *target) apply(cmd *cobra.Command, args []string, approve string, wait time.Duration) (core.Report, error) {
	cfg, err := t.load(cmd)
	if err != nil {
		return core.Report{}, err
	}
	opts := t.options(cmd, args, cfg)
	opts.Approved, opts.Wait = approve, wait
	if !t.fromRepo() {
		tree, _, err := t.tree(cmd, args, cfg)
		if err != nil {
			return core.Report{}, err
		}
		rec, err := daemon.Reconciler(cfg, nil, opts)
		if err != nil {
			return core.Report{}, err
		}
		return rec.Apply(cmd.Context(), tree)
	}
	unlock, err := daemon.Lock(cfg.StateDir)
	if errors.Is(err, daemon.ErrInUse) && approve != "" {
		err = fmt.Errorf("%w; to have that one carry the plan out: reconciler approve, as the plan shows", err)
	}
	if err != nil {
		return core.Report{}, err
	}
	defer unlock()
	src, problems, err := daemon.Obeyed(cfg)
	if err == nil && len(problems) > 0 {
		err = tell(cmd, problems)
	}
	if err != nil {
		return core.Report{}, err
	}
	rec, err := daemon.Reconciler(cfg, src, opts)
	if err != nil {
		return core.Report{}, err
	}
	return rec.Reconcile(cmd.Context())
}

func printApplied(cmd *cobra.Command, format string, rep core.Report) error {
	out := cmd.OutOrStdout()
	var err error
	if format == "json" {
		err = report.JSON(out, rep)
	} else {
		err = report.AppliedText(out, rep, style(cmd, out))
	}
	switch {
	case err != nil:
		return err
	case rep.Refused != nil, len(rep.Problems) > 0, len(rep.Errors) > 0:
		return exitRefused
	case rep.Result != nil && rep.Result.Count(core.StatusFailed)+rep.Result.Count(core.StatusBlocked) > 0:
		return exitRefused
	}
	return nil
}
