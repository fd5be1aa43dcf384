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
	both, ignored, reported := change("both", core.DriftReport), change("ignored", core.DriftIgnore), change("reported", core.DriftReport)
	plan := core.Plan{Changes: []core.Change{both, ignored, reported}}
	want := []core.Change{change("both", ""), ignored, reported}
	if diff := cmp.Diff(want, obey(plan, core.Plan{Changes: []core.Change{both}}).Changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if plan.Changes[0].Mode != core.DriftReport {
		t.Error("the plan that was given is changed")
	}
}
