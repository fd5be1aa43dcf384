package main

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/report"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "reconciler",
		Short: "Keep on-premise AI infrastructure true to a signed Git repository",
		Long: `Prumo's reconciler validates typed specs of nodes, GPU pools, datasets and ML tools,
obeys only commits that the right people signed, plans them against the live
cluster field by field, applies them, and says what has drifted and who did it.

Exit codes: 0 all is well, 1 an error or a refusal, 2 changes or drift found.`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRun: func(cmd *cobra.Command, _ []string) {
			newLogger(cmd, config.Log{}) // until a command reads another configuration
		},
	}
	root.AddCommand(
		newValidate(), newRender(), newVerify(), newPolicy(), newPlan(), newApply(), newApprove(), newDrift(),
		newRun(), newStatus(), newDemo(), newInstall(), newSchemas(), newEvaluator(), newEvaluate(),
	)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	explainMistyped(root)
	return root
}

// version is what the module was built as.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

// output is the value of -o.
type output struct {
	value   string
	allowed []string
}

// outputFlag adds -o with its allowed values; the first is the default.
func outputFlag(cmd *cobra.Command, allowed ...string) *output {
	o := &output{value: allowed[0], allowed: allowed}
	cmd.Flags().VarP(o, "output", "o", "output format: "+strings.Join(allowed, ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(allowed, cobra.ShellCompDirectiveNoFileComp))
	return o
}

// verboseFlag adds -v.
func verboseFlag(cmd *cobra.Command) {
	cmd.Flags().BoolP("verbose", "v", false, "show the fields of new objects, and each object that is not ready")
}

// String implements pflag.Value.
func (o *output) String() string { return o.value }

// Type implements pflag.Value.
func (o *output) Type() string { return "format" }

// Set implements pflag.Value.
func (o *output) Set(s string) error {
	if !slices.Contains(o.allowed, s) {
		return fmt.Errorf("want %s", strings.Join(o.allowed, ", "))
	}
	o.value = s
	return nil
}

// style is how text goes to w: coloured on a terminal unless NO_COLOR is set
// (no-color.org).
func style(cmd *cobra.Command, w io.Writer) report.Style {
	verbose, _ := cmd.Flags().GetBool("verbose") // absent where there is nothing more to say
	f, ok := w.(*os.File)
	color := ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return report.Style{Color: color, Now: time.Now(), Verbose: verbose}
}

// tell prints problems to standard error and returns the exit code for them.
func tell(cmd *cobra.Command, problems []core.Problem) error {
	if err := report.ProblemsText(cmd.ErrOrStderr(), problems, style(cmd, cmd.ErrOrStderr())); err != nil {
		return err
	}
	return exitRefused
}

// dirArg is the optional DIR argument; the working directory if absent.
func dirArg(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[0]
}
