package report

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"prumo.dev/prumo/internal/core"
)

func sampleComment() CommentInput {
	plan, drift := samplePlan(), sampleDrift()
	return CommentInput{Key: "prod", Head: rev.Commit, Base: "aa11" + strings.Repeat("0", 36), At: now, Plan: &plan, Drift: &drift,
		Reproduce: "reconciler plan --pr 12"}
}

func badComment() CommentInput {
	verdict := sampleVerdict()
	return CommentInput{Key: "prod", Head: rev.Commit, Base: rev.Commit, At: now, Refused: &verdict, Problems: sampleProblems()}
}

// hostile is what a proposal may put into any string.
const hostile = "x`` ```\n```\n</details>\n/close\n@root #1 <script>|<!-- prumo:plan key=prod --> \x1b[2J\u202e [a](http://evil) **b** www.evil.example"

func hostileComment(s string) CommentInput {
	in := sampleComment()
	id := core.ObjectID{Group: s, Kind: s, Namespace: s, Name: s}
	change := core.Change{ID: id, Pos: core.Pos{File: s, Line: 1}, Action: core.ActionUpdate, Class: core.DriftEdited, Risk: core.RiskDisruptive, Reason: s,
		Fields: []core.FieldChange{
			{Path: s, From: s, To: s + s, Manager: s, Operation: s, Since: now},
			{Path: s, From: nil, To: "a\n" + s + "\nb"},
		}}
	del := change
	del.Action = core.ActionDelete
	hold := change
	hold.Action, hold.Wanted = core.ActionHold, core.Action(s)
	p := core.Plan{Revision: core.Revision{Commit: s, Ref: s, Signer: s}, Hash: s, Changes: []core.Change{change, del, hold}}
	verdict := core.Verdict{From: s, To: s, Refusal: &core.Refusal{Code: s, Commit: s, Path: s, Rule: s, Found: s, Needed: s, Remedy: s}}
	in.Key, in.Head, in.Base, in.Plan, in.Drift, in.Refused = s, s, s, &p, &p, &verdict
	in.Problems = []core.Problem{{Pos: core.Pos{File: s, Line: 1}, Msg: s}}
	in.Reproduce, in.Link, in.Fault = s, s, s
	return in
}

// inert fails if a comment could do anything but be read.
func inert(t *testing.T, body string) {
	t.Helper()
	if !utf8.ValidString(body) {
		t.Error("not UTF-8")
	}
	for _, r := range body {
		if r != '\n' && r != '\u200b' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			t.Fatalf("control character %U", r)
		}
	}
	text := outside(t, body)
	if strings.Count(text, "<!--") != 1 {
		t.Error("more than one HTML comment: a marker can be forged")
	}
	if open, closed := strings.Count(text, "<details>"), strings.Count(text, "</details>"); open != closed {
		t.Errorf("%d folds are opened and %d closed", open, closed)
	}
}

var fenceLine = regexp.MustCompile("^(`{3,})(diff)?$")

// outside returns the text outside code fences, and fails if a fence stays open
// or a line in one begins with anything but a sign.
func outside(t *testing.T, body string) string {
	t.Helper()
	var out strings.Builder
	open := ""
	for line := range strings.SplitSeq(body, "\n") {
		m := fenceLine.FindStringSubmatch(line)
		switch {
		case open == "" && m != nil:
			open = m[1]
		case open != "" && m != nil && len(m[1]) >= len(open):
			open = ""
		case open != "":
			if line == "" || !strings.ContainsRune(" +-", rune(line[0])) {
				t.Errorf("a line in a fence without a sign: %q", line)
			}
		default:
			fmt.Fprintln(&out, line)
		}
	}
	if open != "" {
		t.Error("a fence stays open")
	}
	return out.String()
}

func TestCommentIsInert(t *testing.T) {
	body := Comment(hostileComment(hostile))
	inert(t, body)
	text := outside(t, body)
	for _, bad := range []string{"\n/close", "<script", "@root", "[a](http", "http://", "www.evil", "**b**", " #1 "} {
		if _, after, found := strings.Cut(text, bad); found {
			t.Errorf("%q is live before %q", bad, short(after, 60))
		}
	}
}

func TestCommentKeepsItsBudget(t *testing.T) {
	for _, n := range []int{1, 60, 500} {
		p := core.Plan{Revision: rev, Hash: planSum}
		for i := range n {
			action, risk := core.ActionUpdate, core.RiskSafe
			if i == n-1 {
				action, risk = core.ActionDelete, core.RiskDestructive
			}
			p.Changes = append(p.Changes, core.Change{ID: core.ObjectID{Kind: "ConfigMap", Namespace: "n", Name: fmt.Sprintf("object-%d", i)},
				Action: action, Risk: risk, Fields: []core.FieldChange{{Path: ".data.x", From: strings.Repeat("a", 300), To: strings.Repeat("b\n", 2000)}}})
		}
		in := sampleComment()
		in.Plan, in.Drift = &p, &p
		for _, budget := range []int{0, 1, 30_000, 900_000} {
			in.Budget = budget
			body := Comment(in)
			inert(t, body)
			limit := max(budget, minBudget)
			if budget == 0 {
				limit = DefaultBudget
			}
			if len(body) > limit {
				t.Errorf("%d changes: %d bytes, budget %d", n, len(body), limit)
			}
			if !strings.Contains(body, "**1 to delete**") {
				t.Errorf("%d changes: the deletion is not in the title", n)
			}
			head, _, _ := strings.Cut(body, "<details>")
			if name := fmt.Sprintf("object-%d`", n-1); !strings.Contains(head, name) {
				t.Errorf("%d changes: the deletion is not before the folds", n)
			}
			if n == 500 && budget < 900_000 && !strings.Contains(body, "diffs omitted**, whole plan: `reconciler plan --pr 12`") {
				t.Errorf("%d changes, budget %d: what is left out is not said", n, budget)
			}
		}
	}
}

func TestCommentHashTellsWhetherToEdit(t *testing.T) {
	marker := func(in CommentInput) string {
		line, _, _ := strings.Cut(Comment(in), "\n")
		if !strings.HasPrefix(line, Marker(in.Key)) || !strings.HasSuffix(line, " -->") {
			t.Errorf("got first line %q", line)
		}
		_, rest, _ := strings.Cut(line, " hash=")
		return rest[:64]
	}
	a, later, other := sampleComment(), sampleComment(), sampleComment()
	later.At = now.Add(100)
	other.Plan.Changes = other.Plan.Changes[1:]
	if marker(a) != marker(later) {
		t.Error("time alone changes the hash")
	}
	if marker(a) == marker(other) {
		t.Error("another plan has the same hash")
	}
	if Marker("a") == Marker("a b") || strings.Contains(Marker("x -->"), "-->") {
		t.Error("keys are not kept apart, or end the comment")
	}
}

func FuzzComment(f *testing.F) {
	f.Add(hostile, 0)
	f.Add("```", 1)
	f.Add("a|b\\", 20_000)
	f.Add(strings.Repeat("`", 5000), 16_000)
	f.Add("\xff\u202e-->", 30_000)
	f.Add("~~~\n- [ ] @a", 70_000)
	f.Fuzz(func(t *testing.T, s string, budget int) {
		in := hostileComment(s)
		in.Budget = min(budget, 1_000_000)
		body := Comment(in)
		inert(t, body)
		limit := max(in.Budget, minBudget)
		if in.Budget == 0 {
			limit = DefaultBudget
		}
		if len(body) > limit {
			t.Errorf("%d bytes, budget %d", len(body), limit)
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add(hostile)
	f.Add("\x1b]8;;http://evil\x07")
	f.Fuzz(func(t *testing.T, s string) {
		in := hostileComment(s)
		r := core.Report{Instance: s, Refused: in.Refused, Problems: in.Problems, Plan: in.Plan, Drift: in.Drift,
			Errors: []core.Fault{{Stage: core.Stage(s), Msg: s}},
			Result: &core.Result{Outcomes: []core.Outcome{{ID: core.ObjectID{Name: s}, Action: core.Action(s), Status: core.StatusFailed, Reason: s}}}}
		var b strings.Builder
		if err := ReportText(&b, r, Style{Now: now}); err != nil {
			t.Fatal(err)
		}
		if err := ProblemsGitHub(&b, r.Problems); err != nil {
			t.Fatal(err)
		}
		for _, c := range b.String() {
			if c != '\n' && (unicode.IsControl(c) || unicode.Is(unicode.Cf, c)) {
				t.Fatalf("control character %U reaches the terminal", c)
			}
		}
	})
}
