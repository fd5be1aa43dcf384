package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"prumo.dev/prumo/internal/render"
)

func newSchemas() *cobra.Command {
	return &cobra.Command{
		Use:   "schemas [DIR]",
		Short: "Put the built-in kinds where the stock cue tool and editors find them",
		Long: `Write the CUE module prumo.dev/schemas, as this program embeds it, below DIR/cue.mod
(default: the working directory), so that the stock cue tool and editors resolve
"prumo.dev/schemas" without a registry. The reconciler itself does not read these
files: it always uses its own.`,
		Example: `  reconciler schemas && cue vet -c=false ./pools`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := render.Vendor()
			if err != nil {
				return err
			}
			dir := dirArg(args)
			if _, err := os.Stat(filepath.Join(dir, "cue.mod", "module.cue")); err != nil {
				return fmt.Errorf("%s is not an infra repo: %w", dir, err)
			}
			for name, data := range files {
				file := filepath.Join(dir, filepath.FromSlash(name))
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					return err
				}
				if err := os.WriteFile(file, data, 0o644); err != nil {
					return err
				}
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "wrote %d files below %s\n", len(files), filepath.Join(dir, "cue.mod"))
			return err
		},
	}
}
