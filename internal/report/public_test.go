package report

import (
	"bytes"
	"strings"
	"testing"

	"prumo.dev/prumo/internal/core"
)

// What a server says itself is for those who have a right to it, wherever it stands in
// a report. They keep it.
func TestPublic(t *testing.T) {
	const said = "dial tcp 10.0.0.7:6443: hunter2"
	refusal := &core.Refusal{Code: "E-THRESHOLD", Detail: said}
	plan := core.Plan{Changes: []core.Change{{Reason: "refused", ServerSays: said}}}
	drift := core.Plan{Changes: []core.Change{{Reason: "refused", ServerSays: said}}}
	rep := core.Report{
		Refused:  &core.Verdict{Refusal: refusal, Commits: []core.CommitVerdict{{Refusal: refusal}}},
		Problems: []core.Problem{{Msg: "the registry does not answer", Detail: said}},
		Plan:     &plan, Drift: &drift,
		Result: &core.Result{Outcomes: []core.Outcome{{Reason: "refused", ServerSays: said}}, NotReady: []core.Outcome{{ServerSays: said}}},
	}
	var public, whole bytes.Buffer
	if err := JSON(&public, Public(rep)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(public.String(), "hunter2") {
		t.Errorf("the public report quotes a server:\n%s", &public)
	}
	if err := JSON(&whole, rep); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(whole.String(), "hunter2"); n != 7 {
		t.Errorf("%d of 7 messages are left in the report that was made public", n)
	}
	for name, write := range map[string]func() error{
		"Markdown": func() error { return ReportMarkdown(&public, rep) },
		"comment": func() error {
			_, err := public.WriteString(Comment(CommentInput{Key: "lab", Plan: &plan, Drift: &drift, Problems: rep.Problems, Refused: rep.Refused}))
			return err
		},
	} {
		public.Reset()
		if err := write(); err != nil || strings.Contains(public.String(), "hunter2") {
			t.Errorf("%s: %v\n%s", name, err, &public)
		}
	}
}
