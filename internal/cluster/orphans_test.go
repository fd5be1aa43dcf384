package cluster_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"prumo.dev/prumo/internal/core"
)

func orphanNames(o core.Observation) []string {
	var names []string
	for _, m := range o.Orphans {
		u := unstructured.Unstructured{Object: m}
		names = append(names, u.GetKind()+"/"+u.GetName())
	}
	return names
}

func TestOrphans(t *testing.T) {
	w := newWorld(t)
	ns := w.namespace(t)
	account := fmt.Sprintf("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: runner, namespace: %s}", ns)
	role := fmt.Sprintf("apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: reader, namespace: %s}\nrules: []", ns)
	w.put(t, render(t, configMap(ns, "kept", "x"), configMap(ns, "dropped", "x"), account, role))

	// A copy, as kubectl get -o yaml | sed | kubectl apply makes one.
	maps := w.any.Resource(gvr("", "configmaps")).Namespace(ns)
	u, err := maps.Get(t.Context(), "dropped", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, field := range map[string]string{"copied": "kubectl-create", "forged": core.FieldManager} {
		c := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "data": u.Object["data"]}}
		c.SetName(name)
		c.SetLabels(u.GetLabels())
		c.SetAnnotations(u.GetAnnotations())
		if name == "forged" { // names itself, but was not applied
			notes := u.GetAnnotations()
			notes[core.AnnotationID] = "ConfigMap/" + ns + "/forged"
			c.SetAnnotations(notes)
		}
		if _, err := maps.Create(t.Context(), c, metav1.CreateOptions{FieldManager: field}); err != nil {
			t.Fatal(err)
		}
	}

	o := w.observe(t, render(t, configMap(ns, "kept", "x")))
	want := []string{"ConfigMap/dropped", "ServiceAccount/runner", "Role/reader"}
	if diff := cmp.Diff(want, orphanNames(o)); diff != "" {
		t.Errorf("orphans (-want +got)\n%s", diff)
	}
	for _, m := range o.Orphans {
		if len(m) != 3 || at(m, "metadata", "uid") == nil || at(m, "metadata", "resourceVersion") == nil {
			t.Errorf("an orphan is told by its metadata: %v", m)
		}
	}

	// The mark is removed: hands off.
	patch := []byte(`{"metadata":{"labels":{"prumo.dev/owner":null}}}`)
	if _, err := maps.Patch(t.Context(), "dropped", types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "kubectl-label"}); err != nil {
		t.Fatal(err)
	}
	o = w.observe(t, render(t, configMap(ns, "kept", "x")))
	if diff := cmp.Diff(want[1:], orphanNames(o)); diff != "" {
		t.Errorf("orphans without the unmarked (-want +got)\n%s", diff)
	}
}

// What a broken spec renders to is not known, so that its objects are no orphans.
func TestOrphansOfBrokenSpecs(t *testing.T) {
	w := newWorld(t)
	ns := w.namespace(t)
	all := render(t, configMap(ns, "a", "x"), configMap(ns, "b", "x"), configMap(ns, "c", "x"))
	w.put(t, all)
	a, b, c := core.SpecID{Kind: "Test", Name: "configmap-a"}, core.SpecID{Kind: "Test", Name: "configmap-b"}, core.SpecID{Kind: "Test", Name: "configmap-c"}
	tests := []struct {
		name string
		r    core.Rendering
		want []string
	}{
		{"nothing is broken", core.Rendering{Specs: []core.Spec{{ID: a}}}, []string{"ConfigMap/a", "ConfigMap/b", "ConfigMap/c"}},
		{"one is", core.Rendering{Specs: []core.Spec{{ID: a}, {ID: b}}, Problems: []core.Problem{{Spec: a}}}, []string{"ConfigMap/b", "ConfigMap/c"}},
		{"and what needs it", core.Rendering{Specs: []core.Spec{{ID: c, Refs: []core.SpecID{b}}, {ID: b, Refs: []core.SpecID{a}}, {ID: a}}, Problems: []core.Problem{{Spec: a}}}, nil},
		{"an unreadable file", core.Rendering{Problems: []core.Problem{{}}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, orphanNames(w.observe(t, tt.r))); diff != "" {
				t.Errorf("orphans (-want +got)\n%s", diff)
			}
		})
	}
}

// What a pass costs when nothing is to be done, in requests.
func TestCostOfObserving(t *testing.T) {
	w := newWorld(t)
	ns := w.namespace(t)
	var documents []string
	for i := range 50 {
		documents = append(documents, configMap(ns, fmt.Sprintf("c-%02d", i), "x"))
	}
	r := render(t, documents...)
	w.put(t, r)
	w.log.reset()
	w.observe(t, r)
	if n := w.log.count("GET", "/namespaces/"+ns+"/configmaps/"); n != 0 {
		t.Errorf("%d single reads of what one list shows", n)
	}
	if n := w.log.count("PATCH", ""); n != 50 {
		t.Errorf("%d dry-runs of 50 objects", n)
	}
	lists := w.log.count("GET", "")
	start := time.Now()
	w.observe(t, core.Rendering{})
	t.Logf("50 unchanged objects: %d lists, 50 dry-runs; a search for orphans takes %v", lists, time.Since(start).Round(time.Millisecond))
	if lists > 80 {
		t.Errorf("%d lists: more than one for each kind", lists)
	}
}

func TestAnotherInstance(t *testing.T) {
	w := newWorld(t)
	ns := w.namespace(t)
	r := render(t, configMap(ns, "a", "x"))
	w.put(t, r)
	t.Run("other", func(t *testing.T) {
		got := one(t, newWorld(t).observe(t, r), "ConfigMap")
		if want := "belongs to another instance of Prumo, testanotherinstance"; got.Blocked != want {
			t.Errorf("blocked %q; want %q", got.Blocked, want)
		}
	})
}

// An API that is gone is no empty cluster, whatever was served before.
func TestAPIThatWentAway(t *testing.T) {
	w := newWorld(t)
	ns := w.namespace(t)
	crds := w.any.Resource(gvr("apiextensions.k8s.io", "customresourcedefinitions"))
	crd := unstructuredOf(t, `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: lamps.gone.example}
spec: {group: gone.example, scope: Namespaced, names: {kind: Lamp, plural: lamps}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]}`)
	if _, err := crds.Create(t.Context(), crd, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	lamp := render(t, "apiVersion: gone.example/v1\nkind: Lamp\nmetadata: {name: l, namespace: "+ns+"}")
	waitUntil(t, "the API is served", func() bool { return one(t, w.observe(t, lamp), "Lamp").Predicted != nil })
	if err := crds.Delete(t.Context(), crd.GetName(), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	// The handler goes a little after the definition.
	waitUntil(t, "the API is told to be gone", func() bool {
		return strings.Contains(one(t, w.observe(t, lamp), "Lamp").Blocked, "does not serve")
	})
	if live, err := w.Get(t.Context(), lamp.Objects[0].Fields); err == nil {
		t.Errorf("get says %v and no error: that is absence", live)
	}
}

// waitUntil asks until something that the server does in its own time is done.
func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); {
		if time.Now().After(end) {
			t.Fatal("waited in vain until " + what)
		}
	}
}
