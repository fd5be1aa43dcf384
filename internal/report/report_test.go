package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

var update = flag.Bool("update", false, "write the golden files under testdata")

// golden compares got with a file under testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", name, d)
	}
}

var (
	now     = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	rev     = core.Revision{Commit: "3f2a1c9e0b7d4411aa22bb33cc44dd55ee66ff77", Ref: "refs/heads/main", Signer: "alice@lab.example", Time: now}
	planSum = strings.Repeat("9f8e7d6c", 8)
)

const gpu = `.spec.hard["requests.nvidia.com/gpu"]`

func specAt(kind, name, file string, line int) (core.SpecID, core.Pos) {
	return core.SpecID{Kind: kind, Name: name}, core.Pos{File: file, Line: line, Col: 1}
}

// samplePlan has one change of each action.
func samplePlan() core.Plan {
	pool, poolAt := specAt("GPUPool", "h100", "pools/h100.cue", 12)
	tool, toolAt := specAt("MLTool", "mlflow", "tools/mlflow.yaml", 1)
	node, nodeAt := specAt("Node", "gpu-01", "nodes/rack-a.cue", 40)
	return core.Plan{Revision: rev, Unchanged: 14, Hash: planSum, Approve: "reconciler approve --namespace prumo-system --instance prod " + planSum, Changes: []core.Change{
		{ID: core.ObjectID{Kind: "Namespace", Name: "mlflow"}, Spec: tool, Pos: toolAt, Action: core.ActionCreate, Class: core.DriftDeleted,
			Fields: []core.FieldChange{{Path: `.metadata.labels["prumo.dev/team"]`, To: "vision"}}},
		{ID: core.ObjectID{Kind: "Node", Name: "gpu-01"}, Spec: node, Pos: nodeAt, Action: core.ActionAdopt, Class: core.DriftUnowned},
		{ID: core.ObjectID{Kind: "ResourceQuota", Namespace: "vision", Name: "h100"}, Spec: pool, Pos: poolAt, Action: core.ActionUpdate,
			Class: core.DriftEdited, Risk: core.RiskDisruptive, Force: true,
			Hits:      &core.Hits{Total: 7, GPUs: 24, Pods: []core.Pod{{Namespace: "vision", Name: "train-0", GPUs: 16}, {Namespace: "vision", Name: "web"}}},
			Conflicts: []core.Conflict{{Path: gpu, Manager: "kubectl-edit", Operation: "Update", Since: now.Add(-3 * time.Minute)}},
			Fields:    []core.FieldChange{{Path: gpu, From: "16", To: "8", Used: "12", Manager: "kubectl-edit", Operation: "Update", Since: now.Add(-3 * time.Minute)}}},
		{ID: core.ObjectID{Kind: "ConfigMap", Namespace: "mlflow", Name: "config"}, Spec: tool, Pos: toolAt, Action: core.ActionUpdate, Class: core.DriftEdited,
			Fields: []core.FieldChange{
				{Path: `.data["config.yaml"]`, From: "a: 1\nb: 2\nc: 3\nd: 4\n", To: "a: 1\nb: 3\nc: 3\nd: 4\n"},
				{Path: `.data["api-token"]`, From: "(hidden)", To: "(hidden, changed)", Manager: "helm", Operation: "Apply", Since: now.Add(-50 * time.Hour)},
				{Path: ".data.port", From: int64(80), To: "80"},
			},
			Stays: []core.Conflict{{Path: ".data.mode", Manager: "helm", Operation: "Apply", Since: now.Add(-50 * time.Hour)}}},
		{ID: core.ObjectID{Group: "apps", Kind: "Deployment", Namespace: "mlflow", Name: "mlflow"}, Spec: tool, Pos: toolAt, Action: core.ActionHold,
			Wanted: core.ActionReplace, Class: core.DriftEdited, Risk: core.RiskDestructive,
			Reason: ".spec.selector.matchLabels.app cannot be changed in place: the object is deleted and made anew; replacing needs an approval", Approvable: true,
			Fields: []core.FieldChange{{Path: ".spec.selector.matchLabels.app", From: "a", To: "b"}}},
		{ID: core.ObjectID{Group: "kueue.x-k8s.io", Kind: "LocalQueue", Namespace: "vision", Name: "h100"}, Spec: pool, Pos: poolAt, Action: core.ActionBlocked,
			RetryAt: now.Add(200 * time.Second),
			Class:   core.DriftBlocked, Mode: core.DriftReport, Reason: "the cluster does not serve kueue.x-k8s.io/v1beta2 LocalQueue: install what provides it"},
		{ID: core.ObjectID{Kind: "PersistentVolume", Name: "old"}, Action: core.ActionHold, Wanted: core.ActionDelete, Class: core.DriftOrphan,
			Risk: core.RiskDestructive, Reason: "nothing renders it any more; deleting a PersistentVolume needs an approval: what is in it goes with it", Approvable: true},
		{ID: core.ObjectID{Kind: "Service", Namespace: "old", Name: "web"}, Action: core.ActionDelete, Class: core.DriftOrphan, Risk: core.RiskDestructive,
			Hits:   &core.Hits{Unknown: "pods cannot be listed: it is forbidden"},
			Reason: "nothing renders it any more"},
		{ID: core.ObjectID{Kind: "Node", Name: "gpu-09"}, Action: core.ActionRelease, Class: core.DriftOrphan, Reason: "nothing renders it any more; the Node stays"},
		{ID: core.ObjectID{Kind: "Node", Name: "gpu-02"}, Spec: node, Pos: nodeAt, Action: core.ActionObserve, Class: core.DriftHardware,
			Fields: []core.FieldChange{{Path: `.status.capacity["nvidia.com/gpu"]`, From: "7", To: int64(8), Manager: "kubelet", Operation: "Update", Since: now.Add(-time.Hour)}}},
	}}
}

func sampleVerdict() core.Verdict {
	refusal := core.Refusal{Code: "E-UNSIGNED", Commit: "91bc" + strings.Repeat("0", 36), Rule: "pools", Found: "the commit has no signature",
		Needed: "a signature of a principal that the rule \"pools\" names", Remedy: "sign it: git commit --amend -S, then push again"}
	return core.Verdict{From: rev.Commit, To: refusal.Commit, Refusal: &refusal, Commits: []core.CommitVerdict{
		{Commit: "aa11" + strings.Repeat("0", 36), Subject: "pools: more GPUs for vision", Signer: "alice@lab.example", Key: "SHA256:abc", Rules: []string{"pools"}},
		{Commit: refusal.Commit, Subject: "remove the taint \x1b[2K", Refusal: &refusal},
	}}
}

func sampleProblems() []core.Problem {
	return []core.Problem{
		{Pos: core.Pos{File: "pools/h100.cue", Line: 12, Col: 7}, Spec: core.SpecID{Kind: "GPUPool", Name: "h100"}, Stage: core.StageRender, Msg: "spec.gpus is 9, wanted at most 8: 100% of the node"},
		{Pos: core.Pos{File: "tools/a b,c:d.yaml", Line: 3}, Stage: core.StageRender, Msg: "unknown kind \"Tol\"\nwanted MLTool"},
		{Stage: core.StageFetch, Msg: "the file is too large"},
	}
}

func sampleResult() core.Result {
	return core.Result{Took: 1234567 * time.Microsecond, Outcomes: []core.Outcome{
		{ID: core.ObjectID{Kind: "Namespace", Name: "mlflow"}, Action: core.ActionCreate, Status: core.StatusDone},
		{ID: core.ObjectID{Kind: "ResourceQuota", Namespace: "vision", Name: "h100"}, Action: core.ActionUpdate, Status: core.StatusFailed, Reason: "changed since the plan was made"},
		{ID: core.ObjectID{Kind: "PersistentVolume", Name: "old"}, Action: core.ActionDelete, Status: core.StatusHeld, Reason: "waits for an approval"},
	}, NotReady: []core.Outcome{{ID: core.ObjectID{Group: "apps", Kind: "Deployment", Namespace: "mlflow", Name: "mlflow"}, Action: core.ActionCreate, Status: core.StatusDone, Reason: "0 of 1 pods ready"}}}
}

func sampleReport() core.Report {
	plan, drift, verdict, result := samplePlan(), sampleDrift(), sampleVerdict(), sampleResult()
	return core.Report{Time: now, Instance: "prod", Revision: rev, Refused: &verdict, Problems: sampleProblems(), Plan: &plan, Drift: &drift,
		Result: &result, Errors: []core.Fault{{Stage: core.StageFetch, Msg: "the remote does not answer"}},
		Records: sampleRecords(), Precautions: []core.Precaution{
			{Spec: core.SpecID{Kind: "Node", Name: "gpu-02"}, Since: now.Add(-time.Hour), Reason: ".status.capacity is 7, declared 8"},
			{Spec: core.SpecID{Kind: "Node", Name: "gpu-07"}, Since: now.Add(-time.Hour), Reason: ".status.capacity is 6, declared 8", Well: now.Add(-time.Minute)},
		}}
}

// sampleRecords are one that is open, one that settles, and more of the past than a
// terminal shows; one comes from somebody hostile.
func sampleRecords() []core.DriftRecord {
	quota, node := core.ObjectID{Kind: "ResourceQuota", Namespace: "vision", Name: "h100"}, core.ObjectID{Kind: "Node", Name: "gpu-03"}
	records := []core.DriftRecord{
		{Object: quota, Class: core.DriftEdited, Path: gpu, Found: "16", Wanted: "8", Manager: "kubectl-edit", State: core.DriftOpen, FirstSeen: now, Since: now},
		{Object: node, Class: core.DriftHardware, Path: ".status.capacity", Found: "7", Wanted: "8", Manager: "kubelet",
			State: core.DriftSettling, FirstSeen: now.Add(-20 * time.Second), Since: now.Add(-20 * time.Second), Times: 1},
		{Object: quota, Class: core.DriftEdited, Path: ".metadata.labels.a\x1b[2K", Found: "x|y`", Wanted: "z", Manager: "<b>mallory\n",
			State: core.DriftCorrected, FirstSeen: now.Add(-3 * time.Hour), Since: now.Add(-time.Minute), Times: 13, Corrected: 13},
	}
	for i := range 12 {
		gone := core.DriftRecord{Object: quota, Class: core.DriftDeleted, State: core.DriftGone, FirstSeen: now.Add(-5 * time.Hour), Since: now.Add(-4 * time.Hour), Times: 1}
		gone.Object.Name = string(rune('a' + i))
		records = append(records, gone)
	}
	return records
}

// sampleDrift is what of samplePlan no commit caused.
func sampleDrift() core.Plan {
	p := samplePlan()
	p.Changes = []core.Change{p.Changes[2], p.Changes[5], p.Changes[9], p.Changes[0]}
	p.Changes[0].FirstSeen, p.Changes[0].Corrected = now.Add(-3*time.Hour), 12
	p.Changes[0].Later = "fight over " + gpu + " with kubectl-edit: rewritten 6 times in 10m0s; it is put back again at 2026-11-22T12:01:00Z"
	p.Changes[3].FirstSeen = now.Add(-time.Minute)
	return p
}

func TestUntil(t *testing.T) {
	for _, tt := range []struct {
		style Style
		at    time.Time
		want  string
	}{
		{Style{Now: now}, time.Time{}, ""},
		{Style{Now: now}, now.Add(-time.Second), ""},
		{Style{Now: now}, now, ""},
		{Style{Now: now}, now.Add(1500 * time.Millisecond), "in 2s"},
		{Style{Now: now}, now.Add(time.Minute), "in 1m"},
		{Style{Now: now}, now.Add(61 * time.Second), "in 2m"},
		{Style{}, now, "at 2026-11-22T12:00:00Z"},
		{Style{}, time.Time{}, ""},
	} {
		if got := tt.style.until(tt.at); got != tt.want {
			t.Errorf("at %v: %q, want %q", tt.at, got, tt.want)
		}
	}
}

func TestGolden(t *testing.T) {
	plain, color := Style{Now: now}, Style{Now: now, Color: true}
	empty := core.Plan{Revision: core.Revision{}, Unchanged: 3}
	accepted := core.Verdict{From: rev.Commit, To: "aa11" + strings.Repeat("0", 36), Commits: sampleVerdict().Commits[:1:1]}
	accepted.Commits[0].Approvers = []string{"cai", "eli"}
	tests := map[string]func(io.Writer) error{
		"plan.txt":        func(w io.Writer) error { return PlanText(w, samplePlan(), plain) },
		"plan-color.txt":  func(w io.Writer) error { return PlanText(w, samplePlan(), color) },
		"plan-empty.txt":  func(w io.Writer) error { return PlanText(w, empty, plain) },
		"plan.md":         func(w io.Writer) error { return PlanMarkdown(w, samplePlan()) },
		"plan.json":       func(w io.Writer) error { return JSON(w, samplePlan()) },
		"drift.txt":       func(w io.Writer) error { return DriftText(w, sampleDrift(), plain) },
		"drift-empty.txt": func(w io.Writer) error { return DriftText(w, empty, plain) },
		"drift.md":        func(w io.Writer) error { return DriftMarkdown(w, sampleDrift()) },
		"verdict.txt":     func(w io.Writer) error { return VerdictText(w, sampleVerdict(), plain) },
		"verdict-ok.txt":  func(w io.Writer) error { return VerdictText(w, accepted, plain) },
		"problems.txt":    func(w io.Writer) error { return ProblemsText(w, sampleProblems(), plain) },
		"problems.github": func(w io.Writer) error { return ProblemsGitHub(w, sampleProblems()) },
		"problems.sarif":  func(w io.Writer) error { return ProblemsSARIF(w, sampleProblems(), "v0.1.0") },
		"applied.txt":     func(w io.Writer) error { return AppliedText(w, sampleReport(), plain) },
		"report.txt":      func(w io.Writer) error { return ReportText(w, sampleReport(), plain) },
		"report.md":       func(w io.Writer) error { return ReportMarkdown(w, sampleReport()) },
		"comment.md":      func(w io.Writer) error { return say(w, sampleComment()) },
		"comment-bad.md":  func(w io.Writer) error { return say(w, badComment()) },
		"comment-fault.md": func(w io.Writer) error {
			return say(w, CommentInput{Key: "prod", Head: rev.Commit, Fault: "the cluster does not answer"})
		},
		"comment-nothing.md": func(w io.Writer) error { return say(w, CommentInput{Key: "prod", Head: rev.Commit, Plan: &empty}) },
	}
	for name, write := range tests {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			golden(t, name, b.String())
		})
	}
}

func say(w io.Writer, in CommentInput) error {
	_, err := io.WriteString(w, Comment(in))
	return err
}

func TestJSONHoldsNoManifests(t *testing.T) {
	p := samplePlan()
	p.Changes[0].Manifest = map[string]any{"data": "hunter2"}
	p.Changes[0].Live = map[string]any{"data": "hunter2"}
	var b bytes.Buffer
	if err := JSON(&b, p); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "hunter2") {
		t.Error("a manifest is in the JSON")
	}
	var back core.Plan
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || back.Hash != p.Hash || back.Changes[2].Risk != core.RiskDisruptive {
		t.Errorf("the JSON cannot be read back: %v", err)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestWriteErrorsAreTold(t *testing.T) {
	for name, err := range map[string]error{
		"PlanText":     PlanText(brokenPipe{}, samplePlan(), Style{}),
		"PlanMarkdown": PlanMarkdown(brokenPipe{}, samplePlan()),
		"JSON":         JSON(brokenPipe{}, samplePlan()),
	} {
		if err == nil {
			t.Errorf("%s: a broken pipe is no error", name)
		}
	}
}

func TestExplanationText(t *testing.T) {
	e := core.Explanation{Path: "pools/a.cue\x1b", Changes: []string{"modify"}, Requirements: []core.Requirement{
		{Rule: "two", Policy: "the policy of its parent 0123456789", Signers: []string{"ana", "ben"}, Threshold: 2, Distinct: true, By: []string{"ben"}},
		{Rule: "root", Policy: "the trust file", Threshold: 1, Ops: []string{"add", "delete"}},
	}, Commit: &core.CommitVerdict{Commit: rev.Commit, Subject: "pools: more", Signer: "ana", Refusal: &core.Refusal{Code: "E-THRESHOLD", Found: "1 of 2", Needed: "2", Remedy: "ask"}}}
	var b bytes.Buffer
	if err := ExplanationText(&b, e, Style{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "explanation.txt", b.String())
}
