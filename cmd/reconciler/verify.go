package main

import (
	"cmp"
	"context"
	"errors"

	"github.com/spf13/cobra"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/daemon"
	"prumo.dev/prumo/internal/report"
	"prumo.dev/prumo/internal/source"
)

func newVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify --trust FILE [--repo URL|PATH] [--from REV] [REV]",
		Short: "Say whether the commits of a history may be obeyed",
		Long: `Judge every commit from the introduction that the trust file names (or from --from)
up to REV (default: the branch's tip): who signed it, by which rule, and for a
refusal what was found, what was needed and how to fix it. Nothing is read from a
commit that was not judged.

The branch's tip is judged as the daemon would: where --config or --state-dir lead to
what it remembers, a rewritten branch and what was refused before are refused too. That
is only read. With REV or --from the policy alone decides.`,
		Example: `  reconciler verify --trust trust.yaml --repo https://git.example/lab/infra.git
  reconciler verify --trust trust.yaml --repo . --ref refs/heads/my-change
  reconciler verify --config /etc/prumo/config.yaml --from 4f2a9c 8be01d`,
		Args: cobra.MaximumNArgs(1),
	}
	t := repoFlags(cmd)
	from := cmd.Flags().String("from", "", "judge from this `revision` on, taken as accepted")
	format := outputFlag(cmd, "text", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !t.fromRepo() {
			return errors.New("no repo: give --repo and --trust, or --config")
		}
		cfg, err := t.load(cmd)
		if err != nil {
			return err
		}
		src, problems, err := daemon.Remembered(cfg)
		if err == nil && len(problems) > 0 {
			err = tell(cmd, problems)
		}
		if err != nil {
			return err
		}
		verdict, err := verify(cmd.Context(), src, *from, args)
		if err != nil {
			return err
		}
		return printVerdict(cmd, format.value, verdict)
	}
	return cmd
}

// verify judges the branch as it is, by what is remembered too, or any part of its
// history by the policy alone.
func verify(ctx context.Context, src *source.Source, from string, args []string) (v core.Verdict, err error) {
	torn := src.Look(ctx)
	tip, err := src.Tip(ctx)
	if err != nil {
		return v, err
	}
	if from != "" {
		if from, err = src.Resolve(ctx, from); err != nil {
			return v, err
		}
	}
	if len(args) == 1 {
		to, err := src.Resolve(ctx, args[0])
		if err != nil {
			return v, err
		}
		return src.Judge(ctx, from, to)
	}
	stale, err := src.Guard(ctx, tip)
	if err != nil {
		return v, err
	}
	if from != "" {
		v, err = src.Judge(ctx, from, tip)
	} else {
		v, err = src.JudgeTip(ctx, tip)
	}
	v.Refusal, v.Warnings = cmp.Or(v.Refusal, torn, stale), src.Warnings()
	return v, err
}

func printVerdict(cmd *cobra.Command, format string, v core.Verdict) error {
	out := cmd.OutOrStdout()
	var err error
	if format == "json" {
		err = report.JSON(out, v)
	} else {
		err = report.VerdictText(out, v, style(cmd, out))
	}
	if err == nil && v.Refusal != nil {
		err = exitRefused
	}
	return err
}

// refuse prints why a history is not obeyed and returns the exit code for it.
func refuse(cmd *cobra.Command, v core.Verdict) error {
	if err := report.VerdictText(cmd.ErrOrStderr(), v, style(cmd, cmd.ErrOrStderr())); err != nil {
		return err
	}
	return exitRefused
}
