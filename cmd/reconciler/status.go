package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"prumo.dev/prumo/internal/config"
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
  kubectl -n prumo-system port-forward deploy/prumo 8080 & reconciler status -o json
  reconciler status --server https://prumo.lab.example --token-file status-token`,
		Args: cobra.NoArgs,
	}
	verboseFlag(cmd)
	server := cmd.Flags().String("server", "http://127.0.0.1:8080", "`URL` of the daemon")
	token := cmd.Flags().String("token-file", "", "`file` with the token that the daemon wants to be shown (statusTokenFile)")
	format := outputFlag(cmd, "text", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		rep, err := askStatus(cmd, *server, *token)
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

func askStatus(cmd *cobra.Command, server, tokenFile string) (core.Report, error) {
	if u, err := url.Parse(server); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return core.Report{}, fmt.Errorf("--server %s: want an address such as http://127.0.0.1:8080", server)
	}
	req, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, strings.TrimRight(server, "/")+"/api/v1/status", nil)
	if err == nil {
		err = showToken(req, tokenFile)
	}
	if err != nil {
		return core.Report{}, err
	}
	// Not to another host: a redirect would take the token along.
	client := &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return core.Report{}, fmt.Errorf("ask the daemon (is it running, and is --server its address?): %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxStatus))
	if err != nil {
		return core.Report{}, err
	}
	if resp.StatusCode != http.StatusOK {
		return core.Report{}, notOK(req.URL, resp.StatusCode, resp.Status, body)
	}
	var rep core.Report
	if err := json.Unmarshal(body, &rep); err != nil {
		return core.Report{}, fmt.Errorf("%s: is not a daemon's status: %w", req.URL, err)
	}
	return rep, nil
}

// notOK says why there is no report in an answer. Whoever sent it may be no daemon.
func notOK(asked *url.URL, code int, status string, body []byte) error {
	said, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	said = said[:min(200, len(said))]
	switch code {
	case http.StatusUnauthorized:
		return fmt.Errorf("%s: %s: the daemon wants to be shown a token: give --token-file", asked, status)
	case http.StatusServiceUnavailable:
		return fmt.Errorf("%s: %s: %s", asked, status, said)
	}
	return fmt.Errorf("%s: %s: %q is not what a daemon answers; is --server its address?", asked, status, said)
}

// showToken adds the token of a file to a request, unless others could read it on
// the way.
func showToken(req *http.Request, file string) error {
	if file == "" {
		return nil
	}
	host := req.URL.Hostname()
	if ip := net.ParseIP(host); req.URL.Scheme != "https" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("--token-file: the token would go to %s over plain http; use https, or kubectl port-forward", req.URL.Host)
	}
	token, err := config.ReadSecret(file)
	if err != nil {
		return fmt.Errorf("--token-file: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return nil
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
