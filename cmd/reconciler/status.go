package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/report"
)

// maxStatus bounds what a daemon may answer, in bytes.
const maxStatus = 64 << 20

func newStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [--server URL]",
		Short: "Show what the daemon knows: revision, drift, blocked objects, last errors",
		Long: `Ask a running daemon for its last report.

Exit code 0: all is as agreed on. 2: drift, changes, blocked or held objects, a
refused revision, problems in the repo or warnings. 1: the daemon failed or cannot be asked.`,
		Example: `  reconciler status
  kubectl -n prumo-system port-forward deploy/prumo 8080 & reconciler status -o json`,
		Args: cobra.NoArgs,
	}
	verboseFlag(cmd)
	server := cmd.Flags().String("server", "http://127.0.0.1:8080", "`URL` of the daemon")
	format := outputFlag(cmd, "text", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		rep, err := askStatus(cmd, *server)
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if format.value == "json" {
			err = report.JSON(out, rep)
		} else {
			err = report.ReportText(out, rep, style(cmd, out))
		}
		if err != nil {
			return err
		}
		return statusCode(rep)
	}
	return cmd
}

func askStatus(cmd *cobra.Command, server string) (core.Report, error) {
	req, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, strings.TrimRight(server, "/")+"/api/v1/status", nil)
	if err != nil {
		return core.Report{}, err
	}
	resp, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		return core.Report{}, fmt.Errorf("ask the daemon (is it running, and is --server its address?): %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxStatus))
	if err != nil {
		return core.Report{}, err
	}
	if resp.StatusCode != http.StatusOK {
		return core.Report{}, fmt.Errorf("%s: %s: %s", req.URL, resp.Status, strings.TrimSpace(string(body[:min(200, len(body))])))
	}
	var rep core.Report
	if err := json.Unmarshal(body, &rep); err != nil {
		return core.Report{}, fmt.Errorf("%s: is not a daemon's status: %w", req.URL, err)
	}
	return rep, nil
}

func statusCode(rep core.Report) error {
	switch {
	case len(rep.Errors) > 0:
		return exitRefused
	case rep.Refused != nil, len(rep.Problems) > 0, len(rep.Warnings) > 0,
		rep.Plan != nil && !rep.Plan.Empty(), rep.Drift != nil && !rep.Drift.Empty():
		return exitChanges
	}
	return nil
}
