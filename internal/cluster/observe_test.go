package cluster_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"prumo.dev/prumo/internal/core"
)

func configMap(ns, name, value string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\ndata: {key: %s}", name, ns, value)
}

func TestObserveAbsentThenOurs(t *testing.T) {
	w := newWorld(t)
	ns := w.namespace(t)
	r := render(t, configMap(ns, "a", "one"))

	before := one(t, w.observe(t, r), "ConfigMap")
	if before.Live != nil || before.Ours || before.Blocked != "" || before.Unchecked != "" {
		t.Errorf("absent object: %+v", before)
	}
	want := map[string]any{
		core.AnnotationID: "ConfigMap/" + ns + "/a", core.AnnotationSpec: "Test/configmap-a", core.AnnotationOrigin: core.OriginCreated,
	}
	if diff := cmp.Diff(any(want), at(before.Predicted, "metadata", "annotations")); diff != "" {
		t.Errorf("predicted marks (-want +got)\n%s", diff)
	}

	w.put(t, r)
	after := one(t, w.observe(t, r), "ConfigMap")
	if !after.Ours || at(after.Live, "data", "key") != "one" || at(after.Live, "metadata", "managedFields") == nil {
		t.Errorf("applied object: ours %v, live %v", after.Ours, after.Live)
	}
	ignore := cmpopts.IgnoreMapEntries(func(k string, _ any) bool { return k == "time" })
	if diff := cmp.Diff(after.Live, after.Predicted, ignore); diff != "" {
		t.Errorf("nothing changed, and yet (-live +predicted)\n%s", diff)
	}
}

func TestObserveAdoptsWhatOthersMade(t *testing.T) {
	w := newWorld(t)
	ns := w.namespace(t)
	u := unstructuredOf(t, configMap(ns, "a", "one"))
	if _, err := w.any.Resource(gvr("", "configmaps")).Namespace(ns).Create(t.Context(), u, metav1.CreateOptions{FieldManager: "kubectl-create"}); err != nil {
		t.Fatal(err)
	}
	got := one(t, w.observe(t, render(t, configMap(ns, "a", "one"))), "ConfigMap")
	if got.Ours || at(got.Manifest, "metadata", "annotations", core.AnnotationOrigin) != core.OriginAdopted {
		t.Errorf("ours %v, manifest %v; want not ours, adopted", got.Ours, got.Manifest)
	}
	if len(got.Conflicts) != 0 {
		t.Errorf("equal values conflict: %v", got.Conflicts)
	}

	w.put(t, render(t, configMap(ns, "a", "one")))
	got = one(t, w.observe(t, render(t, configMap(ns, "a", "one"))), "ConfigMap")
	if !got.Ours || at(got.Manifest, "metadata", "annotations", core.AnnotationOrigin) != core.OriginAdopted {
		t.Errorf("after adoption: ours %v, manifest %v; want ours, still adopted", got.Ours, got.Manifest)
	}
}

func TestObserveNamesConflicts(t *testing.T) {
	quota := `
apiVersion: v1
kind: ResourceQuota
metadata: {name: q, namespace: %s}
spec: {hard: {"requests.nvidia.com/gpu": "%d", pods: "10"}}`
	for _, tt := range []struct{ manager, operation string }{{"terraform", "Apply"}, {"kubectl-edit", "Update"}} {
		t.Run(tt.operation, func(t *testing.T) {
			w := newWorld(t)
			ns := w.namespace(t)
			r := render(t, fmt.Sprintf(quota, ns, 8))
			w.put(t, r)
			quotas := w.any.Resource(gvr("", "resourcequotas")).Namespace(ns)
			var err error
			if tt.operation == "Apply" {
				u := unstructuredOf(t, fmt.Sprintf(quota, ns, 4))
				_, err = quotas.Apply(t.Context(), "q", u, metav1.ApplyOptions{FieldManager: tt.manager, Force: true})
			} else {
				patch := `{"spec":{"hard":{"requests.nvidia.com/gpu":"4"}}}`
				_, err = quotas.Patch(t.Context(), "q", types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: tt.manager})
			}
			if err != nil {
				t.Fatal(err)
			}

			got := one(t, w.observe(t, r), "ResourceQuota")
			want := []core.Conflict{{Path: `.spec.hard["requests.nvidia.com/gpu"]`, Manager: tt.manager, Operation: tt.operation}}
			if diff := cmp.Diff(want, got.Conflicts, cmpopts.IgnoreFields(core.Conflict{}, "Since")); diff != "" {
				t.Errorf("conflicts (-want +got)\n%s", diff)
			}
			if len(got.Conflicts) == 1 && got.Conflicts[0].Since.IsZero() {
				t.Error("it is not told since when")
			}
			if v := at(got.Predicted, "spec", "hard", "requests.nvidia.com/gpu"); v != "8" {
				t.Errorf("predicted %v GPUs; want what taking the field would give, 8", v)
			}
			if !got.Ours {
				t.Error("a live edit made the object not ours")
			}
		})
	}
}

func TestObserveUncheckedAndBlocked(t *testing.T) {
	w := newWorld(t)
	ns := w.namespace(t)
	fresh := ns + "-fresh"
	crd := `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: lamps.observe.example}
spec: {group: observe.example, scope: Namespaced, names: {kind: Lamp, plural: lamps}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]}`
	tests := []struct{ name, document, kind, unchecked, blocked string }{
		{"namespace comes", configMap(fresh, "a", "x"), "ConfigMap", "namespace " + fresh + " comes with this plan", ""},
		{"API comes", "apiVersion: observe.example/v1\nkind: Lamp\nmetadata: {name: l, namespace: " + ns + "}", "Lamp", "its API observe.example/v1 Lamp comes with this plan", ""},
		{"no such namespace", configMap("nowhere", "a", "x"), "ConfigMap", "", "namespace nowhere does not exist and nothing in the repo creates it"},
		{"API not served", "apiVersion: kueue.x-k8s.io/v1beta2\nkind: ClusterQueue\nmetadata: {name: q}", "ClusterQueue", "", "the cluster does not serve kueue.x-k8s.io/v1beta2 ClusterQueue"},
		{"node absent", "apiVersion: v1\nkind: Node\nmetadata: {name: ghost, labels: {a: b}}\nspec: {taints: [{key: a, effect: NoSchedule}]}", "Node", "", "node ghost has not joined the cluster"},
		{"unknown field", "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: " + ns + "}\nspec: {prots: []}", "Service", "", ".spec.prots: field not declared"},
		{"invalid value", "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: " + ns + "}\nspec: {ports: [{port: 99999}]}", "Service", "", "spec.ports[0].port (Invalid)"},
		{"wrong type", "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: " + ns + "}\nspec: {ports: {port: 1}}", "Service", "", ".spec.ports: expected list"},
		{"namespace forgotten", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}", "Secret", "", "a Secret lives in a namespace"},
		{"namespace too much", "apiVersion: v1\nkind: Node\nmetadata: {name: abc, namespace: " + ns + "}", "Node", "", "a Node lives in no namespace"},
		{"namespace too much, again", "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: abc, namespace: " + ns + "}\nvalue: 1", "PriorityClass", "", "a PriorityClass lives in no namespace"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := render(t, tt.document, crd, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+fresh+"}", configMap(ns, "good", "x"))
			if tt.kind == "ConfigMap" {
				r.Objects = r.Objects[: len(r.Objects)-1 : len(r.Objects)-1]
				r = render(t, tt.document, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+fresh+"}")
			}
			o := w.observe(t, r)
			got := one(t, o, tt.kind)
			if got.Unchecked != tt.unchecked {
				t.Errorf("unchecked %q; want %q", got.Unchecked, tt.unchecked)
			}
			if (tt.blocked == "") != (got.Blocked == "") || !strings.Contains(got.Blocked, tt.blocked) {
				t.Errorf("blocked %q; want %q", got.Blocked, tt.blocked)
			}
			if got.Predicted != nil {
				t.Errorf("predicted, and yet unchecked or blocked: %v", got.Predicted)
			}
			if tt.kind != "ConfigMap" && one(t, o, "ConfigMap").Predicted == nil {
				t.Error("the bad object hides the good one")
			}
		})
	}
}

func TestObserveForbidden(t *testing.T) {
	w := newWorld(t, func(cfg *rest.Config) { cfg.Impersonate = rest.ImpersonationConfig{UserName: "nobody-special"} })
	ns := w.namespace(t)
	o := w.observe(t, render(t, configMap(ns, "a", "x")))
	got := one(t, o, "ConfigMap")
	for _, want := range []string{"forbidden", "nobody-special", "cannot get", "configmaps", ns} {
		if !strings.Contains(got.Blocked, want) {
			t.Errorf("blocked %q; want it to say %q", got.Blocked, want)
		}
	}
	err := w.Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), "forbid") {
		t.Errorf("check: %v; want forbidden", err)
	}
}

func TestObserveNeverQuotesSecrets(t *testing.T) {
	const value = "hunter2hunter2"
	w := newWorld(t)
	ns := w.namespace(t)
	for name, document := range map[string]string{
		"bad key":  `{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: %s}, stringData: {"not a key": hunter2hunter2}}`,
		"bad type": `{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: %s}, data: {key: "hunter2hunter2!"}}`,
		"bad tls":  `{apiVersion: v1, kind: Secret, type: hunter2hunter2/x/y, metadata: {name: s, namespace: %s}, stringData: {a: hunter2hunter2}}`,
		"nested":   `{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: %s}, hunter2hunter2: {a: b}}`,
	} {
		t.Run(name, func(t *testing.T) {
			got := one(t, w.observe(t, render(t, fmt.Sprintf(document, ns))), "Secret")
			if strings.Contains(got.Blocked+got.ServerSays, value) {
				t.Errorf("the message quotes the secret: %s", got.Blocked)
			}
			if name != "bad tls" && got.Blocked == "" {
				t.Error("it is not refused")
			}
			if strings.ContainsAny(got.Blocked, "\n\x1b") {
				t.Errorf("not one clean line: %q", got.Blocked)
			}
		})
	}
}

func TestObserveExpects(t *testing.T) {
	w := newWorld(t)
	name := instanceOf(t)
	node := unstructuredOf(t, "apiVersion: v1\nkind: Node\nmetadata: {name: "+name+", labels: {nvidia.com/gpu.count: '7'}}")
	if _, err := w.any.Resource(gvr("", "nodes")).Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var r core.Rendering
	r.Expects = append(r.Expects, objectOf(t, "apiVersion: v1\nkind: Node\nmetadata: {name: "+name+"}"), objectOf(t, "apiVersion: v1\nkind: Node\nmetadata: {name: no-such-node}"))
	got := w.observe(t, r).Expects
	if len(got) != 2 || at(got[0].Live, "metadata", "labels", "nvidia.com/gpu.count") != "7" || got[1].Live != nil || got[1].Blocked != "" {
		t.Errorf("expects: %+v", got)
	}
}
