package apply_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"prumo.dev/prumo/internal/apply"
	"prumo.dev/prumo/internal/core"
)

func TestPruneWhatWeCreated(t *testing.T) {
	w := newWorld(t)
	service := "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: " + w.name + "}\nspec: {ports: [{port: 80}]}"
	w.put(t, of(render(t, w.namespace(), w.configMap("a", "x"), w.configMap("b", "x"), service), "s", core.SpecID{Kind: "Test", Name: "a"}))
	plan := w.plan(t, render(t, w.namespace(), w.configMap("b", "x")))
	w.sent()
	want := []string{"delete ConfigMap/a done", "delete Service/s done"}
	if diff := cmp.Diff(want, told(w.apply(t, plan))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	var deletes []string
	for _, q := range w.sent() {
		if path, ok := strings.CutPrefix(q, "DELETE "); ok {
			deletes = append(deletes, path[strings.LastIndex(path, "/")+1:])
		}
	}
	if diff := cmp.Diff([]string{"s", "a"}, deletes); diff != "" {
		t.Errorf("order of deletion (-want +got)\n%s", diff)
	}
	if live(t, w.maps(), "a") != nil || live(t, w.maps(), "b") == nil {
		t.Error("a is there, or b is not")
	}
}

// A plan is believed only as far as the live object bears it out.
func TestPruneGuard(t *testing.T) {
	tests := []struct {
		name   string
		before func(t *testing.T, w *world, plan *core.Plan) // happens between plan and apply
		status core.Status
		reason string
	}{
		{"nothing happens", func(*testing.T, *world, *core.Plan) {}, core.StatusDone, ""},
		{"gone already", func(t *testing.T, w *world, _ *core.Plan) {
			if err := w.maps().Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}, core.StatusDone, ""},
		{"label removed", func(t *testing.T, w *world, _ *core.Plan) {
			patch(t, w.maps(), "a", `{"metadata":{"labels":{"prumo.dev/owner":null}}}`)
		}, core.StatusFailed, "does not carry our mark"},
		{"given to another instance", func(t *testing.T, w *world, _ *core.Plan) {
			patch(t, w.maps(), "a", `{"metadata":{"labels":{"prumo.dev/owner":"other"}}}`)
		}, core.StatusFailed, "does not carry our mark"},
		{"id changed", func(t *testing.T, w *world, _ *core.Plan) {
			patch(t, w.maps(), "a", `{"metadata":{"annotations":{"prumo.dev/id":"ConfigMap/x/y"}}}`)
		}, core.StatusFailed, "does not carry our mark"},
		{"marked as adopted", func(t *testing.T, w *world, _ *core.Plan) {
			patch(t, w.maps(), "a", `{"metadata":{"annotations":{"prumo.dev/origin":"adopted"}}}`)
		}, core.StatusFailed, "was there before us"},
		{"origin removed", func(t *testing.T, w *world, _ *core.Plan) {
			patch(t, w.maps(), "a", `{"metadata":{"annotations":{"prumo.dev/origin":null}}}`)
		}, core.StatusFailed, "was there before us"},
		{"made anew, marks and all", func(t *testing.T, w *world, _ *core.Plan) { remake(t, w, "a") }, core.StatusFailed, "made anew"},
		{"a copy, with a plan that fits it", func(t *testing.T, w *world, plan *core.Plan) {
			plan.Changes[0].UID = remake(t, w, "a")
		}, core.StatusFailed, "does not carry our mark"},
		{"a plan that names no uid", func(t *testing.T, w *world, plan *core.Plan) { plan.Changes[0].UID = "" }, core.StatusFailed, "made anew"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.put(t, render(t, w.namespace(), w.configMap("a", "x")))
			plan := w.plan(t, render(t, w.namespace()))
			if len(plan.Changes) != 1 || plan.Changes[0].Action != core.ActionDelete {
				t.Fatalf("plan: %+v", plan.Changes)
			}
			tt.before(t, w, &plan)
			o := w.apply(t, plan).Outcomes[0]
			if o.Status != tt.status || !strings.Contains(o.Reason, tt.reason) {
				t.Errorf("%s: %q; want %s: %q", o.Status, o.Reason, tt.status, tt.reason)
			}
			if gone := live(t, w.maps(), "a") == nil; gone != (tt.status == core.StatusDone) {
				t.Errorf("gone: %v", gone)
			}
		})
	}
}

// remake deletes an object and makes a copy of it, as people do.
func remake(t *testing.T, w *world, name string) (uid string) {
	t.Helper()
	old := unstructured.Unstructured{Object: live(t, w.maps(), name)}
	if err := w.maps().Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{Object: object(t, w.configMap(name, "x")).Fields}
	u.SetLabels(old.GetLabels())
	u.SetAnnotations(old.GetAnnotations())
	u, err := w.maps().Create(t.Context(), u, metav1.CreateOptions{FieldManager: "kubectl-create"})
	if err != nil {
		t.Fatal(err)
	}
	return string(u.GetUID())
}

// A change between our last look and the deletion stops the deletion.
func TestPruneIsBoundToWhatWasRead(t *testing.T) {
	w := newWorld(t)
	w.put(t, render(t, w.namespace(), w.configMap("a", "x")))
	plan := w.plan(t, render(t, w.namespace()))
	w.meddle = before("DELETE", func() { patch(t, w.maps(), "a", `{"metadata":{"labels":{"prumo.dev/owner":null}}}`) })
	o := w.apply(t, plan).Outcomes[0]
	if o.Status != core.StatusFailed || !strings.Contains(o.Reason, "changed since") || live(t, w.maps(), "a") == nil {
		t.Errorf("%+v; want failed, and the object there", o)
	}
}

// approved is a plan that a person approved.
func approved(plan core.Plan) core.Plan {
	plan.Approval.Plan = plan.Hash
	return plan
}

func TestProtectedKindsNeedThisPlansApproval(t *testing.T) {
	w := newWorld(t)
	claim := "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data, namespace: " + w.name + "}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}"
	w.put(t, render(t, w.namespace(), claim, w.configMap("keep", "x")))
	plan := w.plan(t, render(t, w.configMap("keep", "x")))
	want := []string{"delete Namespace/" + w.name + " held", "delete PersistentVolumeClaim/data held"}
	elsewhere := plan.Changes[0]
	elsewhere.UID = "of another object of that name"
	for name, approval := range map[string]core.Approval{
		"none": {}, "another plan": {Plan: "0000"}, "another object": {Begun: map[string]bool{elsewhere.Deed(): true}},
	} {
		plan := plan
		plan.Approval = approval
		if diff := cmp.Diff(want, told(w.apply(t, plan))); diff != "" {
			t.Errorf("approved: %s (-want +got)\n%s", name, diff)
		}
	}
	unhashed := plan
	unhashed.Hash = ""
	if n := w.apply(t, unhashed).Count(core.StatusHeld); n != 2 {
		t.Errorf("a plan without hash: %d held; want 2", n)
	}
	result := w.apply(t, approved(plan))
	if result.Count(core.StatusDone) != 2 {
		t.Errorf("approved: %+v", result.Outcomes)
	}
	// Without a controller manager both stay until their finalizers go.
	if len(result.NotReady) != 2 {
		t.Fatalf("not ready: %+v; want what holds both", result.NotReady)
	}
	for _, o := range result.NotReady {
		if !strings.Contains(o.Reason, "held by finalizers kubernetes") {
			t.Errorf("%s: %q", o.ID, o.Reason)
		}
	}
}

func TestNodeIsNeverDeleted(t *testing.T) {
	w := newWorld(t)
	nodes := w.people.Resource(gvr("", "nodes"))
	node := "apiVersion: v1\nkind: Node\nmetadata: {name: " + w.name + ", labels: {a: b}}\nspec: {taints: [{key: nvidia.com/gpu, effect: NoSchedule}]}"
	bare := &unstructured.Unstructured{Object: object(t, "apiVersion: v1\nkind: Node\nmetadata: {name: "+w.name+"}").Fields}
	if _, err := nodes.Create(t.Context(), bare, metav1.CreateOptions{FieldManager: "kubelet"}); err != nil {
		t.Fatal(err)
	}
	r := render(t, node)
	w.put(t, r)
	if plan := w.plan(t, r); !plan.Empty() {
		t.Errorf("applied, and yet planned again: %+v", plan.Changes)
	}
	if n := len(at(live(t, nodes, w.name), "spec", "taints").([]any)); n != 1 {
		t.Errorf("%d taints", n)
	}

	create := core.Change{ID: r.Objects[0].ID, Action: core.ActionCreate, Manifest: object(t, strings.Replace(node, w.name, "ghost", 1)).Fields}
	if o := w.apply(t, core.Plan{Changes: []core.Change{create}}).Outcomes[0]; o.Status != core.StatusFailed || o.Reason != "a Node is never created" {
		t.Errorf("%+v", o)
	}

	plan := w.plan(t, core.Rendering{})
	plan.Changes[0].Action = core.ActionDelete
	patch(t, nodes, w.name, `{"metadata":{"annotations":{"prumo.dev/origin":"created"}}}`)
	if o := w.apply(t, approved(plan)).Outcomes[0]; o.Status != core.StatusFailed || o.Reason != "a Node is never deleted" {
		t.Errorf("%+v", o)
	}
	plan.Changes[0].Action = core.ActionRelease
	if o := w.apply(t, plan).Outcomes[0]; o.Status != core.StatusDone {
		t.Errorf("%+v", o)
	}
	got := live(t, nodes, w.name)
	if got == nil || at(got, "spec", "taints") != nil || at(got, "metadata", "labels", core.LabelOwner) != nil || at(got, "metadata", "labels", "a") != nil {
		t.Errorf("after release: %v", got)
	}
}

func TestAdoptedIsReleased(t *testing.T) {
	w := newWorld(t)
	w.put(t, render(t, w.namespace()))
	u := &unstructured.Unstructured{Object: object(t, w.configMap("a", "theirs")).Fields}
	unstructured.SetNestedField(u.Object, "too", "data", "more")
	if _, err := w.maps().Create(t.Context(), u, metav1.CreateOptions{FieldManager: "kubectl-create"}); err != nil {
		t.Fatal(err)
	}
	w.put(t, render(t, w.namespace(), w.configMap("a", "theirs")))
	if plan := w.plan(t, render(t, w.namespace(), w.configMap("a", "theirs"))); !plan.Empty() {
		t.Fatalf("adopted, and yet planned again: %+v", plan.Changes)
	}
	plan := w.plan(t, render(t, w.namespace()))
	if diff := cmp.Diff([]string{"release ConfigMap/a done"}, told(w.apply(t, plan))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	got := unstructured.Unstructured{Object: live(t, w.maps(), "a")}
	if got.Object == nil || len(got.GetLabels()) != 0 || len(got.GetAnnotations()) != 0 {
		t.Errorf("after release: %v", got.Object)
	}
	if diff := cmp.Diff(any(map[string]any{"key": "theirs", "more": "too"}), got.Object["data"]); diff != "" {
		t.Errorf("data (-want +got)\n%s", diff)
	}
	if plan := w.plan(t, render(t, w.namespace())); !plan.Empty() {
		t.Errorf("released, and yet planned again: %+v", plan.Changes)
	}
}

func TestFinalizerIsNamed(t *testing.T) {
	w := newWorld(t)
	w.put(t, render(t, w.namespace(), w.configMap("a", "x")))
	patch(t, w.maps(), "a", `{"metadata":{"finalizers":["example.org/drain"]}}`)
	plan := w.plan(t, render(t, w.namespace()))
	result := w.apply(t, plan, apply.Options{Wait: 300 * time.Millisecond})
	want := ": held by finalizers example.org/drain"
	if o := result.Outcomes[0]; o.Status != core.StatusDone || !strings.HasPrefix(o.Reason, "is being deleted since ") || !strings.HasSuffix(o.Reason, want) || len(result.NotReady) != 1 {
		t.Errorf("%+v, not ready %+v; want done, %s", o, result.NotReady, want)
	}
}

func TestReplace(t *testing.T) {
	w := newWorld(t)
	immutable := w.configMap("a", "one") + "\nimmutable: true"
	w.put(t, render(t, w.namespace(), immutable))
	before := at(live(t, w.maps(), "a"), "metadata", "uid")
	plan := w.plan(t, render(t, w.namespace(), strings.Replace(immutable, "one", "two", 1)))
	plan.Changes[0].Action = core.ActionReplace
	manifest := plan.Changes[0].Manifest
	if diff := cmp.Diff([]string{"replace ConfigMap/a done"}, told(w.apply(t, plan))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	after := live(t, w.maps(), "a")
	if at(after, "data", "key") != "two" || at(after, "metadata", "uid") == before || at(after, "metadata", "annotations", core.AnnotationOrigin) != core.OriginCreated {
		t.Errorf("after: %v", after)
	}
	if at(manifest, "metadata", "resourceVersion") != nil {
		t.Error("the plan was changed")
	}
}

// Whatever a Dataset rendered is deleted under an approval alone, whatever a plan
// says.
func TestDatasetNeedsThisPlansApproval(t *testing.T) {
	w := newWorld(t)
	w.put(t, of(render(t, w.namespace(), w.configMap("a", "x")), "a", core.SpecID{Kind: core.KindDataset, Name: "a"}))
	plan := w.plan(t, render(t, w.namespace()))
	if o := w.apply(t, plan).Outcomes[0]; o.Status != core.StatusHeld {
		t.Errorf("not approved: %+v", o)
	}
	if o := w.apply(t, approved(plan)).Outcomes[0]; o.Status != core.StatusDone {
		t.Errorf("approved: %+v", o)
	}
}

// The same object from another spec, or at another version of its API, is the same
// object: nothing is deleted.
func TestMovesDeleteNothing(t *testing.T) {
	w := newWorld(t)
	crd := `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: beds.apply.example}
spec:
  group: apply.example
  scope: Namespaced
  names: {kind: Bed, plural: beds}
  versions:
  - &v {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
  - {name: v1beta1, served: true, storage: false, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}`
	bed := "apiVersion: apply.example/v1beta1\nkind: Bed\nmetadata: {name: b, namespace: " + w.name + "}\nspec: {size: 1}"
	w.put(t, render(t, crd, w.namespace(), bed, w.configMap("a", "x")))
	uid := at(live(t, w.maps(), "a"), "metadata", "uid")
	moved := of(render(t, crd, w.namespace(), strings.Replace(bed, "v1beta1", "v1", 1), w.configMap("a", "x")), "a", core.SpecID{Kind: "Test", Name: "moved"})
	moved.Objects[3].Pos.File = "elsewhere.yaml"
	for _, c := range w.plan(t, moved).Changes {
		if c.Action != core.ActionUpdate {
			t.Errorf("%s %s: %s", c.Action, c.ID, c.Reason)
		}
	}
	w.put(t, moved)
	if plan := w.plan(t, moved); !plan.Empty() {
		t.Errorf("moved, and yet planned again: %+v", plan.Changes)
	}
	if after := at(live(t, w.maps(), "a"), "metadata", "uid"); after != uid {
		t.Error("a was made anew")
	}
}
