package main

import (
	"log/slog"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/daemon"
)

// newLogger returns the program's logger, which writes to standard error as the
// configuration says. What libraries log by themselves goes there, too, in the same
// format: client-go's klog, and by slog's default Go's own package log (net/http).
// That is of the whole process: a command calls it before anything of it runs.
func newLogger(cmd *cobra.Command, cfg config.Log) *slog.Logger {
	log := daemon.Logger(cmd.ErrOrStderr(), cfg)
	klog.SetSlogLogger(log)
	slog.SetDefault(log)
	return log
}
