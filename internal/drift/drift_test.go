package drift_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/drift"
)

var (
	begin = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	quota = core.ObjectID{Kind: "ResourceQuota", Namespace: "nlp", Name: "gpus"}
	node  = core.ObjectID{Kind: "Node", Name: "gpu-01"}
	spec  = core.SpecID{Kind: "Node", Name: "gpu-01"}
)

// edited is drift of one field of the quota.
func edited(manager string, found int) core.Change {
	return core.Change{ID: quota, Action: core.ActionUpdate, Class: core.DriftEdited, Pos: core.Pos{File: "a.yaml", Line: 3},
		Fields: []core.FieldChange{{Path: ".spec.hard.gpus", From: fmt.Sprint(found), To: "4", Manager: manager}}}
}

// lost is a machine that has fewer GPUs than declared.
func lost(paths ...string) core.Change {
	c := core.Change{ID: node, Spec: spec, Action: core.ActionObserve, Class: core.DriftHardware, Live: map[string]any{"kind": "Node"}}
	for _, p := range paths {
		c.Fields = append(c.Fields, core.FieldChange{Path: p, From: "7", To: "8", Manager: "kubelet"})
	}
	return c
}

// A clock takes a ledger through passes.
type clock struct {
	*drift.Ledger
	now time.Time
}

func newClock(opts drift.Options) *clock { return &clock{drift.New(opts), begin} }

// pass sees drift, and puts it back unless it rests or the status says otherwise.
func (c *clock) pass(after time.Duration, status core.Status, changes ...core.Change) (core.Report, []core.Change) {
	c.now = c.now.Add(after)
	c.Begin(c.now)
	plan := core.Plan{Changes: changes}
	c.See(core.Plan{}, plan)
	var result core.Result
	for _, x := range changes {
		o := core.Outcome{ID: x.ID, Action: x.Action, Status: status}
		if x.Later != "" {
			o.Status, o.Reason = core.StatusSkipped, x.Later
		}
		result.Outcomes = append(result.Outcomes, o)
	}
	c.Settle(plan, result)
	var rep core.Report
	c.Tell(&rep)
	return rep, changes
}

// look sees hardware, and returns what of it counts.
func (c *clock) look(after time.Duration, changes ...core.Change) []string {
	c.now = c.now.Add(after)
	c.Begin(c.now)
	c.Hardware(changes, nil, nil)
	var paths []string
	for _, x := range c.Settled(changes) {
		for _, f := range x.Fields {
			paths = append(paths, strings.TrimSpace(f.Path+" "+x.Reason))
		}
	}
	return paths
}

// TestRecord follows one drift: put back, come again, put right by someone else.
func TestRecord(t *testing.T) {
	c := newClock(drift.Options{})
	c.pass(0, core.StatusDone, edited("kubectl-edit", 9))
	c.pass(time.Minute, core.StatusDone)
	_, told := c.pass(time.Minute, core.StatusHeld, edited("kubectl-edit", 8))
	if told[0].FirstSeen != begin || told[0].Corrected != 1 {
		t.Errorf("the change is told to be first seen %v, corrected %d times; want at %v, once", told[0].FirstSeen, told[0].Corrected, begin)
	}
	rep, _ := c.pass(time.Minute, core.StatusDone)
	want := []core.DriftRecord{{
		Object: quota, Pos: core.Pos{File: "a.yaml", Line: 3}, Class: core.DriftEdited, Path: ".spec.hard.gpus", Wanted: "4", Found: "8",
		Manager: "kubectl-edit", State: core.DriftGone, Since: begin.Add(3 * time.Minute), FirstSeen: begin, LastSeen: begin.Add(2 * time.Minute),
		Times: 2, Corrected: 1,
	}}
	if diff := cmp.Diff(want, rep.Records); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, rep.News); diff != "" {
		t.Errorf("news of the last pass (-want +got):\n%s", diff)
	}
}

// TestWhyNot: of what is not put back, the record says why.
func TestWhyNot(t *testing.T) {
	c := newClock(drift.Options{})
	changes := []core.Change{edited("kubectl-edit", 9)}
	c.Begin(begin)
	c.See(core.Plan{}, core.Plan{Changes: changes})
	c.Settle(core.Plan{Changes: changes}, core.Result{Outcomes: []core.Outcome{
		{ID: quota, Action: core.ActionObserve, Status: core.StatusDone}, // another change of the same object
		{ID: quota, Action: core.ActionUpdate, Status: core.StatusSkipped, Reason: "the spec asks to report"},
	}})
	var rep core.Report
	c.Tell(&rep)
	if r := rep.Records[0]; r.State != core.DriftOpen || r.Reason != "the spec asks to report" {
		t.Errorf("record is %s: %q", r.State, r.Reason)
	}
}

// TestDebounce: hardware counts once it has differed for long enough without a
// break, field by field; and it is told if it comes and goes.
func TestDebounce(t *testing.T) {
	c := newClock(drift.Options{Debounce: 180 * time.Second})
	for i, step := range []struct {
		after time.Duration
		sees  []string
		tells []string
	}{
		{0, []string{".capacity"}, nil},
		{179 * time.Second, []string{".capacity", ".label"}, nil},
		{time.Second, []string{".capacity", ".label"}, []string{".capacity"}},
		{179 * time.Second, []string{".capacity"}, []string{".capacity"}}, // the label came back: it never counted
		{time.Second, nil, nil},
		{time.Hour, []string{".label"}, nil}, // and begins anew
		{time.Minute, nil, nil},
		{time.Minute, []string{".label"}, nil},
		{time.Minute, nil, nil},
		{time.Minute, []string{".label"}, []string{".label comes and goes: 3 times in 4m0s"}},
		{181 * time.Second, []string{".label"}, []string{".label"}},
	} {
		var sees []core.Change
		if len(step.sees) > 0 {
			sees = append(sees, lost(step.sees...))
		}
		if diff := cmp.Diff(step.tells, c.look(step.after, sees...)); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
	}
}

// TestGlance: who looks once is told at once, and changes nothing.
func TestGlance(t *testing.T) {
	c := newClock(drift.Options{})
	c.look(0, lost(".capacity"))
	glance := &clock{c.Glance(), begin}
	if got := glance.look(time.Second, lost(".capacity", ".label")); len(got) != 2 {
		t.Errorf("a glance tells %v, want both", got)
	}
	glance.look(time.Hour)
	if got := c.look(drift.DefaultDebounce, lost(".capacity", ".label")); len(got) != 1 {
		t.Errorf("after a glance, %v count; want .capacity alone", got)
	}
}

// TestDue: a pass comes when something settles, although nothing else wakes it.
func TestDue(t *testing.T) {
	c := newClock(drift.Options{Debounce: 3 * time.Minute})
	due := func() time.Duration {
		var rep core.Report
		c.Tell(&rep)
		if rep.Due.IsZero() {
			return 0
		}
		return rep.Due.Sub(c.now)
	}
	c.look(0, lost(".capacity"))
	if got := due(); got != 3*time.Minute {
		t.Errorf("after the first sight: due in %v", got)
	}
	c.look(time.Minute, lost(".capacity"))
	if got := due(); got != 2*time.Minute {
		t.Errorf("a minute later: due in %v", got)
	}
	c.look(2*time.Minute, lost(".capacity"))
	if got := due(); got != 0 {
		t.Errorf("when it counts: due in %v, want never", got)
	}
}

// TestFight has somebody rewrite a field each time it is put back.
func TestFight(t *testing.T) {
	c := newClock(drift.Options{})
	times := 0
	rewrite := func(after time.Duration) core.Change {
		_, told := c.pass(after, core.StatusDone, edited("hpa-controller", 9), core.Change{
			ID: node, Action: core.ActionUpdate, Class: core.DriftEdited, Fields: []core.FieldChange{{Path: ".x", Manager: fmt.Sprint("person-", times)}}})
		times++
		if told[1].Later != "" {
			t.Errorf("another object is left alone: %s", told[1].Later)
		}
		return told[0]
	}
	for range 5 {
		if told := rewrite(time.Second); told.Later != "" {
			t.Fatalf("after %d times: %s", times, told.Later)
		}
	}
	told := rewrite(time.Second)
	want := "fight over .spec.hard.gpus with hpa-controller: rewritten 5 times in 4s; it is put back again at 2026-11-22T12:01:06Z"
	if told.Later != want {
		t.Errorf("told  %s\nwant  %s", told.Later, want)
	}
	if !c.Resting()[quota] || c.Resting()[node] {
		t.Errorf("resting: %v, want the quota alone", c.Resting())
	}
	rest := time.Minute
	for range 8 {
		if told := rewrite(rest - time.Second); told.Later == "" {
			t.Fatalf("put back before %v are over", rest)
		}
		if told := rewrite(time.Second); told.Later != "" {
			t.Fatalf("after a rest of %v: %s", rest, told.Later)
		}
		rest = min(2*rest, time.Hour)
		if told := rewrite(time.Second); told.Later == "" {
			t.Fatal("put back at once, though the fight goes on")
		}
	}
}

// TestFightEnds: when the other stops, and when a commit changes the object.
func TestFightEnds(t *testing.T) {
	fight := func() *clock {
		c := newClock(drift.Options{})
		for range 6 {
			c.pass(time.Second, core.StatusDone, edited("hpa-controller", 9))
		}
		return c
	}
	c := fight()
	c.pass(time.Minute, core.StatusDone, edited("hpa-controller", 9)) // put back
	c.pass(10*time.Minute, core.StatusDone)
	if rep, told := c.pass(time.Second, core.StatusDone, edited("hpa-controller", 9)); told[0].Later != "" || rep.Records[0].Fight != nil {
		t.Errorf("ten quiet minutes later it is still a fight: %s", told[0].Later)
	}

	c = fight()
	c.Begin(c.now)
	c.See(core.Plan{Changes: []core.Change{{ID: quota}}}, core.Plan{})
	if _, told := c.pass(time.Second, core.StatusDone, edited("hpa-controller", 9)); told[0].Later != "" {
		t.Errorf("after a commit it is still a fight: %s", told[0].Later)
	}

	c = newClock(drift.Options{})
	for i := range 20 {
		if _, told := c.pass(time.Second, core.StatusDone, edited(fmt.Sprint("person-", i), 9)); told[0].Later != "" {
			t.Fatalf("twenty people are one fight: %s", told[0].Later)
		}
	}
	for range 20 {
		if _, told := c.pass(5*time.Minute, core.StatusDone, edited("cron", 9)); told[0].Later != "" {
			t.Fatalf("who is slow is left alone: %s", told[0].Later)
		}
	}
}

// TestDocument: what is known outlives a restart, within bounds.
func TestDocument(t *testing.T) {
	c := newClock(drift.Options{History: 3})
	c.look(0, lost(".capacity"))
	for range 6 {
		c.pass(time.Second, core.StatusDone, edited("hpa-controller", 9))
	}
	c.pass(time.Second, core.StatusDone, edited("hpa-controller", 9))
	if !c.Changed() {
		t.Error("nothing to save")
	}
	data, err := c.Save()
	if err != nil {
		t.Fatal(err)
	}
	c.Saved()
	c.pass(time.Second, core.StatusSkipped, edited("hpa-controller", 9))
	c.look(time.Second, lost(".capacity"))
	c.pass(0, core.StatusSkipped, edited("hpa-controller", 9))
	if c.Changed() {
		t.Error("something is to be saved, though all is as it was")
	}

	again := &clock{drift.New(drift.Options{History: 3}), c.now}
	if err := again.Load(data); err != nil {
		t.Fatal(err)
	}
	if again.Changed() {
		t.Error("what was loaded is to be saved")
	}
	if _, told := again.pass(time.Second, core.StatusDone, edited("hpa-controller", 9)); told[0].Later == "" || told[0].FirstSeen != begin.Add(time.Second) {
		t.Errorf("after a restart: later %q, first seen %v", told[0].Later, told[0].FirstSeen)
	}
	if got := again.look(drift.DefaultDebounce, lost(".capacity")); len(got) != 1 {
		t.Errorf("after a restart %v counts; it has differed for long enough", got)
	}
	for _, bad := range []string{"{", `{"records": 3}`, strings.Repeat(" ", 2<<20)} {
		if err := drift.New(drift.Options{}).Load([]byte(bad)); err == nil {
			t.Errorf("loaded %.20q", bad)
		}
	}
}

// TestBounds: ten thousand drifts are told, and few of them are kept.
func TestBounds(t *testing.T) {
	c := newClock(drift.Options{History: 1000})
	var many []core.Change
	for i := range 10_000 {
		x := edited("mallory", 9)
		x.ID.Name = fmt.Sprint("q", i)
		x.Fields[0].From = strings.Repeat("é", 5000)
		many = append(many, x)
	}
	rep, told := c.pass(0, core.StatusSkipped, many...)
	if len(told) != 10_000 || len(rep.Records) != 1000 {
		t.Errorf("%d told, %d shown; want all, and 1000", len(told), len(rep.Records))
	}
	data, err := c.Save()
	if err != nil || len(data) > 600<<10 {
		t.Errorf("%d bytes to save, %v; want at most half a MiB", len(data), err)
	}
	rep, _ = c.pass(time.Second, core.StatusDone)
	if len(rep.News) != 5000 {
		t.Errorf("%d records were kept, want 5000", len(rep.News))
	}
	c.pass(time.Second, core.StatusDone)
	if rep, _ = c.pass(time.Second, core.StatusDone); len(rep.Records) != 1000 {
		t.Errorf("%d records are kept of what is gone, want 1000", len(rep.Records))
	}
}
