package diff

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

// TestUntrusted has the policy refuse the image of an object that it let in once.
func TestUntrusted(t *testing.T) {
	scaled, other := replace(deployment, "replicas: 2", "replicas: 3"), replace(deployment, "web:1", "web:0")
	runs := core.Untrusted{Reason: "web:1 is refused"}
	gone := core.Untrusted{Reason: "web:1 is refused", Absent: true}
	told := summary{Action: core.ActionObserve, Class: core.DriftUntrusted, Reason: "web:1 is refused"}
	held := summary{Action: core.ActionBlocked, Class: core.DriftUntrusted, Reason: "is not put back: web:1 is refused"}
	corrected := summary{Action: core.ActionUpdate, Class: core.DriftEdited, Fields: []string{".spec.replicas: " + text(int64(3)) + " -> " + text(int64(2))}}
	for name, tt := range map[string]struct {
		f    fixture
		u    core.Untrusted
		mode core.DriftMode
		want []summary
	}{
		"runs":                          {fixture{want: deployment, live: deployment, predicted: deployment, ours: true}, runs, "", []summary{told}},
		"runs, and drift is ignored":    {fixture{want: deployment, live: deployment, predicted: deployment, ours: true}, runs, core.DriftIgnore, []summary{told}},
		"runs, and something else left": {fixture{want: deployment, live: scaled, predicted: deployment, ours: true}, runs, "", []summary{corrected, told}},
		"deleted":                       {fixture{want: deployment}, gone, "", []summary{held}},
		"deleted, and drift is ignored": {fixture{want: deployment}, gone, core.DriftIgnore, []summary{held}},
		"replaced by hand":              {fixture{want: deployment, live: other, predicted: deployment, ours: true}, gone, "", []summary{held}},
		"must be made anew":             {fixture{want: deployment, live: replace(deployment, "{matchLabels: {app: web}}", "{matchLabels: {app: old}}"), blocked: "field is immutable", ours: true}, runs, "", []summary{held}},
		"cannot be applied":             {fixture{want: deployment, live: deployment, blocked: "a webhook says no", ours: true}, runs, "", []summary{{Action: core.ActionBlocked, Class: core.DriftBlocked, Reason: "a webhook says no"}, told}},
	} {
		t.Run(name, func(t *testing.T) {
			o := tt.f.observed(t)
			o.Spec.Drift = tt.mode
			was := core.Rendering{Objects: []core.Object{o.Object}}
			plan := Make(core.Revision{Commit: "abc"}, core.Observation{Objects: []core.Observed{o}},
				Options{Untrusted: map[core.ObjectID]core.Untrusted{o.Object.ID: tt.u}})
			caused, drift := Split(plan, was, was, nil)
			var got []summary
			for i, c := range drift.Changes {
				if i < len(tt.want) {
					s := summarize(c, tt.want[i])
					if s.Action == core.ActionBlocked {
						s.Fields = nil
					}
					got = append(got, s)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || len(drift.Changes) != len(tt.want) || !caused.Empty() {
				t.Errorf("drift (-want +got):\n%s\n%+v; caused %+v", diff, drift.Changes, caused.Changes)
			}
		})
	}
}
