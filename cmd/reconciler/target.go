package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/daemon"
	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/internal/report"
	"prumo.dev/prumo/internal/source"
)

// A target is what a command works on: an infra repo, from the daemon's
// configuration or from flags or a plain directory, and a cluster.
type target struct {
	config              string
	repo, ref, trust    string
	stateDir, revision  string
	kubeconfig, context string
	instance            string
	reveal              bool
}

// targetFlags adds the flags that name a repo.
func repoFlags(cmd *cobra.Command) *target {
	t := new(target)
	f := cmd.Flags()
	f.StringVar(&t.config, "config", "", "the daemon's configuration `file`: repo, trust, state and cluster in one")
	f.StringVar(&t.repo, "repo", "", "`URL` or path of the infra repo, if there is no --config")
	f.StringVar(&t.ref, "ref", "refs/heads/main", "branch that is obeyed, as a full `ref` name")
	f.StringVar(&t.trust, "trust", "", "trust anchor `file`: who is obeyed, from which commit on")
	f.StringVar(&t.stateDir, "state-dir", "", "`folder` for fetched objects (default: in the user's cache)")
	cmd.MarkFlagsMutuallyExclusive("config", "repo")
	cmd.MarkFlagsRequiredTogether("repo", "trust")
	return t
}

// targetFlags adds the flags that name a repo and a cluster.
func targetFlags(cmd *cobra.Command) *target {
	t := repoFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&t.kubeconfig, "kubeconfig", "", "kubeconfig `file` (default: as kubectl finds it)")
	f.StringVar(&t.context, "context", "", "kubeconfig context `name`")
	f.StringVar(&t.instance, "instance", "prumo", "`name` that marks the objects this reconciler manages, if there is no --config")
	return t
}

// load returns the configuration that --config names or the flags make up.
func (t *target) load(cmd *cobra.Command) (*config.Config, error) {
	if t.config == "" {
		return t.fromFlags()
	}
	cfg, problems, err := config.Load(t.config)
	if err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		return nil, tell(cmd, problems)
	}
	if t.kubeconfig != "" {
		cfg.Kubeconfig = t.kubeconfig
	}
	if t.context != "" {
		cfg.Context = t.context
	}
	return cfg, nil
}

func (t *target) fromFlags() (*config.Config, error) {
	cfg := &config.Config{
		Instance: t.instance, TrustFile: t.trust, StateDir: t.stateDir,
		Kubeconfig: t.kubeconfig, Context: t.context,
		Repo:     config.Repo{URL: t.repo, Ref: t.ref},
		Deletion: config.DefaultDeletion,
	}
	if cfg.StateDir == "" && t.repo != "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("no cache folder, set --state-dir: %w", err)
		}
		id := sha256.Sum256([]byte(t.repo + "\x00" + t.ref))
		cfg.StateDir = filepath.Join(cache, "prumo", "repos", fmt.Sprintf("%x", id[:8]))
	}
	return cfg, nil
}

// fromRepo reports whether the target is a repo rather than a plain directory.
func (t *target) fromRepo() bool { return t.config != "" || t.repo != "" }

// check refuses a directory and a repo at once, and a commit of neither.
func (t *target) check(args []string) error {
	switch {
	case t.fromRepo() && len(args) > 0:
		return fmt.Errorf("directory %s and a repo: give one of them", args[0])
	case !t.fromRepo() && t.revision != "":
		return errors.New("--revision is a commit of a repo: give --repo and --trust, or --config")
	}
	return nil
}

// source opens the repo.
func (t *target) source(cmd *cobra.Command, cfg *config.Config) (*source.Source, error) {
	src, problems, err := daemon.Source(cfg)
	if err == nil && len(problems) > 0 {
		err = tell(cmd, problems)
	}
	return src, err
}

// tree returns the tree to work on: the directory, or the verified revision that
// --revision names, by default the branch's tip. A refused one ends the command.
func (t *target) tree(cmd *cobra.Command, args []string, cfg *config.Config) (core.Tree, *source.Source, error) {
	if !t.fromRepo() {
		tree, err := git.OpenDir(dirArg(args))
		return tree, nil, err
	}
	src, err := t.source(cmd, cfg)
	if err != nil {
		return core.Tree{}, nil, err
	}
	rev, verdict, err := src.Find(cmd.Context(), t.revision)
	if err != nil {
		return core.Tree{}, nil, err
	}
	if verdict.Refusal != nil {
		return core.Tree{}, nil, refuse(cmd, verdict)
	}
	tree, err := src.Tree(rev)
	return tree, src, err
}

// options are those of a pass by a command: what goes wrong beside it is logged to
// standard error, and what it holds is approved by the command that is named here.
func (t *target) options(cmd *cobra.Command, args []string, cfg *config.Config) daemon.Options {
	return daemon.Options{Log: newLogger(cmd, cfg.Log), Approve: t.approveCommand(cmd, args), Reveal: t.reveal}
}

// revealFlag adds the flag that shows more of what may be secret.
func (t *target) revealFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&t.reveal, "reveal", false, "show values that are hidden because they may hold secrets: environment, arguments, "+
		"config files, custom resources; never the data of Secrets")
}

// approveCommand is the command that carries out a plan with what it holds, but for
// its hash; empty where the configuration says where to approve.
func (t *target) approveCommand(cmd *cobra.Command, args []string) string {
	words := []string{"reconciler", "apply"}
	switch {
	case t.config != "":
		return ""
	case !t.fromRepo():
		words = append(words, "--allow-unsigned", dirArg(args))
	}
	for _, name := range []string{"repo", "ref", "trust", "state-dir", "instance", "kubeconfig", "context"} {
		if flag := cmd.Flags().Lookup(name); flag.Changed {
			words = append(words, "--"+name, flag.Value.String())
		}
	}
	return report.Command(append(words, "--approve")...)
}
