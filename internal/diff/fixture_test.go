package diff

import (
	"strings"
	"testing"

	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"prumo.dev/prumo/internal/core"
)

// object reads YAML as an API client does: whole numbers are int64.
func object(t testing.TB, text string) map[string]any {
	t.Helper()
	if strings.TrimSpace(text) == "" {
		return nil
	}
	data, err := yaml.YAMLToJSON([]byte(strings.ReplaceAll(text, "\t", "  ")))
	if err != nil {
		t.Fatalf("fixture: %v\n%s", err, text)
	}
	var m map[string]any
	if err := utiljson.Unmarshal(data, &m); err != nil {
		t.Fatalf("fixture: %v\n%s", err, text)
	}
	return m
}

// dig returns the map below m at the given fields, making it if need be.
func dig(m map[string]any, fields ...string) map[string]any {
	for _, f := range fields {
		next, ok := m[f].(map[string]any)
		if !ok {
			next = map[string]any{}
			m[f] = next
		}
		m = next
	}
	return m
}

// marked adds the marks of an object that origin says is ours.
func marked(m map[string]any, origin string) map[string]any {
	if m == nil {
		return nil
	}
	dig(m, "metadata", "labels")[core.LabelOwner] = "prod"
	a := dig(m, "metadata", "annotations")
	a[core.AnnotationID] = identify(m).String()
	a[core.AnnotationSpec] = "GPUPool/h100"
	a[core.AnnotationOrigin] = origin
	return m
}

// An observation of one object, as YAML.
type fixture struct {
	want, live, predicted string
	ours                  bool
	origin                string // default created
	managers              string // metadata.managedFields of live
	conflicts             []core.Conflict
	blocked, unchecked    string
	take                  bool
}

func (f fixture) observed(t testing.TB) core.Observed {
	t.Helper()
	if f.origin == "" {
		f.origin = core.OriginCreated
	}
	want := object(t, f.want)
	o := core.Observed{
		Object: core.Object{ID: identify(want), Spec: core.SpecID{Kind: "GPUPool", Name: "h100"},
			Pos: core.Pos{File: "pools/h100.cue", Line: 3, Col: 1}, Fields: want},
		Spec:      core.Spec{Drift: core.DriftCorrect, TakeConflicts: f.take},
		Manifest:  marked(object(t, f.want), f.origin),
		Live:      object(t, f.live),
		Predicted: object(t, f.predicted),
		Conflicts: f.conflicts, Blocked: f.blocked, Unchecked: f.unchecked,
		Ours: f.ours,
	}
	if f.ours {
		marked(o.Live, f.origin)
	}
	if o.Predicted != nil {
		marked(o.Predicted, f.origin)
	}
	if o.Live != nil {
		meta := dig(o.Live, "metadata")
		meta["uid"], meta["resourceVersion"] = "11111111-2222", "42"
		if f.managers != "" {
			meta["managedFields"] = object(t, "list:\n"+f.managers)["list"]
		}
	}
	return o
}

// plan makes the plan of one object among many that are in order, so that no
// share of deletions is too large.
func (f fixture) plan(t testing.TB, opts Options) core.Plan {
	t.Helper()
	return Make(core.Revision{Commit: "abc"}, core.Observation{Objects: []core.Observed{f.observed(t)}}, opts)
}

// one returns the only change of a plan.
func one(t testing.TB, p core.Plan) core.Change {
	t.Helper()
	if len(p.Changes) != 1 {
		t.Fatalf("got %d changes, want 1: %+v", len(p.Changes), p.Changes)
	}
	return p.Changes[0]
}

const quota = `
apiVersion: v1
kind: ResourceQuota
metadata: {name: h100, namespace: vision}
spec: {hard: {requests.nvidia.com/gpu: "8", pods: "100"}}
`

const quotaLive = `
apiVersion: v1
kind: ResourceQuota
metadata: {name: h100, namespace: vision}
spec: {hard: {requests.nvidia.com/gpu: "16", pods: "100"}}
status: {hard: {pods: "100"}, used: {pods: "7"}}
`

// editedQuota is who owns what after kubectl edit of one quota.
const editedQuota = `
- manager: prumo
  operation: Apply
  time: "2026-11-20T10:00:00Z"
  fieldsV1: {"f:spec": {"f:hard": {"f:pods": {}}}}
- manager: kubectl-edit
  operation: Update
  time: "2026-11-22T09:30:00Z"
  fieldsV1: {"f:spec": {"f:hard": {"f:requests.nvidia.com/gpu": {}}}}
- manager: kube-controller-manager
  operation: Update
  subresource: status
  time: "2026-11-22T09:31:00Z"
  fieldsV1: {"f:status": {"f:used": {".": {}, "f:pods": {}}}}
`
