package diff

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

// orphanOf is a live object with our marks.
func orphanOf(t testing.TB, apiVersion, kind, namespace, name, origin string) map[string]any {
	t.Helper()
	m := object(t, fmt.Sprintf(`{apiVersion: %s, kind: %s, metadata: {name: %s, uid: u-%s, resourceVersion: "7"}}`, apiVersion, kind, name, name))
	if namespace != "" {
		dig(m, "metadata")["namespace"] = namespace
	}
	return marked(m, origin)
}

func configMaps(t testing.TB, n int) []map[string]any {
	var out []map[string]any
	for i := range n {
		out = append(out, orphanOf(t, "v1", "ConfigMap", "lab", fmt.Sprintf("c%03d", i), core.OriginCreated))
	}
	return out
}

// inOrder are n objects that are as they should be.
func inOrder(t testing.TB, n int) []core.Observed {
	var out []core.Observed
	for i := range n {
		y := fmt.Sprintf(`{apiVersion: v1, kind: Service, metadata: {name: s%d, namespace: lab}, spec: {type: ClusterIP}}`, i)
		out = append(out, fixture{want: y, live: y, predicted: y, ours: true}.observed(t))
	}
	return out
}

func TestOrphans(t *testing.T) {
	unmarked := orphanOf(t, "v1", "ConfigMap", "lab", "copy", core.OriginCreated)
	dig(unmarked, "metadata", "annotations")[core.AnnotationID] = "ConfigMap/lab/original"
	noOwner := orphanOf(t, "v1", "ConfigMap", "lab", "x", core.OriginCreated)
	delete(dig(noOwner, "metadata", "labels"), core.LabelOwner)
	terminating := orphanOf(t, "v1", "ConfigMap", "lab", "x", core.OriginCreated)
	dig(terminating, "metadata")["deletionTimestamp"] = "2026-11-22T09:00:00Z"

	hold := core.ActionHold
	tests := []struct {
		name   string
		live   map[string]any
		action core.Action
		wanted core.Action
		reason string
	}{
		{"created", orphanOf(t, "v1", "ConfigMap", "lab", "x", core.OriginCreated), core.ActionDelete, "", "nothing renders it"},
		{"adopted", orphanOf(t, "v1", "ConfigMap", "lab", "x", core.OriginAdopted), core.ActionRelease, "", "the object stays"},
		{"origin unknown", orphanOf(t, "v1", "ConfigMap", "lab", "x", ""), core.ActionRelease, "", "the object stays"},
		{"Node", orphanOf(t, "v1", "Node", "", "x", core.OriginCreated), core.ActionRelease, "", "the Node stays"},
		{"Namespace", orphanOf(t, "v1", "Namespace", "", "x", core.OriginCreated), hold, core.ActionDelete, "needs an approval"},
		{"CRD", orphanOf(t, "apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "x", core.OriginCreated), hold, core.ActionDelete, "needs an approval"},
		{"PV", orphanOf(t, "v1", "PersistentVolume", "", "x", core.OriginCreated), hold, core.ActionDelete, "needs an approval"},
		{"PVC", orphanOf(t, "v1", "PersistentVolumeClaim", "lab", "x", core.OriginCreated), hold, core.ActionDelete, "needs an approval"},
		{"being deleted", terminating, core.ActionBlocked, "", "is being deleted"},
		{"a copy made with kubectl", unmarked, "", "", ""},
		{"no owner label", noOwner, "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Make(core.Revision{}, core.Observation{Objects: inOrder(t, 1), Orphans: []map[string]any{tt.live}}, Options{})
			if tt.action == "" {
				if !p.Empty() {
					t.Fatalf("got %+v, want it left alone", p.Changes)
				}
				return
			}
			c := one(t, p)
			if c.Action != tt.action || c.Wanted != tt.wanted || !strings.Contains(c.Reason, tt.reason) || c.Class != core.DriftOrphan {
				t.Errorf("got %s (wanted %q, class %s): %s", c.Action, c.Wanted, c.Class, c.Reason)
			}
			if c.UID != "u-x" || c.Spec.String() != "GPUPool/h100" {
				t.Errorf("got uid %q, spec %q", c.UID, c.Spec)
			}
		})
	}
}

func TestHold(t *testing.T) {
	tests := []struct {
		name    string
		objects int
		orphans int
		opts    Options
		held    bool
		reason  string
	}{
		{"few", 1, 5, Options{}, false, ""},
		{"too many", 1, 6, Options{}, true, "6 of 7 objects would go, more than the 5"},
		{"a tenth of many", 90, 10, Options{}, false, ""},
		{"more than a tenth of many", 89, 11, Options{}, true, "11 of 100"},
		{"nothing is wanted", 0, 1, Options{}, true, "renders to nothing at all"},
		{"own limits", 100, 2, Options{MaxDelete: 1, MaxDeleteShare: 0.01}, true, "2 of 102"},
		{"none at all", 100, 1, Options{MaxDelete: -1, MaxDeleteShare: -1}, true, "more than the 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			obs := core.Observation{Objects: inOrder(t, tt.objects), Orphans: configMaps(t, tt.orphans)}
			p := Make(core.Revision{}, obs, tt.opts)
			held := p.Count(core.ActionHold)
			if tt.held != (held == tt.orphans) || !tt.held && held > 0 {
				t.Fatalf("%d of %d are held, want all: %v", held, tt.orphans, tt.held)
			}
			if c := p.Changes[0]; !strings.Contains(c.Reason, tt.reason) {
				t.Errorf("got reason %q, want %q in it", c.Reason, tt.reason)
			}
			if p.Approvable() != tt.held {
				t.Errorf("approvable: %v, want %v", p.Approvable(), tt.held)
			}
			// The hash of the held plan releases it, and no other does.
			tt.opts.Approval.Plan = p.Hash
			approved := Make(core.Revision{}, obs, tt.opts)
			if approved.Hash != p.Hash || approved.Count(core.ActionDelete) != tt.orphans {
				t.Errorf("approved: %d deletes of %d, hash changed: %v", approved.Count(core.ActionDelete), tt.orphans, approved.Hash != p.Hash)
			}
			tt.opts.Approval.Plan = strings.Repeat("0", 64)
			if again := Make(core.Revision{}, obs, tt.opts); again.Count(core.ActionHold) != held {
				t.Errorf("another hash releases %d", held-again.Count(core.ActionHold))
			}
		})
	}
}

// TestHoldsWhatHasSomethingInIt proves that no approval lets a namespace or a
// definition go while something is in it that is to stay.
func TestHoldsWhatHasSomethingInIt(t *testing.T) {
	namespace := func(name string) map[string]any { return orphanOf(t, "v1", "Namespace", "", name, core.OriginCreated) }
	definition := func(kind string) map[string]any {
		crd := orphanOf(t, "apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "x", core.OriginCreated)
		crd["spec"] = object(t, fmt.Sprintf("{group: lab.example, names: {kind: %s}}", kind))
		return crd
	}
	rack := `{apiVersion: lab.example/v1, kind: Rack, metadata: {name: r1}}`
	declared := append(inOrder(t, 1), fixture{want: rack, live: rack, predicted: rack, ours: true}.observed(t))
	for _, tt := range []struct {
		name    string
		orphans []map[string]any
		reason  string
	}{
		{"declared in the namespace", []map[string]any{namespace("lab")}, "Service/lab/s0, which GPUPool/h100 declares, would go with it"},
		{"declared elsewhere", []map[string]any{namespace("other")}, ""},
		{"adopted in the namespace", []map[string]any{namespace("other"), orphanOf(t, "v1", "ConfigMap", "other", "x", core.OriginAdopted)}, "ConfigMap/other/x, which was there before us, would go with it"},
		{"goes, too", []map[string]any{namespace("other"), orphanOf(t, "v1", "ConfigMap", "other", "x", core.OriginCreated)}, ""},
		{"declared of the kind", []map[string]any{definition("Rack")}, "Rack.lab.example/r1, which GPUPool/h100 declares, would go with it"},
		{"declared of another kind", []map[string]any{definition("Row")}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			obs := core.Observation{Objects: declared, Orphans: tt.orphans}
			hash := Make(core.Revision{}, obs, Options{}).Hash
			p := Make(core.Revision{}, obs, Options{Approval: core.Approval{Plan: hash}})
			i := slices.IndexFunc(p.Changes, func(c core.Change) bool {
				return c.ID.Kind == "Namespace" || c.ID.Kind == "CustomResourceDefinition"
			})
			c := p.Changes[i]
			if held := c.Action == core.ActionHold; held != (tt.reason != "") || c.Approvable || !strings.Contains(c.Reason, tt.reason) {
				t.Errorf("got %s (approvable %t): %s", c.Action, c.Approvable, c.Reason)
			}
		})
	}
}

func TestReplaceIsReleasedByItsHash(t *testing.T) {
	f := fixture{want: replace(deployment, "matchLabels: {app: web}", "matchLabels: {app: web2}"), live: deployment, ours: true, blocked: "immutable"}
	p := f.plan(t, Options{})
	if c := one(t, f.plan(t, Options{Approval: core.Approval{Plan: p.Hash}})); c.Action != core.ActionReplace || c.Risk != core.RiskDestructive {
		t.Errorf("got %s, %s; want replace", c.Action, c.Risk)
	}
}

func TestHash(t *testing.T) {
	base := fixture{want: quota, live: quotaLive, predicted: quota, ours: true, managers: editedQuota}
	hash := func(f fixture) string { return f.plan(t, Options{}).Hash }
	with := func(change func(*fixture)) fixture {
		f := base
		change(&f)
		return f
	}
	same := map[string]fixture{
		"again":        base,
		"other owner":  with(func(f *fixture) { f.managers = "" }),
		"status moves": with(func(f *fixture) { f.live = replace(f.live, `pods: "7"`, `pods: "9"`) }),
		"field ignored": with(func(f *fixture) {
			f.predicted = replace(f.predicted, "namespace: vision", "namespace: vision, generation: 9")
		}),
	}
	for name, f := range same {
		if hash(f) != hash(base) {
			t.Errorf("%s: the hash changed", name)
		}
	}
	other := map[string]fixture{
		"other wanted value": with(func(f *fixture) { f.predicted = replace(f.predicted, `"8"`, `"9"`) }),
		"other live value":   with(func(f *fixture) { f.live = replace(f.live, `"16"`, `"17"`) }),
		"one more field":     with(func(f *fixture) { f.predicted = replace(f.predicted, `"100"`, `"101"`) }),
		"adopt":              with(func(f *fixture) { f.ours = false }),
		"force": with(func(f *fixture) {
			f.conflicts = []core.Conflict{{Path: gpuField, Manager: "kubectl-edit", Operation: "Update"}}
		}),
		"blocked": with(func(f *fixture) { f.blocked = "no" }),
	}
	for name, f := range other {
		if hash(f) == hash(base) {
			t.Errorf("%s: the hash is the same", name)
		}
	}
	if Make(core.Revision{Commit: "a"}, core.Observation{Objects: inOrder(t, 1)}, Options{}).Hash != Make(core.Revision{Commit: "b"}, core.Observation{}, Options{}).Hash {
		t.Error("the revision is in the hash")
	}
}

func TestHashBindsWhatIsNotShown(t *testing.T) {
	wide := func(last string) string {
		var b strings.Builder
		b.WriteString("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: lab}\ndata:\n")
		for i := range maxFields + 10 {
			fmt.Fprintf(&b, "  f%04d: a\n", i)
		}
		return b.String() + "  z: " + last + "\n"
	}
	a, b := fixture{want: wide("1")}.plan(t, Options{}), fixture{want: wide("2")}.plan(t, Options{})
	if len(a.Changes[0].Fields) != maxFields || !strings.Contains(a.Changes[0].Reason, "11 more fields are not shown") {
		t.Errorf("got %d fields, reason %q", len(a.Changes[0].Fields), a.Changes[0].Reason)
	}
	if a.Hash == b.Hash {
		t.Error("a field that is not shown is not in the hash")
	}
}

func TestOrder(t *testing.T) {
	created := func(apiVersion, kind, namespace string) core.Observed {
		ns := ""
		if namespace != "" {
			ns = ", namespace: " + namespace
		}
		return fixture{want: fmt.Sprintf(`{apiVersion: %s, kind: %s, metadata: {name: x%s}}`, apiVersion, kind, ns)}.observed(t)
	}
	obs := core.Observation{
		Objects: []core.Observed{
			created("apps/v1", "Deployment", "lab"), created("kueue.x-k8s.io/v1beta2", "LocalQueue", "lab"), created("v1", "Service", "lab"),
			created("v1", "ConfigMap", "lab"), created("v1", "ResourceQuota", "lab"), created("scheduling.k8s.io/v1", "PriorityClass", ""),
			created("v1", "Namespace", ""), created("v1", "ServiceAccount", "lab"),
		},
		Expects: []core.Observed{fixture{want: `{apiVersion: v1, kind: Node, metadata: {name: a}, status: {x: 1}}`}.observed(t)},
		Orphans: []map[string]any{
			orphanOf(t, "v1", "Namespace", "", "old", core.OriginCreated), orphanOf(t, "apps/v1", "Deployment", "old", "d", core.OriginCreated),
			orphanOf(t, "v1", "Service", "old", "s", core.OriginCreated),
		},
	}
	order := func(p core.Plan) (out []string) {
		for _, c := range p.Changes {
			out = append(out, c.ID.Kind)
		}
		return out
	}
	want := []string{"Namespace", "PriorityClass", "ServiceAccount", "ResourceQuota", "ConfigMap", "Service", "Deployment", "LocalQueue",
		"Deployment", "Service", "Namespace", "Node"}
	if d := cmp.Diff(want, order(Make(core.Revision{}, obs, Options{}))); d != "" {
		t.Errorf("order (-want +got):\n%s", d)
	}
	slices.Reverse(obs.Objects)
	slices.Reverse(obs.Orphans)
	if d := cmp.Diff(want, order(Make(core.Revision{}, obs, Options{}))); d != "" {
		t.Errorf("order depends on the input (-want +got):\n%s", d)
	}
}

// TestHoldWhatNobodyCanApprove has a caller who does not know what is wanted:
// nothing goes, not even what the hash of the plan approves.
func TestHoldWhatNobodyCanApprove(t *testing.T) {
	obs := core.Observation{Objects: inOrder(t, 100), Orphans: configMaps(t, 1)}
	opts := Options{Hold: "the repo has problems"}
	p := Make(core.Revision{}, obs, opts)
	opts.Approval.Plan = p.Hash
	c := one(t, Make(core.Revision{}, obs, opts))
	if c.Action != core.ActionHold || c.Wanted != core.ActionDelete {
		t.Errorf("got %s (%s), want a held deletion", c.Action, c.Wanted)
	}
	if p.Approvable() || c.Approvable {
		t.Error("an approval is offered")
	}
	if !strings.HasSuffix(c.Reason, "nothing is deleted now: the repo has problems") {
		t.Errorf("reason %q, want it to end with why", c.Reason)
	}
}

// Whatever a Dataset rendered waits for an approval, be it only a policy.
func TestHoldDataset(t *testing.T) {
	policy := func(spec string) map[string]any {
		return object(t, `{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: storage, namespace: x, uid: u, labels: {prumo.dev/owner: lab},
			annotations: {prumo.dev/id: NetworkPolicy.networking.k8s.io/x/storage, prumo.dev/origin: created, prumo.dev/spec: `+spec+`}}}`)
	}
	for spec, held := range map[string]int{"Dataset/scans": 1, "MLTool/scans": 0} {
		p := Make(core.Revision{}, core.Observation{Objects: inOrder(t, 1), Orphans: []map[string]any{policy(spec)}}, Options{})
		if got := p.Count(core.ActionHold); got != held {
			t.Errorf("%s: %d held, want %d: %+v", spec, got, held, p.Changes)
		}
	}
}
