package main

import (
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/daemon"
)

// runHelp shows the configuration file with all its keys.
const runHelp = `Poll the infra repo, obey what may be obeyed, keep the cluster true to it, and
write a drift report after each pass. Answers on /metrics, /healthz, /readyz and
/api/v1/status. SIGTERM ends it within the grace period; removing it removes
nothing from the cluster.

The configuration file, with all keys:

  apiVersion: prumo.dev/v1alpha1
  kind: ReconcilerConfig
  instance: lab                   # marks the objects that this daemon manages
  repo:
    url: https://git.example/lab/infra.git   # https, ssh, file or a path
    ref: refs/heads/main
    auth:
      username: git
      passwordFile: token         # https: password or token
      sshKeyFile: id_ed25519      # ssh
      knownHostsFile: known_hosts
      caFile: ca.pem              # the house's own certificate authority
    storeMiB: 768                 # what the fetched objects may take in stateDir; the volume: three times that
  trustFile: trust.yaml           # who is obeyed, from which commit on
  stateDir: /var/lib/prumo
  stateNamespace: prumo-system    # optional: what must outlive the disk, in ConfigMaps too
  kubeconfig: ""                  # default: as kubectl finds it, or in-cluster
  context: ""
  interval: 30s                   # between two looks at the repo; the cluster is watched
  verify: 30m                     # how long what the watches told is believed, about
  grace: 20s
  drift:
    debounce: 3m                  # how long hardware must differ before that is drift
    history: 200                  # how many drifts are remembered
  deletion:                       # more than both of these waits for an approval
    max: 5                        # objects
    share: 0.1                    # of all that are managed
  listen: "127.0.0.1:8080"        # :8080 is all networks, as a pod needs
  statusTokenFile: status-token   # optional: who asks for /api/v1/status must show it
  metricsTokenFile: metrics-token # optional: a Prometheus must show it (authorization.credentials_file)
  log: {format: text, level: info}
  report:
    json: /var/lib/prumo-reports/report.json
    markdown: /var/lib/prumo-reports/report.md
  forge:                          # optional: plans as comments on pull requests
    type: github                  # GitHub, Gitea, Forgejo
    url: https://git.example/api/v1
    repo: lab/infra
    tokenFile: forge-token
    caFile: ca.pem
    status: true
  images:                         # optional: for policies that verify images
    sigstoreRoot: trusted_root.json   # keyless signatures and transparency logs
    registries:                   # those with credentials or a CA of their own
      - host: registry.lab.example
        username: robot
        passwordFile: registry-password
        caFile: ca.pem
      - host: mirror.lab.example:5000
        dockerConfigFile: config.json
  evaluator:                      # optional: where CUE is evaluated, and behind what walls
    socket: evaluator.sock        # of a reconciler evaluator; default: a child process
    require: [landlock, seccomp]  # without these the daemon does not start; default: it warns

Relative file names are relative to the configuration file.`

func newRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "run --config FILE",
		Short:   "Run the daemon: poll, verify, plan, apply, correct drift, report",
		Long:    runHelp,
		Example: `  reconciler run --config /etc/prumo/config.yaml`,
		Args:    cobra.NoArgs,
	}
	file := cmd.Flags().String("config", "", "configuration `file`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *file == "" {
			return errors.New("--config is missing; `reconciler run --help` shows an example of the file")
		}
		cfg, problems, err := config.Load(*file)
		if err != nil {
			return err
		}
		if len(problems) > 0 {
			return tell(cmd, problems)
		}
		if cfg.File, err = filepath.Abs(*file); err != nil { // it is told to people who are elsewhere
			return err
		}
		problems, err = daemon.Run(cmd.Context(), cfg, newLogger(cmd, cfg.Log))
		if err == nil && len(problems) > 0 {
			err = tell(cmd, problems)
		}
		return err
	}
	return cmd
}
