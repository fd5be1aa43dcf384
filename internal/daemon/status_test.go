package daemon_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"prumo.dev/prumo/internal/core"
)

// busyKind renders a kind of each way in which controllers report.
const busyKind = `package kinds
import "prumo.dev/schemas"
kinds: Busy: schemas.#Kind & {
	in: schemas.#Envelope & {kind: "Busy", spec: {}}
	site: _
	let at = {name: "a", namespace: in.metadata.name}
	objects: {
		ns: {apiVersion: "v1", kind: "Namespace", metadata: name: in.metadata.name}
		quota: {apiVersion: "v1", kind: "ResourceQuota", metadata: at, spec: hard: pods: "3"}
		claim: {apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: at, spec: {accessModes: ["ReadWriteOnce"], resources: requests: storage: "1Gi"}}
		deployment: {apiVersion: "apps/v1", kind: "Deployment", metadata: at, spec: {replicas: 0, selector: matchLabels: app: "a", template: {metadata: labels: app: "a", spec: containers: [{name: "c", image: "i"}]}}}
		budget: {apiVersion: "policy/v1", kind: "PodDisruptionBudget", metadata: at, spec: {minAvailable: 1, selector: matchLabels: app: "a"}}
		plain: {apiVersion: "status.example.org/v1", kind: "Plain", metadata: at, spec: size: 1}
	}
}
`

// plains is a kind without the subresource status: who reports writes the object.
const plains = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: plains.status.example.org}
spec:
  group: status.example.org
  scope: Namespaced
  names: {kind: Plain, plural: plains}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`

// reports are what controllers write, over and over.
var reports = []struct {
	resource schema.GroupVersionResource
	status   string // %d changes
	sub      []string
}{
	{schema.GroupVersionResource{Version: "v1", Resource: "resourcequotas"}, `{"used": {"pods": "%d"}}`, []string{"status"}},
	{schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}, `{"phase": "Bound", "capacity": {"storage": "%dGi"}}`, []string{"status"}},
	{schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, `{"observedGeneration": 1, "replicas": 9, "readyReplicas": %d}`, []string{"status"}},
	{schema.GroupVersionResource{Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"}, `{"currentHealthy": %d}`, []string{"status"}},
	{schema.GroupVersionResource{Group: "status.example.org", Version: "v1", Resource: "plains"}, `{"progress": %d}`, nil},
}

// TestStatusIsNoDrift has controllers report of objects in one namespace, and a person
// edit their like in another. Events of one kind come in order: once the edit is seen, so
// are the reports. They cost no request, and are no drift.
func TestStatusIsNoDrift(t *testing.T) {
	const busy, edited = "status-busy", "status-edited"
	files := map[string]string{"kinds/busy.cue": busyKind}
	for _, name := range []string{busy, edited} {
		files["busy/"+name+".yaml"] = fmt.Sprintf("apiVersion: prumo.dev/v1alpha1\nkind: Busy\nmetadata: {name: %s}\nspec: {}\n", name)
	}
	p := newPlant(t, files)
	people := dynamic.NewForConfigOrDie(p.lab.Config())
	definition := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(plains), &definition.Object); err != nil {
		t.Fatal(err)
	}
	definitions := people.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	if _, err := definitions.Create(t.Context(), definition, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = definitions.Delete(t.Context(), definition.GetName(), metav1.DeleteOptions{}) })
	p.until("all is in sync", inSync)
	patch := func(resource schema.GroupVersionResource, namespace, manager, body string, sub ...string) {
		t.Helper()
		_, err := people.Resource(resource).Namespace(namespace).Patch(t.Context(), "a", types.MergePatchType, []byte(body), metav1.PatchOptions{FieldManager: manager}, sub...)
		if err != nil {
			t.Fatalf("%s: %v", resource.Resource, err)
		}
	}
	for _, r := range reports {
		for n := range 5 {
			patch(r.resource, busy, "a-controller", `{"status": `+fmt.Sprintf(r.status, n+1)+`}`, r.sub...)
		}
		patch(r.resource, edited, "kubectl-edit", fmt.Sprintf(`{"metadata": {"annotations": {%q: "edited"}}}`, core.AnnotationSpec))
	}
	var sent []string
	var records []core.DriftRecord
	until(t, "all edits are put back", func() error {
		rep, requests := p.pass(0)
		if sent, records = append(sent, requests...), rep.Records; len(records) < len(reports) || !rep.Drift.Empty() {
			return fmt.Errorf("drift %s, records %+v", show(rep.Drift), records)
		}
		return nil
	})
	if i := slices.IndexFunc(sent, func(s string) bool { return strings.Contains(s, busy) }); i >= 0 || len(sent) == 0 {
		t.Errorf("sent %v; want requests about what was edited alone", sent)
	}
	for _, r := range records {
		if r.Object.Namespace != edited {
			t.Errorf("a record of %s: %+v", r.Object, r)
		}
	}
}
