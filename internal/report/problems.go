package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"prumo.dev/prumo/internal/core"
)

// ProblemsText writes one line a problem: file:line:col: message.
func ProblemsText(w io.Writer, problems []core.Problem, s Style) error {
	p := printer{Style: s}
	p.problemsText(problems)
	return p.flush(w)
}

func (p *printer) problemsText(problems []core.Problem) {
	for _, x := range problems {
		p.line("%s %s", p.paint(bold, oneLine(x.Pos.String())+":"), oneLine(x.Msg))
		if x.Detail != "" {
			p.line("    %s", p.paint(dim, oneLine(x.Detail)))
		}
	}
}

// ProblemsGitHub writes workflow commands, which GitHub and Gitea Actions turn
// into annotations of the changed lines.
func ProblemsGitHub(w io.Writer, problems []core.Problem) error {
	var p printer
	for _, x := range problems {
		var at []string
		if x.Pos.File != "" {
			at = append(at, "file="+workflowProperty(x.Pos.File))
		}
		if x.Pos.Line > 0 {
			at = append(at, fmt.Sprintf("line=%d", x.Pos.Line))
		}
		if x.Pos.Col > 0 {
			at = append(at, fmt.Sprintf("col=%d", x.Pos.Col))
		}
		p.line("::%s::%s", strings.TrimSpace("error "+strings.Join(at, ",")), workflowData(x.Msg))
	}
	return p.flush(w)
}

// workflowData escapes the message of a workflow command, workflowProperty a
// parameter (actions/toolkit, packages/core/src/command.ts).
func workflowData(s string) string {
	return oneLine(strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s))
}

func workflowProperty(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(workflowData(s))
}

// ProblemsSARIF writes a SARIF 2.1.0 log, which code scanning tools read.
func ProblemsSARIF(w io.Writer, problems []core.Problem, version string) error {
	run := sarifRun{Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "prumo", Version: version, Rules: []sarifRule{}}
	for _, x := range problems {
		id := "prumo/" + string(x.Stage)
		if !slices.ContainsFunc(run.Tool.Driver.Rules, func(r sarifRule) bool { return r.ID == id }) {
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{id, sarifText{"A mistake found in the step " + string(x.Stage)}})
		}
		r := sarifResult{RuleID: id, Level: "error", Message: sarifText{oneLine(x.Msg)}}
		if x.Pos.File != "" {
			r.Locations = []sarifLocation{{sarifPlace{
				Artifact: sarifArtifact{escapeURI(x.Pos.File), "%SRCROOT%"},
				Region:   sarifRegionOf(x.Pos),
			}}}
		}
		run.Results = append(run.Results, r)
	}
	return JSON(w, sarifLog{
		Schema:  "https://json.schemastore.org/sarif-2.1.0.json",
		Version: "2.1.0",
		Runs:    []sarifRun{run},
	})
}

// The parts of SARIF 2.1.0 (OASIS standard, §3) that problems need.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool struct {
			Driver sarifDriver `json:"driver"`
		} `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID   string    `json:"id"`
		Text sarifText `json:"shortDescription"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations,omitempty"`
	}
	sarifLocation struct {
		Place sarifPlace `json:"physicalLocation"`
	}
	sarifPlace struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI  string `json:"uri"`
		Base string `json:"uriBaseId"`
	}
	sarifRegion struct {
		Line int `json:"startLine"`
		Col  int `json:"startColumn,omitempty"`
	}
)

// sarifRegionOf is nil where the line is unknown: SARIF counts from 1.
func sarifRegionOf(p core.Pos) *sarifRegion {
	if p.Line == 0 {
		return nil
	}
	return &sarifRegion{p.Line, p.Col}
}

// escapeURI makes a path a relative URI reference (RFC 3986).
func escapeURI(path string) string {
	var b strings.Builder
	for i := range len(path) {
		c := path[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~/", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
