package reconcile

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

// TestObey has a commit and drift meet: the mode of a spec holds for what only
// drifted, told or not, and never for what a commit asks for.
func TestObey(t *testing.T) {
	change := func(name string, mode core.DriftMode) core.Change {
		return core.Change{ID: core.ObjectID{Kind: "ConfigMap", Name: name}, Mode: mode}
	}
	both, ignored, reported, fought := change("both", core.DriftReport), change("ignored", core.DriftIgnore), change("reported", core.DriftReport), change("fought", "")
	plan := core.Plan{Changes: []core.Change{both, ignored, reported, fought}}
	waits := fought
	waits.Later = "a fight"
	want := []core.Change{change("both", ""), ignored, reported, waits}
	if diff := cmp.Diff(want, obey(plan, askedFor(core.Plan{Changes: []core.Change{both}}, nil), core.Plan{Changes: []core.Change{waits}}).Changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if plan.Changes[0].Mode != core.DriftReport {
		t.Error("the plan that was given is changed")
	}
}

// TestOwed has a commit ask for what is in the way of something, on an object of
// which drift is only reported: it is done once nothing is in the way, also after a
// restart, and no drift before.
func TestOwed(t *testing.T) {
	change := core.Change{ID: core.ObjectID{Kind: "ConfigMap", Name: "a"}, Mode: core.DriftReport, Action: core.ActionBlocked}
	outcome := core.Outcome{ID: change.ID, Action: core.ActionBlocked, Status: core.StatusBlocked}
	caused := core.Plan{Changes: []core.Change{change}}
	h := &house{}
	step := func(revision string, caused core.Plan, status core.Status) core.DriftMode {
		t.Helper()
		outcome.Status = status
		asked := askedFor(caused, h.applied.Owed)
		now := lastGood{Applied: core.Applied{Revision: core.Revision{Commit: revision}}, asked: asked}
		if err := h.reconciler().remember(t.Context(), now, core.Result{Outcomes: []core.Outcome{outcome}}); err != nil {
			t.Fatal(err)
		}
		return obey(core.Plan{Changes: []core.Change{change}}, asked, core.Plan{}).Changes[0].Mode
	}
	for _, tt := range []struct {
		name   string
		caused core.Plan
		status core.Status
		mode   core.DriftMode
	}{
		{"asked for, and blocked", caused, core.StatusBlocked, ""},
		{"still blocked", core.Plan{}, core.StatusBlocked, ""},
		{"free", core.Plan{}, core.StatusDone, ""},
		{"drifted since", core.Plan{}, core.StatusSkipped, core.DriftReport},
	} {
		if got := step("new", tt.caused, tt.status); got != tt.mode {
			t.Errorf("%s: mode %q, want %q", tt.name, got, tt.mode)
		}
	}
}

// TestGoing has a deletion be owed for as long as a finalizer holds the object.
func TestGoing(t *testing.T) {
	id := core.ObjectID{Kind: "PersistentVolumeClaim", Name: "data"}
	asked := map[string]bool{id.String(): true}
	for name, tt := range map[string]struct {
		outcome core.Outcome
		want    []string
	}{
		"going":               {core.Outcome{ID: id, Action: core.ActionDelete, Status: core.StatusDone, Reason: "is being deleted"}, []string{id.String()}},
		"going for a while":   {core.Outcome{ID: id, Action: core.ActionBlocked, Status: core.StatusBlocked}, []string{id.String()}},
		"gone":                {core.Outcome{ID: id, Action: core.ActionDelete, Status: core.StatusDone}, nil},
		"another is not owed": {core.Outcome{Action: core.ActionBlocked, Status: core.StatusBlocked}, nil},
	} {
		if diff := cmp.Diff(tt.want, owed(asked, core.Result{Outcomes: []core.Outcome{tt.outcome}})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestRemember has a revision count as applied if all of it was, but for what the
// plan knew to be blocked: nobody here can help that.
func TestRemember(t *testing.T) {
	tests := map[string]struct {
		outcome core.Outcome
		want    bool
	}{
		"done":                       {core.Outcome{Action: core.ActionCreate, Status: core.StatusDone}, true},
		"failed":                     {core.Outcome{Action: core.ActionCreate, Status: core.StatusFailed}, false},
		"blocked by the plan":        {core.Outcome{Action: core.ActionBlocked, Status: core.StatusBlocked}, true},
		"waiting for another":        {core.Outcome{Action: core.ActionUpdate, Status: core.StatusBlocked}, false},
		"deletion that is held back": {core.Outcome{Action: core.ActionDelete, Status: core.StatusBlocked}, false},
		"waiting for an approval":    {core.Outcome{Action: core.ActionDelete, Status: core.StatusHeld}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := &house{}
			err := h.reconciler().remember(t.Context(), lastGood{Applied: core.Applied{Revision: core.Revision{Commit: "new"}}}, core.Result{Outcomes: []core.Outcome{tt.outcome}})
			if got := h.applied.Commit == "new"; got != tt.want || err != nil {
				t.Errorf("applied: %t, %v; want %t", got, err, tt.want)
			}
		})
	}
}
