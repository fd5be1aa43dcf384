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
	if diff := cmp.Diff(want, obey(plan, core.Plan{Changes: []core.Change{both}}, core.Plan{Changes: []core.Change{waits}}).Changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if plan.Changes[0].Mode != core.DriftReport {
		t.Error("the plan that was given is changed")
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
