package cluster_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"prumo.dev/prumo/internal/cluster"
	"prumo.dev/prumo/internal/core"
)

// A Deployment that we took over whole cannot exist without what we own of it.
func TestReleaseWhatCannotBeEmptied(t *testing.T) {
	w := newWorld(t)
	ns := w.namespace(t)
	document := `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: ` + ns + `}
spec: {replicas: 3, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: example.org/web}]}}}`
	r := render(t, document)
	w.put(t, r)
	live, err := w.Get(t.Context(), r.Objects[0].Fields)
	if err != nil {
		t.Fatal(err)
	}
	after, err := w.Release(t.Context(), live)
	if err != nil {
		t.Fatal(err)
	}
	u := unstructured.Unstructured{Object: after}
	if w.Owns(after) || len(u.GetLabels()) != 0 || at(after, "metadata", "annotations", core.AnnotationID) != nil {
		t.Errorf("marks stay: %v", after["metadata"])
	}
	if at(after, "spec", "replicas") != int64(3) {
		t.Errorf("values are gone: %v", after["spec"])
	}
	for _, e := range u.GetManagedFields() {
		if e.Manager == core.FieldManager && e.Operation == metav1.ManagedFieldsOperationApply {
			t.Errorf("fields are still ours: %+v", e)
		}
	}
}

// What was written in our name, but not applied, is not somebody else's.
func TestNoConflictWithOurselves(t *testing.T) {
	w := newWorld(t)
	ns := w.namespace(t)
	r := render(t, configMap(ns, "a", "one"))
	w.put(t, r)
	maps := w.any.Resource(gvr("", "configmaps")).Namespace(ns)
	if _, err := maps.Patch(t.Context(), "a", types.MergePatchType, []byte(`{"data":{"key":"two"}}`), metav1.PatchOptions{FieldManager: core.FieldManager}); err != nil {
		t.Fatal(err)
	}
	got := one(t, w.observe(t, r), "ConfigMap")
	if len(got.Conflicts) != 0 || at(got.Predicted, "data", "key") != "one" {
		t.Errorf("conflicts %v, predicted %v", got.Conflicts, got.Predicted)
	}
	after, err := w.Apply(t.Context(), got.Manifest, cluster.ApplyOptions{})
	if err != nil || at(after, "data", "key") != "one" {
		t.Errorf("applied %v, %v", after, err)
	}
}
