package cluster_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"prumo.dev/prumo/internal/core"
)

var stamp = regexp.MustCompile(`since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: `)

// held is what an observation says of an object that is being deleted, without
// the time.
func held(o core.Observation, kind, name string) string {
	for id, how := range o.Leaving {
		if id.Kind == kind && id.Name == name {
			return stamp.ReplaceAllString(how, "")
		}
	}
	return "is not being deleted"
}

func remove(t *testing.T, r dynamic.ResourceInterface, name string) {
	t.Helper()
	if err := r.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func claim(ns string) string {
	return "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data, namespace: " + ns + "}\nspec: {accessModes: [ReadWriteOnce], storageClassName: '', resources: {requests: {storage: 1Gi}}}"
}

// An object that is stuck in deletion says what holds it, wanted or not.
func TestHeldByFinalizers(t *testing.T) {
	w := newWorld(t)
	ns := w.namespace(t)
	maps := w.any.Resource(gvr("", "configmaps")).Namespace(ns)
	w.put(t, render(t, configMap(ns, "wanted", "x"), configMap(ns, "orphan", "x"), configMap(ns, "fine", "x")))
	for _, name := range []string{"wanted", "orphan"} {
		body := []byte(`{"metadata":{"finalizers":["example.org/drain","example.org/drain-2"]}}`)
		if _, err := maps.Patch(t.Context(), name, types.MergePatchType, body, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		remove(t, maps, name)
	}
	o := w.observe(t, render(t, configMap(ns, "wanted", "x"), configMap(ns, "fine", "x")))
	for _, name := range []string{"wanted", "orphan"} {
		if diff := cmp.Diff("held by finalizers example.org/drain, example.org/drain-2", held(o, "ConfigMap", name)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	if len(o.Leaving) != 2 {
		t.Errorf("%d are being deleted; want 2", len(o.Leaving))
	}
}

func TestHeldByPods(t *testing.T) {
	w := newWorld(t)
	ns := w.namespace(t)
	w.put(t, render(t, claim(ns)))
	for _, document := range []string{
		"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default, namespace: " + ns + "}",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: other, namespace: " + ns + "}\nspec: {containers: [{name: c, image: c}]}",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: user, namespace: " + ns + "}\nspec: {containers: [{name: c, image: c}], volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]}",
	} {
		u := unstructuredOf(t, document)
		r := w.any.Resource(gvr("", strings.ToLower(u.GetKind())+"s")).Namespace(ns)
		if _, err := r.Create(t.Context(), u, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	remove(t, w.any.Resource(gvr("", "persistentvolumeclaims")).Namespace(ns), "data")
	r := render(t, claim(ns))
	if diff := cmp.Diff("held by finalizers kubernetes.io/pvc-protection (used by pods user)", held(w.observe(t, r), "PersistentVolumeClaim", "data")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	t.Run("blind", func(t *testing.T) {
		blind := newWorld(t, func(cfg *rest.Config) { cfg.Wrap((&wire{banned: "/pods"}).wrap) })
		if diff := cmp.Diff("held by finalizers kubernetes.io/pvc-protection (a pod uses it; which cannot be read)", held(blind.observe(t, r), "PersistentVolumeClaim", "data")); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// A namespace that is being deleted says what is left in it, and blocks what it
// would take with it. Nothing here ends a namespace: the conditions are those that
// its controller writes.
func TestNamespaceThatIsTerminating(t *testing.T) {
	w := newWorld(t)
	ns := instanceOf(t)
	r := render(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+ns+"}", configMap(ns, "there", "x"))
	w.put(t, render(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+ns+"}"))
	w.put(t, r)
	all := w.any.Resource(gvr("", "namespaces"))
	remove(t, all, ns)
	r = render(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+ns+"}", configMap(ns, "there", "x"), configMap(ns, "new", "x"))
	if got := held(w.observe(t, r), "Namespace", ns); got != "held by finalizers kubernetes" {
		t.Errorf("before its controller looks: %q", got)
	}
	body := `{"status":{"conditions":[
		{"type":"NamespaceDeletionDiscoveryFailure","status":"False","message":"All resources successfully discovered"},
		{"type":"NamespaceContentRemaining","status":"True","message":"Some resources are remaining: configmaps. has 1 resource instances"},
		{"type":"NamespaceFinalizersRemaining","status":"True","message":"Some content in the namespace has finalizers remaining: example.org/drain in 1 resource instances"}]}}`
	if _, err := all.Patch(t.Context(), ns, types.MergePatchType, []byte(body), metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	want := "held by Some resources are remaining: configmaps. has 1 resource instances; Some content in the namespace has finalizers remaining: example.org/drain in 1 resource instances"
	o := w.observe(t, r)
	if diff := cmp.Diff(want, held(o, "Namespace", ns)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, seen := range o.Objects {
		if got := stamp.ReplaceAllString(seen.Blocked, ""); seen.Object.ID.Kind == "ConfigMap" && got != "namespace "+ns+" is terminating ("+want+")" {
			t.Errorf("%s: %q", seen.Object.ID, got)
		}
	}
	if diff := cmp.Diff(want, held(w.observe(t, core.Rendering{}), "Namespace", ns)); diff != "" {
		t.Errorf("an orphan (-want +got)\n%s", diff)
	}
	t.Run("of somebody else", func(t *testing.T) {
		if got := one(t, newWorld(t).observe(t, render(t, configMap(ns, "new", "x"))), "ConfigMap").Blocked; got != "namespace "+ns+" is terminating" {
			t.Errorf("%q", got)
		}
	})
}
