package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"prumo.dev/prumo/deploy"
	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/trust"
)

func newInstall() *cobra.Command {
	var opts deploy.Options
	var trustFile string
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Print the manifests that run the daemon in a cluster",
		Long: `Print the namespace, ServiceAccount, least-privilege RBAC, configuration and
Deployment of the daemon, to be read before they are applied.`,
		Example: `  reconciler install --repo https://git.example/lab/infra.git --trust trust.yaml \
    --image registry.example/prumo/reconciler@sha256:… | kubectl apply -f -`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVarP(&opts.Namespace, "namespace", "n", deploy.Namespace, "`namespace` to run in")
	f.StringVar(&opts.Image, "image", "", "`reference` of the image that `make image` wrote, where the nodes find it")
	f.StringVar(&opts.Instance, "instance", "", "`name` that marks the objects this daemon manages")
	f.StringVar(&opts.Repo, "repo", "", "`URL` of the infra repo")
	f.StringVar(&opts.Ref, "ref", "refs/heads/main", "branch that is obeyed, as a full `ref` name")
	f.StringVar(&trustFile, "trust", "", "trust anchor `file`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if trustFile != "" {
			data, err := config.ReadFile(trustFile)
			if err != nil {
				return fmt.Errorf("--trust: %w", err)
			}
			if _, problems := trust.ParseAnchor(trustFile, data); len(problems) > 0 {
				return tell(cmd, problems)
			}
			opts.Trust = data
		}
		text, err := deploy.Render(opts)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s", text)
		return err
	}
	return cmd
}
