package diff

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

// summary is what a case says of a change.
type summary struct {
	Action core.Action
	Class  core.DriftClass
	Risk   core.Risk
	Force  bool
	Fields []string // path: from -> to
	Reason string   // a part of it
}

func summarize(c core.Change, want summary) summary {
	got := summary{Action: c.Action, Class: c.Class, Risk: c.Risk, Force: c.Force, Fields: fieldLines(c)}
	got.Reason = c.Reason
	if want.Reason != "" && strings.Contains(c.Reason, want.Reason) {
		got.Reason = want.Reason
	}
	return got
}

func fieldLines(c core.Change) []string {
	var out []string
	for _, f := range c.Fields {
		out = append(out, f.Path+": "+text(f.From)+" -> "+text(f.To))
	}
	return out
}

func text(v any) string {
	if v == nil {
		return "none"
	}
	s, ok := v.(string)
	if !ok {
		return cmp.Diff(nil, v)
	}
	return s
}

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: vision}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: "web:1"}]}}
`

func replace(s string, oldnew ...string) string { return strings.NewReplacer(oldnew...).Replace(s) }

const gpuField = `.spec.hard["requests.nvidia.com/gpu"]`

// actions is one case for each thing that may become of an object.
func actionCases() map[string]struct {
	fixture
	want summary
} {
	claim := `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: d, namespace: lab}, spec: {storageClassName: fast}}`
	return map[string]struct {
		fixture
		want summary
	}{
		"create": {fixture{want: `{apiVersion: v1, kind: Namespace, metadata: {name: n, labels: {a: b}}}`, predicted: `{apiVersion: v1, kind: Namespace, metadata: {name: n, labels: {a: b}}, spec: {finalizers: [kubernetes]}}`},
			summary{Action: core.ActionCreate, Class: core.DriftDeleted, Fields: []string{".metadata.labels.a: none -> b"}}},
		"create unchecked": {fixture{want: quota, unchecked: "namespace"},
			summary{Action: core.ActionCreate, Class: core.DriftDeleted, Fields: []string{".spec.hard.pods: none -> 100", gpuField + ": none -> 8"}}},
		"update": {fixture{want: quota, live: quotaLive, predicted: quota, ours: true},
			summary{Action: core.ActionUpdate, Class: core.DriftEdited, Risk: core.RiskDisruptive, Fields: []string{gpuField + ": 16 -> 8"}}},
		"update, a quota is raised": {fixture{want: quota, live: replace(quotaLive, `"16"`, `"4"`), predicted: quota, ours: true},
			summary{Action: core.ActionUpdate, Class: core.DriftEdited, Fields: []string{gpuField + ": 4 -> 8"}}},
		"in order": {fixture{want: quota, live: quota, predicted: quota, ours: true},
			summary{}},
		"adopt without a difference": {fixture{want: quota, live: quota, predicted: quota},
			summary{Action: core.ActionAdopt, Class: core.DriftUnowned}},
		"adopt does not print what is not ours": {fixture{want: quota, live: replace(quotaLive, "spec: {hard: {", `spec: {scopes: ["private"], hard: {`), predicted: replace(quota, "spec: {hard: {", `spec: {scopes: ["other"], hard: {`)},
			summary{Action: core.ActionAdopt, Class: core.DriftUnowned, Risk: core.RiskDisruptive, Fields: []string{gpuField + ": " + notOurs + " -> 8", ".spec.scopes[0]: " + notOurs + " -> " + notOurs}}},
		"refused by the server": {fixture{want: quota, blocked: "the API is not served"},
			summary{Action: core.ActionBlocked, Class: core.DriftBlocked, Reason: "the API is not served"}},
		"refused for another reason": {fixture{want: deployment, live: replace(deployment, "web:1", "web:0"), ours: true, blocked: "a webhook says no"},
			summary{Action: core.ActionBlocked, Class: core.DriftBlocked, Reason: "a webhook says no", Fields: []string{".spec.template.spec.containers[name=web].image: web:0 -> web:1"}}},
		"replace is held": {fixture{want: replace(deployment, "matchLabels: {app: web}", "matchLabels: {app: web2}"), live: deployment, ours: true, blocked: "field is immutable"},
			summary{Action: core.ActionHold, Class: core.DriftEdited, Risk: core.RiskDestructive, Reason: ".spec.selector.matchLabels.app cannot be changed in place", Fields: []string{".spec.selector.matchLabels.app: web -> web2"}}},
		"nothing adopted is replaced": {fixture{want: replace(deployment, "matchLabels: {app: web}", "matchLabels: {app: web2}"), live: deployment, ours: true, origin: core.OriginAdopted, blocked: "immutable"},
			summary{Action: core.ActionBlocked, Class: core.DriftBlocked, Reason: "was adopted", Fields: []string{".spec.selector.matchLabels.app: web -> web2"}}},
		"nothing of others is replaced": {fixture{want: replace(deployment, "matchLabels: {app: web}", "matchLabels: {app: web2}"), live: deployment, blocked: "immutable"},
			summary{Action: core.ActionBlocked, Class: core.DriftBlocked, Reason: "not ours to replace", Fields: []string{".spec.selector.matchLabels.app: " + notOurs + " -> web2"}}},
		"a claim is never replaced": {fixture{want: replace(claim, "fast", "slow"), live: claim, ours: true, blocked: "immutable"},
			summary{Action: core.ActionBlocked, Class: core.DriftBlocked, Reason: "is never replaced", Fields: []string{".spec.storageClassName: fast -> slow"}}},
		"being deleted": {fixture{want: quota, live: replace(quota, "namespace: vision}", `namespace: vision, deletionTimestamp: "2026-11-22T09:00:00Z", finalizers: [a/b]}`), predicted: quota, ours: true},
			summary{Action: core.ActionBlocked, Class: core.DriftDeleted, Reason: "is being deleted; it is made anew once it is gone"}},
		"of another instance": {fixture{want: quota, live: replace(quota, "namespace: vision}", `namespace: vision, labels: {prumo.dev/owner: lab2}, annotations: {prumo.dev/id: ResourceQuota/vision/h100}}`), predicted: quota},
			summary{Action: core.ActionBlocked, Class: core.DriftBlocked, Reason: `belongs to the instance "lab2"`}},
		"a copy of an object of another instance": {fixture{want: quota, live: replace(quota, "namespace: vision}", `namespace: vision, labels: {prumo.dev/owner: lab2}, annotations: {prumo.dev/id: ResourceQuota/vision/other}}`), predicted: quota},
			summary{Action: core.ActionAdopt, Class: core.DriftUnowned, Fields: []string{
				`.metadata.annotations["prumo.dev/id"]: ` + notOurs + ` -> ` + notOurs, `.metadata.labels["prumo.dev/owner"]: ` + notOurs + ` -> ` + notOurs}}},
	}
}

func TestMake(t *testing.T) {
	for name, tt := range actionCases() {
		t.Run(name, func(t *testing.T) {
			p := tt.plan(t, Options{})
			if tt.want.Action == "" {
				if !p.Empty() || p.Unchanged != 1 {
					t.Fatalf("got %+v, want nothing to do", p.Changes)
				}
				return
			}
			c := one(t, p)
			if d := cmp.Diff(tt.want, summarize(c, tt.want)); d != "" {
				t.Errorf("change (-want +got):\n%s", d)
			}
			if c.Pos.String() != "pools/h100.cue:3:1" || c.Spec.String() != "GPUPool/h100" {
				t.Errorf("got spec %s at %s", c.Spec, c.Pos)
			}
		})
	}
}

func TestMakeCarriesWhatApplyNeeds(t *testing.T) {
	f := fixture{want: quota, live: quotaLive, predicted: quota, ours: true}
	c := one(t, f.plan(t, Options{}))
	if c.UID != "11111111-2222" || c.ResourceVersion != "42" || c.Live == nil || label(c.Manifest, core.LabelOwner) != "prod" {
		t.Errorf("got uid %q, resourceVersion %q, live %v, manifest %v", c.UID, c.ResourceVersion, c.Live, c.Manifest)
	}
}

func TestLostMarkIsRestored(t *testing.T) {
	o := fixture{want: quota, live: quota, predicted: quota, ours: true}.observed(t)
	delete(dig(o.Live, "metadata", "annotations"), core.AnnotationSpec)
	c := one(t, Make(core.Revision{}, core.Observation{Objects: []core.Observed{o}}, Options{}))
	want := []string{`.metadata.annotations["prumo.dev/spec"]: none -> GPUPool/h100`}
	if d := cmp.Diff(want, fieldLines(c)); d != "" || c.Action != core.ActionUpdate {
		t.Errorf("%s with fields (-want +got):\n%s", c.Action, d)
	}
}

func TestConflicts(t *testing.T) {
	conflict := func(manager, operation string) []core.Conflict {
		return []core.Conflict{{Path: gpuField, Manager: manager, Operation: operation}}
	}
	scaled := `
- {manager: hpa, operation: Update, subresource: scale, time: "2026-11-22T09:30:00Z", fieldsV1: {"f:spec": {"f:replicas": {}}}}
`
	fields := []string{gpuField + ": 16 -> 8"}
	hiddenFields := []string{gpuField + ": " + notOurs + " -> 8"}
	tests := []struct {
		name string
		fixture
		want summary
	}{
		{"a live edit is taken back",
			fixture{want: quota, live: quotaLive, predicted: quota, ours: true, managers: editedQuota, conflicts: conflict("kubectl-edit", "Update")},
			summary{Action: core.ActionUpdate, Class: core.DriftEdited, Risk: core.RiskDisruptive, Force: true, Fields: fields}},
		{"another declarative owner blocks",
			fixture{want: quota, live: quotaLive, predicted: quota, ours: true, conflicts: conflict("helm", "Apply")},
			summary{Action: core.ActionBlocked, Class: core.DriftBlocked, Fields: fields, Reason: gpuField + " belongs to helm (Apply)"}},
		{"an autoscaler blocks",
			fixture{want: quota, live: quotaLive, predicted: quota, ours: true, managers: scaled, conflicts: conflict("hpa", "Update")},
			summary{Action: core.ActionBlocked, Class: core.DriftBlocked, Fields: fields, Reason: "belongs to hpa"}},
		{"on what is not ours an edit blocks, too",
			fixture{want: quota, live: quotaLive, predicted: quota, conflicts: conflict("kubectl-edit", "Update")},
			summary{Action: core.ActionBlocked, Class: core.DriftBlocked, Fields: hiddenFields, Reason: "belongs to kubectl-edit"}},
		{"the spec may take it",
			fixture{want: quota, live: quotaLive, predicted: quota, conflicts: conflict("helm", "Apply"), take: true},
			summary{Action: core.ActionAdopt, Class: core.DriftUnowned, Risk: core.RiskDisruptive, Force: true, Fields: hiddenFields, Reason: "takes over: " + gpuField + " belongs to helm (Apply)"}},
		{"one dispute among edits blocks",
			fixture{want: quota, live: quotaLive, predicted: quota, ours: true, conflicts: append(conflict("kubectl-edit", "Update"), conflict("argocd", "Apply")...)},
			summary{Action: core.ActionBlocked, Class: core.DriftBlocked, Fields: fields, Reason: "belongs to argocd"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := one(t, tt.plan(t, Options{}))
			if d := cmp.Diff(tt.want, summarize(c, tt.want)); d != "" {
				t.Errorf("change (-want +got):\n%s", d)
			}
			if len(c.Conflicts) == 0 {
				t.Error("the conflicts are not shown")
			}
		})
	}
}

func TestExpects(t *testing.T) {
	const expect = `{apiVersion: v1, kind: Node, metadata: {name: gpu-01}, status: {capacity: {nvidia.com/gpu: 8}}}`
	node := func(gpus string) string {
		return `{apiVersion: v1, kind: Node, metadata: {name: gpu-01}, status: {capacity: {cpu: "64", nvidia.com/gpu: "` + gpus + `"}}}`
	}
	kubelet := `
- {manager: kubelet, operation: Update, subresource: status, time: "2026-11-22T09:30:00Z", fieldsV1: {"f:status": {"f:capacity": {"f:nvidia.com/gpu": {}}}}}
`
	tests := []struct {
		name, live string
		want       *summary
	}{
		{"as declared", node("8"), nil},
		{"as declared, as a quantity", node("8000m"), nil},
		{"one is gone", node("7"), &summary{Action: core.ActionObserve, Class: core.DriftHardware, Fields: []string{`.status.capacity["nvidia.com/gpu"]: 7 -> ` + text(int64(8))}}},
		{"one too many", node("9"), &summary{Action: core.ActionObserve, Class: core.DriftHardware, Fields: []string{`.status.capacity["nvidia.com/gpu"]: 9 -> ` + text(int64(8))}}},
		{"no node", "", &summary{Action: core.ActionObserve, Class: core.DriftHardware, Reason: "is declared and does not exist", Fields: []string{`.status.capacity["nvidia.com/gpu"]: none -> ` + text(int64(8))}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := fixture{want: expect, live: tt.live, managers: kubelet}.observed(t)
			p := Make(core.Revision{}, core.Observation{Expects: []core.Observed{o}}, Options{})
			if tt.want == nil {
				if !p.Empty() {
					t.Fatalf("got %+v, want nothing", p.Changes)
				}
				return
			}
			c := one(t, p)
			if d := cmp.Diff(*tt.want, summarize(c, *tt.want)); d != "" {
				t.Errorf("change (-want +got):\n%s", d)
			}
			if tt.live != "" && c.Fields[0].Manager != "kubelet" {
				t.Errorf("got manager %q, want kubelet", c.Fields[0].Manager)
			}
			if c.Manifest != nil {
				t.Error("an expectation has a manifest: it could be written")
			}
		})
	}
}

func TestAttribution(t *testing.T) {
	at := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	tests := []struct {
		name     string
		live     string
		managers string
		manager  string
		since    time.Time
	}{
		{"who edited", quotaLive, editedQuota, "kubectl-edit", at},
		{"ours if nobody else's", quotaLive, `
- {manager: prumo, operation: Apply, time: "2026-11-20T10:00:00Z", fieldsV1: {"f:spec": {"f:hard": {"f:requests.nvidia.com/gpu": {}}}}}
`, "prumo", time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)},
		{"others before us, the last of them", quotaLive, `
- {manager: prumo, operation: Apply, time: "2026-11-22T11:00:00Z", fieldsV1: {"f:spec": {"f:hard": {"f:requests.nvidia.com/gpu": {}}}}}
- {manager: helm, operation: Apply, time: "2026-11-21T10:00:00Z", fieldsV1: {"f:spec": {"f:hard": {"f:requests.nvidia.com/gpu": {}}}}}
- {manager: kubectl-edit, operation: Update, time: "2026-11-22T09:30:00Z", fieldsV1: {"f:spec": {"f:hard": {"f:requests.nvidia.com/gpu": {}}}}}
`, "kubectl-edit", at},
		{"held as a whole from above", quotaLive, `
- {manager: atomic, operation: Update, time: "2026-11-22T09:30:00Z", fieldsV1: {"f:spec": {"f:hard": {}}}}
`, "atomic", at},
		{"the last of many", quotaLive, `
- {manager: broad, operation: Update, time: "2026-11-22T09:30:00Z", fieldsV1: {"f:aa": {"f:b": {}}, "f:metadata": {"f:labels": {"f:a": {}}}, "f:spec": {"f:aa": {"f:c": {}}, "f:hard": {"f:a": {}, "f:requests.nvidia.com/gpu": {}, "f:z": {}}, "f:zz": {"f:d": {}}}, "f:zzz": {"f:e": {}}}}
`, "broad", at},
		{"not held though the parent is", quotaLive, `
- {manager: other, operation: Update, time: "2026-11-22T09:30:00Z", fieldsV1: {"f:spec": {"f:hard": {".": {}, "f:pods": {}}}}}
`, "", time.Time{}},
		{"unreadable entries are left out", quotaLive, `
- {manager: broken, operation: Update, time: "2026-11-22T09:30:00Z", fieldsV1: {"x:spec": 1}}
`, "", time.Time{}},
		{"removed by the only one who wrote beside it since", replace(quotaLive, `requests.nvidia.com/gpu: "16", `, ""), replace(editedQuota, "f:requests.nvidia.com/gpu", "f:services"), "kubectl-edit", at},
		{"removed, by whom is not known", replace(quotaLive, `requests.nvidia.com/gpu: "16", `, ""), replace(editedQuota, "f:requests.nvidia.com/gpu", "f:services", "2026-11-22T09:30", "2026-11-19T09:30"), "", time.Time{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := one(t, fixture{want: quota, live: tt.live, predicted: quota, ours: true, managers: tt.managers}.plan(t, Options{}))
			f := c.Fields[0]
			if f.Manager != tt.manager || !f.Since.Equal(tt.since) {
				t.Errorf("%s: got manager %q since %s, want %q since %s", f.Path, f.Manager, f.Since, tt.manager, tt.since)
			}
		})
	}
}

func TestAttributionInLists(t *testing.T) {
	managers := `
- {manager: prumo, operation: Apply, time: "2026-11-20T10:00:00Z", fieldsV1: {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': {".": {}, "f:name": {}}}}}}}}
- {manager: kubectl-set, operation: Update, time: "2026-11-22T09:30:00Z", fieldsV1: {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': {"f:image": {}}}}}}}}
- {manager: other, operation: Update, time: "2026-11-22T09:40:00Z", fieldsV1: {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"log"}': {"f:image": {}}}}}}}}
`
	c := one(t, fixture{want: deployment, live: replace(deployment, "web:1", "web:evil"), predicted: deployment, ours: true, managers: managers}.plan(t, Options{}))
	want := core.FieldChange{Path: ".spec.template.spec.containers[name=web].image", From: "web:evil", To: "web:1",
		Manager: "kubectl-set", Operation: "Update", Since: time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)}
	if d := cmp.Diff([]core.FieldChange{want}, c.Fields); d != "" {
		t.Errorf("fields (-want +got):\n%s", d)
	}
	if c.Risk != core.RiskRestarts {
		t.Errorf("got risk %q, want restarts pods", c.Risk)
	}
}

// TestMakeWhileOthersWrite has an object that a controller changed after it was
// read and before the dry-run: that is not drift, what we declare still is.
func TestMakeWhileOthersWrite(t *testing.T) {
	claim := func(volume string, version string, annotations string) string {
		return `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: lab, resourceVersion: "` + version + `", annotations: {` + annotations + `}}
spec: {volumeName: ` + volume + `}
`
	}
	const want = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: lab}
spec: {volumeName: data}
`
	f := fixture{ours: true, want: want, live: claim("data", "42", ""),
		predicted: claim("data", "43", "pv.kubernetes.io/bind-completed: \"yes\"")}
	if p := f.plan(t, Options{}); len(p.Changes) != 0 {
		t.Errorf("a controller's annotation counts as ours: %+v", p.Changes)
	}
	f.live = claim("other", "42", "")
	c := one(t, f.plan(t, Options{}))
	if len(c.Fields) != 1 || c.Fields[0].Path != ".spec.volumeName" {
		t.Errorf("fields %+v, want .spec.volumeName alone", c.Fields)
	}
}
