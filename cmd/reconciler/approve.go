package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/daemon"
)

func newApprove() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "approve (--namespace NS --instance NAME | --config FILE) HASH",
		Short: "Approve what a plan holds, for the daemon to carry out",
		Long: `Let go on what the plan of this hash holds: deletions of protected kinds and of
datasets, mass deletions, replacements. The daemon shows hash and command with the
plan: in its log, in ` + "`reconciler status`" + `, in its reports, on pull requests. It
carries the plan out in its next pass, if it is still the very same, once. What of it
takes longer needs no other approval until this one ends.

Who may approve is whoever may write where the daemon remembers things: with
--namespace, the ConfigMap prumo-state-approval in the daemon's stateNamespace (the
API server decides, by RBAC); without stateNamespace, the stateDir on its machine. An
approval replaces the one before. Without a daemon, the next apply carries it out.`,
		Example: `  reconciler approve --namespace prumo-system --instance lab 7c1e…
  sudo -u prumo reconciler approve --config /etc/prumo/config.yaml --for 10m 7c1e…`,
		Args: cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	t := new(target)
	var namespace string
	f.StringVarP(&namespace, "namespace", "n", "", "`namespace` of the daemon's state (its stateNamespace)")
	f.StringVar(&t.instance, "instance", "", "`name` of the daemon's instance")
	f.StringVar(&t.config, "config", "", "the daemon's configuration `file`")
	f.StringVar(&t.kubeconfig, "kubeconfig", "", "kubeconfig `file` (default: as kubectl finds it)")
	f.StringVar(&t.context, "context", "", "kubeconfig context `name`")
	lasts := f.Duration("for", time.Hour, "how long the approval lasts")
	cmd.MarkFlagsMutuallyExclusive("config", "namespace")
	cmd.MarkFlagsMutuallyExclusive("config", "instance")
	cmd.MarkFlagsRequiredTogether("namespace", "instance")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg := &config.Config{Instance: t.instance, StateNamespace: namespace, Kubeconfig: t.kubeconfig, Context: t.context}
		switch {
		case t.config == "" && namespace == "":
			return errors.New("where is the daemon? Give --namespace and --instance, or --config: the plan shows the whole command")
		case t.config != "":
			var err error
			if cfg, err = t.load(cmd); err != nil {
				return err
			}
		}
		until, where, err := daemon.Approve(cmd.Context(), cfg, args[0], *lasts)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "approved until %s, in %s\nThe next pass carries it out if the plan is still this one; `reconciler status` tells.\n",
			until.Format(time.RFC3339), where)
		return err
	}
	return cmd
}
