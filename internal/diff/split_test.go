package diff

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

func rendering(t testing.TB, objects []string, expects ...string) core.Rendering {
	var r core.Rendering
	for _, y := range objects {
		m := object(t, y)
		r.Objects = append(r.Objects, core.Object{ID: identify(m), Fields: m})
	}
	for _, y := range expects {
		m := object(t, y)
		r.Expects = append(r.Expects, core.Object{ID: identify(m), Fields: m})
	}
	return r
}

func TestSplit(t *testing.T) {
	const config = `{apiVersion: v1, kind: ConfigMap, metadata: {name: old, namespace: lab}}`
	node := func(n string) string {
		return `{apiVersion: v1, kind: Node, metadata: {name: a}, status: {capacity: {nvidia.com/gpu: ` + n + `}}}`
	}
	podsUp := replace(quota, `"100"`, `"200"`)
	update := fixture{want: podsUp, live: quotaLive, predicted: podsUp, ours: true, managers: editedQuota}
	tests := []struct {
		name          string
		obs           core.Observation
		before, after core.Rendering
		caused, drift []string // action class: fields
	}{
		{"someone edited what the commit leaves",
			core.Observation{Objects: []core.Observed{fixture{want: quota, live: quotaLive, predicted: quota, ours: true}.observed(t)}},
			rendering(t, []string{quota}), rendering(t, []string{quota}),
			nil, []string{"update edited", gpuField + ": 16 -> 8"}},
		{"the commit changes one field, someone edited another",
			core.Observation{Objects: []core.Observed{update.observed(t)}},
			rendering(t, []string{quota}), rendering(t, []string{podsUp}),
			[]string{"update ", ".spec.hard.pods: 100 -> 200"}, []string{"update edited", gpuField + ": 16 -> 8"}},
		{"a commit that was half done is taken back",
			core.Observation{Objects: []core.Observed{fixture{want: quota, live: podsUp, predicted: quota, ours: true,
				managers: "- {manager: prumo, operation: Apply, apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {f:spec: {f:hard: {f:pods: {}}}}}"}.observed(t)}},
			rendering(t, []string{quota}), rendering(t, []string{quota}),
			[]string{"update ", ".spec.hard.pods: 200 -> 100"}, nil},
		{"a new object", core.Observation{Objects: []core.Observed{fixture{want: config}.observed(t)}},
			rendering(t, nil), rendering(t, []string{config}), []string{"create "}, nil},
		{"an object that someone deleted", core.Observation{Objects: []core.Observed{fixture{want: config}.observed(t)}},
			rendering(t, []string{config}), rendering(t, []string{config}), nil, []string{"create deleted"}},
		{"our mark was removed", core.Observation{Objects: []core.Observed{fixture{want: quota, live: quota, predicted: quota}.observed(t)}},
			rendering(t, []string{quota}), rendering(t, []string{quota}), nil, []string{"adopt unowned"}},
		{"an orphan that the commit makes", core.Observation{Objects: inOrder(t, 1), Orphans: []map[string]any{orphanOf(t, "v1", "ConfigMap", "lab", "old", core.OriginCreated)}},
			rendering(t, []string{config}), rendering(t, nil), []string{"delete "}, nil},
		{"an orphan of old", core.Observation{Objects: inOrder(t, 1), Orphans: []map[string]any{orphanOf(t, "v1", "ConfigMap", "lab", "old", core.OriginCreated)}},
			rendering(t, nil), rendering(t, nil), nil, []string{"delete orphan"}},
		{"a default that follows from the commit",
			core.Observation{Objects: []core.Observed{fixture{want: podsUp, live: quota, ours: true,
				predicted: replace(podsUp, "spec: {", "spec: {scopes: [a], ")}.observed(t)}},
			rendering(t, []string{quota}), rendering(t, []string{podsUp}),
			[]string{"update ", ".spec.hard.pods: 100 -> 200", ".spec.scopes[0]: none -> a"}, nil},
		{"hardware that is not as it was declared",
			core.Observation{Expects: []core.Observed{fixture{want: node("8"), live: node("7")}.observed(t)}},
			rendering(t, nil, node("8")), rendering(t, nil, node("8")),
			nil, []string{"observe hardware", `.status.capacity["nvidia.com/gpu"]: ` + text(int64(7)) + " -> " + text(int64(8))}},
		{"hardware that the commit declares anew",
			core.Observation{Expects: []core.Observed{fixture{want: node("8"), live: node("7")}.observed(t)}},
			rendering(t, nil, node("7")), rendering(t, nil, node("8")),
			[]string{"observe ", `.status.capacity["nvidia.com/gpu"]: ` + text(int64(7)) + " -> " + text(int64(8))}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Make(core.Revision{}, tt.obs, Options{})
			caused, drift := Split(p, tt.before, tt.after, nil)
			lines := func(p core.Plan) (out []string) {
				for _, c := range p.Changes {
					out = append(append(out, string(c.Action)+" "+string(c.Class)), fieldLines(c)...)
				}
				return out
			}
			if d := cmp.Diff(tt.caused, lines(caused)); d != "" {
				t.Errorf("caused (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tt.drift, lines(drift)); d != "" {
				t.Errorf("drift (-want +got):\n%s", d)
			}
			if caused.Hash != p.Hash || drift.Hash != p.Hash {
				t.Error("a part does not keep the plan's hash")
			}
		})
	}
}

func TestSplitSharesRiskAndBlame(t *testing.T) {
	// The commit adds a field; kubectl-edit lowered another one just before.
	added := replace(quota, `pods: "100"`, `pods: "100", services: "5"`)
	f := fixture{want: added, live: replace(quotaLive, `"16"`, `"4"`), predicted: added, ours: true, managers: editedQuota}
	p := f.plan(t, Options{})
	caused, drift := Split(p, rendering(t, []string{quota}), rendering(t, []string{added}), nil)
	if got := one(t, caused).Fields[0]; got.Manager != "" || got.Path != ".spec.hard.services" {
		t.Errorf("someone is blamed for a field that the commit adds: %+v", got)
	}
	if got := one(t, drift).Fields[0]; got.Manager != "kubectl-edit" {
		t.Errorf("drift is not attributed: %+v", got)
	}
}

func TestSplitLeavesIgnoredDriftOut(t *testing.T) {
	o := fixture{want: quota, live: quotaLive, predicted: quota, ours: true}.observed(t)
	o.Spec.Drift = core.DriftIgnore
	p := Make(core.Revision{}, core.Observation{Objects: []core.Observed{o}}, Options{})
	if _, drift := Split(p, rendering(t, []string{quota}), rendering(t, []string{quota}), nil); !drift.Empty() {
		t.Errorf("ignored drift is reported: %+v", drift.Changes)
	}
	if caused, _ := Split(p, rendering(t, nil), rendering(t, []string{quota}), nil); caused.Empty() {
		t.Error("what the commit causes was ignored with the drift")
	}
}

// TestSplitOwed has what an older commit took away go on to go, held or not: nobody
// drifted. What it keeps, and others edited, did.
func TestSplitOwed(t *testing.T) {
	obs := core.Observation{
		Objects: []core.Observed{fixture{want: quota, live: quotaLive, predicted: quota, ours: true}.observed(t)},
		Orphans: []map[string]any{
			orphanOf(t, "v1", "PersistentVolumeClaim", "lab", "data", core.OriginCreated),
			orphanOf(t, "v1", "ConfigMap", "lab", "restored", core.OriginCreated),
		}}
	r := rendering(t, []string{quota})
	caused, drift := Split(Make(core.Revision{}, obs, Options{}), r, r,
		[]string{"PersistentVolumeClaim/lab/data", r.Objects[0].ID.String()})
	names := func(p core.Plan) (out []string) {
		for _, c := range p.Changes {
			out = append(out, string(c.Action)+" "+string(c.Class)+" "+c.ID.String())
		}
		return out
	}
	if diff := cmp.Diff([]string{"hold  PersistentVolumeClaim/lab/data"}, names(caused)); diff != "" {
		t.Errorf("caused (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"update edited " + r.Objects[0].ID.String(), "delete orphan ConfigMap/lab/restored"}, names(drift)); diff != "" {
		t.Errorf("drift (-want +got):\n%s", diff)
	}
}
