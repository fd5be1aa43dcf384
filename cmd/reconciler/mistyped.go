package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// explainMistyped has every command say what it wants where it is mistyped.
func explainMistyped(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w%s; see `%s --help`", err, nearFlag(cmd, err), cmd.CommandPath())
	})
	if cmd.HasSubCommands() {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return unknown(cmd, args[0])
		}
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	} else if cmd.Name() == "help" {
		cmd.Args = aCommand
	} else if wanted := cmd.Args; wanted != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := wanted(cmd, args); err != nil {
				return fmt.Errorf("%w; usage: %s", err, cmd.UseLine())
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		explainMistyped(sub)
	}
}

// aCommand refuses to help about what is no command.
func aCommand(cmd *cobra.Command, args []string) error {
	about, rest, err := cmd.Root().Find(args)
	if err == nil && len(rest) > 0 && about.HasSubCommands() {
		return unknown(about, rest[0])
	}
	return err
}

func unknown(cmd *cobra.Command, name string) error {
	return fmt.Errorf("unknown command %q for %q%s; see `%s --help`", name, cmd.CommandPath(), meant(cmd, name, ""), cmd.CommandPath())
}

// nearFlag names the flags that somebody may have meant.
func nearFlag(cmd *cobra.Command, err error) string {
	unknown := (*pflag.NotExistError)(nil)
	if !errors.As(err, &unknown) {
		return ""
	}
	flags := new(cobra.Command) // it knows how to look for what is spelled alike
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		flags.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
	})
	return meant(flags, unknown.GetSpecifiedName(), "--")
}

func meant(cmd *cobra.Command, name, prefix string) string {
	if cmd.SuggestionsMinimumDistance == 0 {
		cmd.SuggestionsMinimumDistance = 2
	}
	near := cmd.SuggestionsFor(name)
	if len(near) == 0 {
		return ""
	}
	return " (did you mean " + prefix + strings.Join(near, " or "+prefix) + "?)"
}
