package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/internal/report"
	"prumo.dev/prumo/internal/trust"
)

func newPolicy() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Check, explain and begin the policy of who may change what",
		Long: `The policy of an infra repo, .prumo/policy.yaml, says who may sign changes of which
paths. These commands help to write and to understand one; docs/trust.md has the rest.`,
		Example: `  reconciler policy init --name ana --key ~/.ssh/id_ed25519.pub
  reconciler policy check
  reconciler policy explain datasets/chest-xray.yaml`,
	}
	cmd.AddCommand(newPolicyCheck(), newPolicyExplain(), newPolicyInit())
	return cmd
}

func newPolicyCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [DIR]",
		Short: "Check the policy in a directory, and warn of what was hardly meant",
		Long: `Read .prumo/policy.yaml in DIR (default: the working directory) as strictly as a
commit of it would be. Mistakes are told as file:line:column, all at once. A policy
without mistakes is looked at once more, for principals, groups and rules without any
effect, files that nobody may change, and keys that expire within 30 days: these are
warnings, and leave the exit code 0.`,
		Example: `  reconciler policy check
  reconciler policy check -o json examples/infra-repo`,
		Args: cobra.MaximumNArgs(1),
	}
	format := outputFlag(cmd, "text", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		tree, data, err := readPolicy(dirArg(args))
		if err != nil {
			return err
		}
		policy, problems := trust.ParsePolicy(trust.PolicyPath, data)
		var warnings []core.Problem
		if policy != nil {
			files, err := listFiles(tree)
			if err != nil {
				return err
			}
			warnings = trust.LintPolicy(trust.PolicyPath, data, files, time.Now())
		}
		return printCheck(cmd, format.value, policy, problems, warnings)
	}
	return cmd
}

func printCheck(cmd *cobra.Command, format string, policy *trust.Policy, problems, warnings []core.Problem) error {
	out := cmd.OutOrStdout()
	var err error
	switch {
	case format == "json":
		err = report.JSON(out, struct {
			Problems []core.Problem `json:"problems"`
			Warnings []core.Problem `json:"warnings"`
		}{nonNil(problems), nonNil(warnings)})
	case policy == nil:
		err = report.ProblemsText(out, problems, style(cmd, out))
	default:
		for i := range warnings {
			warnings[i].Msg = "warning: " + warnings[i].Msg
		}
		if err = report.ProblemsText(out, warnings, style(cmd, out)); err == nil {
			_, err = fmt.Fprintf(out, "%s version %d is valid; %d warnings\n", trust.PolicyPath, policy.Version, len(warnings))
		}
	}
	if err == nil && len(problems) > 0 {
		err = exitRefused
	}
	return err
}

func newPolicyExplain() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain PATH",
		Short: "Say who may change a path, and what a commit still lacks",
		Long: `Say which rules speak of PATH and who must sign a change of it: by the policy in the
working directory, or, with --repo and --trust or --config, by the one that is in force.
With --commit, by the policies that judge that commit (those of its parents); then also
who stands for it, and what is still missing. Exit code 1: the commit may not be obeyed.`,
		Example: `  reconciler policy explain pools/training.cue
  reconciler policy explain --repo . --trust trust.yaml .prumo/policy.yaml
  reconciler policy explain --repo . --trust trust.yaml --ref refs/heads/my-change --commit 8be01d2 tools/a.yaml`,
		Args: cobra.ExactArgs(1),
	}
	t := repoFlags(cmd)
	commit := cmd.Flags().String("commit", "", "say what this `revision` has and lacks")
	format := outputFlag(cmd, "text", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path, err := trust.CleanPath(args[0])
		if err != nil {
			return fmt.Errorf("path %q: %w", args[0], err)
		}
		var e core.Explanation
		switch {
		case t.fromRepo():
			e, err = t.explain(cmd, path, *commit)
		case *commit != "":
			err = errors.New("no repo for --commit: give --repo and --trust, or --config")
		default:
			e, err = explainDir(cmd, path)
		}
		if err != nil {
			return err
		}
		return printExplanation(cmd, format.value, e)
	}
	return cmd
}

func (t *target) explain(cmd *cobra.Command, path, commit string) (core.Explanation, error) {
	cfg, err := t.load(cmd)
	if err != nil {
		return core.Explanation{}, err
	}
	src, err := t.source(cmd, cfg)
	if err != nil {
		return core.Explanation{}, err
	}
	e, verdict, err := src.Explain(cmd.Context(), path, commit)
	if err == nil && verdict.Refusal != nil {
		err = refuse(cmd, verdict)
	}
	return e, err
}

func explainDir(cmd *cobra.Command, path string) (core.Explanation, error) {
	_, data, err := readPolicy(".")
	if err != nil {
		return core.Explanation{}, err
	}
	policy, problems := trust.ParsePolicy(trust.PolicyPath, data)
	if policy == nil {
		return core.Explanation{}, tell(cmd, problems)
	}
	return policy.Explain(path, nil), nil
}

func printExplanation(cmd *cobra.Command, format string, e core.Explanation) error {
	out := cmd.OutOrStdout()
	var err error
	if format == "json" {
		err = report.JSON(out, e)
	} else {
		err = report.ExplanationText(out, e, style(cmd, out))
	}
	if err == nil && e.Commit != nil && e.Commit.Refusal != nil {
		err = exitRefused
	}
	return err
}

func newPolicyInit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init [DIR] --name NAME --key FILE.pub",
		Short: "Write a first policy, and print the trust file that goes with it",
		Long: `Write a commented .prumo/policy.yaml into DIR (default: the working directory) in
which one person may change everything, and print what to type next: the commit that
everything begins with, and the trust file. A policy that is there is never overwritten.`,
		Example: `  reconciler policy init --name ana --key ~/.ssh/id_ed25519.pub`,
		Args:    cobra.MaximumNArgs(1),
	}
	name := cmd.Flags().String("name", "", "`name` of the first principal")
	key := cmd.Flags().String("key", "", "`file` with their SSH public key")
	for _, f := range []string{"name", "key"} {
		_ = cmd.MarkFlagRequired(f)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		public, err := os.ReadFile(*key)
		if err != nil {
			return err
		}
		policy, anchor, err := trust.Starter(*name, string(public))
		if err != nil {
			return fmt.Errorf("%s: %w", *key, err)
		}
		path, err := trust.WriteStarter(dirArg(args), policy)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), `# %s is written. Read it, and commit it, signed. Then write the trust
# file; it stays outside of the repo, with whoever runs the reconciler:
cat > ../trust.yaml <<END
%sEND
`, filepath.ToSlash(path), anchor)
		return err
	}
	return cmd
}

// readPolicy reads the policy of a directory under the rules for a commit of it.
func readPolicy(dir string) (core.Tree, []byte, error) {
	tree, err := git.OpenDir(dir)
	if err != nil {
		return tree, nil, err
	}
	data, err := fs.ReadFile(tree.FS, trust.PolicyPath)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s has no %s; `reconciler policy init` writes a first one", dir, trust.PolicyPath)
	}
	return tree, data, err
}

// listFiles returns the paths of all files of a tree.
func listFiles(tree core.Tree) ([]string, error) {
	var files []string
	err := fs.WalkDir(tree.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	return files, err
}
