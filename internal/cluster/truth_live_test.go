package cluster_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"prumo.dev/prumo/internal/core"
)

// TestNoFalseDrift applies what the server writes in another way, lets others
// write the same in theirs, and wants nothing to be planned.
func TestNoFalseDrift(t *testing.T) {
	pod := func(ns, resources string) string {
		with := web(ns, "one", "      volumes: [{name: tmp, emptyDir: {sizeLimit: 1024Mi}}]")
		return strings.Replace(with, `image: "one"`, `image: "one", resources: `+resources, 1)
	}
	for _, tt := range []struct {
		name     string
		document func(ns string) string
		group    string
		resource string
		object   string
		edits    []string // by people
	}{
		{"defaults", func(ns string) string { return web(ns, "one") }, "apps", "deployments", "web", []string{
			`{"spec":{"template":{"spec":{"dnsPolicy":"Default"}}}}`, // beside our fields
		}},
		{"quantities", func(ns string) string {
			return pod(ns, "{limits: {cpu: 1000m, memory: 1Gi}, requests: {cpu: 0.5, memory: 1073741824}}")
		}, "apps", "deployments", "web", []string{
			`{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"one","resources":{"limits":{"cpu":"1","memory":"1073741824"},"requests":{"cpu":"500m","memory":"1Gi"}}}]}}}}`,
			`{"spec":{"template":{"spec":{"volumes":[{"name":"tmp","emptyDir":{"sizeLimit":"1073741824"}}]}}}}`,
		}},
		{"quota", func(ns string) string {
			return "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q, namespace: " + ns + "}\nspec: {hard: {pods: 10000m, requests.memory: 1024Gi}}"
		}, "", "resourcequotas", "q", []string{`{"spec":{"hard":{"pods":"10","requests.memory":"1Ti"}}}`}},
		{"claim", func(ns string) string {
			return "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: c, namespace: " + ns + ", finalizers: [example.org/b, example.org/a]}\n" +
				"spec: {accessModes: [ReadWriteMany, ReadWriteOnce], storageClassName: none, resources: {requests: {storage: 1024Mi}}}"
		}, "", "persistentvolumeclaims", "c", []string{
			`{"metadata":{"finalizers":["example.org/a","example.org/b"]}}`,
			`{"metadata":{"finalizers":["kubernetes.io/pvc-protection","example.org/a","example.org/b"]}}`,
		}},
		{"set-like lists", func(ns string) string {
			return "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r, namespace: " + ns + "}\n" +
				"rules: [{apiGroups: [\"\", apps], resources: [configmaps, secrets], resourceNames: [b, a], verbs: [list, get]}]"
		}, "rbac.authorization.k8s.io", "roles", "r", []string{
			`{"rules":[{"apiGroups":["apps",""],"resources":["secrets","configmaps"],"resourceNames":["a","b"],"verbs":["get","list"]}]}`,
		}},
		{"keyed lists", func(ns string) string {
			return "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: " + ns + "}\nspec: {selector: {app: web}, ports: [{name: a, port: 80}, {name: b, port: 81}]}"
		}, "", "services", "s", []string{`{"spec":{"ports":[{"name":"b","port":81},{"name":"a","port":80}]}}`}},
		{"an older version", func(ns string) string {
			return "apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: {name: h, namespace: " + ns + "}\n" +
				"spec: {maxReplicas: 3, targetCPUUtilizationPercentage: 70, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}"
		}, "autoscaling", "horizontalpodautoscalers", "h", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachLook(t, func(t *testing.T, l *looker, ns string) {
				r := render(t, tt.document(ns))
				l.settle(t, r)
				objects := l.any.Resource(gvr(tt.group, tt.resource)).Namespace(ns)
				for _, body := range tt.edits {
					if err := edit(objects, tt.object, body)(); err != nil {
						t.Fatal(err)
					}
					if plan := l.plan(t, r); !plan.Empty() {
						t.Errorf("after %s planned: %+v", body, plan.Changes[0].Fields)
					}
				}
				// A watch tells in order: with this it has told all.
				const mark = `.metadata.annotations["prumo.dev/spec"]`
				if err := edit(objects, tt.object, `{"metadata":{"annotations":{"prumo.dev/spec":"edited"}}}`)(); err != nil {
					t.Fatal(err)
				}
				l.planned(t, r, mark)
			})
		})
	}
}

// planned waits until a plan has one change, and compares the paths of its fields.
func (l *looker) planned(t *testing.T, r core.Rendering, want ...string) core.Change {
	t.Helper()
	var plan core.Plan
	until(t, "something is planned", func() error {
		if plan = l.plan(t, r); len(plan.Changes) != 1 {
			return fmt.Errorf("planned: %+v", plan.Changes)
		}
		return nil
	})
	var got []string
	for _, f := range plan.Changes[0].Fields {
		got = append(got, f.Path)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields (-want +got)\n%s", diff)
	}
	return plan.Changes[0]
}

// TestOtherVersion moves a spec from one version of an API to the next, which says
// the same in other fields.
func TestOtherVersion(t *testing.T) {
	eachLook(t, func(t *testing.T, l *looker, ns string) {
		const head = "kind: HorizontalPodAutoscaler\nmetadata: {name: h, namespace: %s}\nspec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, "
		old := render(t, fmt.Sprintf("apiVersion: autoscaling/v1\n"+head+"targetCPUUtilizationPercentage: 70}", ns))
		l.settle(t, old)
		l.settle(t, render(t, fmt.Sprintf("apiVersion: autoscaling/v2\n"+head+
			"metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]}", ns)))
		if err := edit(l.any.Resource(schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}).Namespace(ns),
			"h", `{"metadata":{"labels":{"theirs":"x"}}}`)(); err != nil {
			t.Fatal(err)
		}
		l.settle(t, old)
	})
}

// TestStays drops fields that others hold too: the plan says that they stay and
// who holds them, once.
func TestStays(t *testing.T) {
	eachLook(t, func(t *testing.T, l *looker, ns string) {
		maps := l.any.Resource(gvr("", "configmaps")).Namespace(ns)
		document := func(data string) string {
			return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: " + ns + "}\ndata: {" + data + "}"
		}
		l.settle(t, render(t, document("a: one, b: one, c: one")))
		if _, err := maps.Apply(t.Context(), "a", unstructuredOf(t, document("b: one")), metav1.ApplyOptions{FieldManager: "terraform"}); err != nil {
			t.Fatal(err)
		}
		r := render(t, document("a: one"))
		c := l.planned(t, r, ".data.c")
		if len(c.Stays) != 1 || c.Stays[0].Path != ".data.b" || c.Stays[0].Manager != "terraform" {
			t.Errorf("stays: %+v", c.Stays)
		}
		l.settle(t, r)
		wantAt(t, l.get(t, maps, "a"), ".data", map[string]any{"a": "one", "b": "one"})

		if _, err := maps.Apply(t.Context(), "a", unstructuredOf(t, document("a: one, b: one")), metav1.ApplyOptions{FieldManager: "terraform"}); err != nil {
			t.Fatal(err)
		}
		r = render(t, document(""))
		if c := l.planned(t, r); c.Action != core.ActionUpdate || len(c.Stays) != 1 {
			t.Errorf("planned %+v, want a change that only gives up", c)
		}
		l.settle(t, r)
	})
}

// TestRewritten proves that what admission makes of an object is no drift, and
// that a controller which rewrites a field of ours is named.
func TestRewritten(t *testing.T) {
	eachLook(t, func(t *testing.T, l *looker, ns string) {
		l.rewriting(t, ns)
		maps := l.any.Resource(gvr("", "configmaps")).Namespace(ns)
		r := render(t, configMap(ns, "a", "one"))
		until(t, "admission rewrites", func() error {
			l.pass(t, r)
			if v := at(l.get(t, maps, "a"), "data", "key"); v != "rewritten" {
				_ = maps.Delete(t.Context(), "a", metav1.DeleteOptions{})
				return fmt.Errorf("%v", v)
			}
			return nil
		})
		l.settle(t, r)
		for range 3 {
			if err := edit(maps, "a", `{"metadata":{"labels":{"beside":"ours"}}}`)(); err != nil {
				t.Fatal(err)
			}
			if plan := l.plan(t, r); !plan.Empty() {
				t.Errorf("planned: %+v", plan.Changes)
			}
		}

		plain := render(t, strings.Replace(configMap(ns, "b", "one"), "data: {key: one}", "data: {other: one}", 1))
		l.settle(t, plain)
		for range 3 {
			if _, err := maps.Patch(t.Context(), "b", "application/merge-patch+json", []byte(`{"data":{"other":"two"}}`), metav1.PatchOptions{FieldManager: "some-controller"}); err != nil {
				t.Fatal(err)
			}
			f := l.planned(t, plain, ".data.other").Fields[0]
			if f.Manager != "some-controller" || f.Operation != "Update" || f.Since.IsZero() {
				t.Errorf("planned %+v, want the controller named", f)
			}
			l.settle(t, plain)
		}
	})
}

// rewriting has the server rewrite a field at every write in a namespace.
func (w *world) rewriting(t *testing.T, ns string) {
	t.Helper()
	for resource, document := range map[string]string{
		"mutatingadmissionpolicies": `
kind: MutatingAdmissionPolicy
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: ["*"], operations: [CREATE, UPDATE], resources: [configmaps]}]}
  matchConditions: [{name: ns, expression: "object.metadata.namespace == 'NS' && has(object.data) && 'key' in object.data"}]
  mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: "Object{data: {'key': 'rewritten'}}"}}]`,
		"mutatingadmissionpolicybindings": "\nkind: MutatingAdmissionPolicyBinding\nspec: {policyName: NS}",
	} {
		u := unstructuredOf(t, "apiVersion: admissionregistration.k8s.io/v1\nmetadata: {name: NS}"+strings.ReplaceAll(document, "NS", ns))
		u.SetName(ns)
		objects := w.any.Resource(gvr("admissionregistration.k8s.io", resource))
		if _, err := objects.Create(t.Context(), u, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = objects.Delete(t.Context(), ns, metav1.DeleteOptions{}) })
	}
}

// TestHollow adopts what others hold an empty map of. That is no dispute, unless the
// map is one value, which they have declared to be empty.
func TestHollow(t *testing.T) {
	const annotations = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: NS, annotations: {%s}}"
	const selector = "apiVersion: v1\nkind: ReplicationController\nmetadata: {name: a, namespace: NS}\n" +
		"spec: {replicas: 0, selector: {a: b}, template: {metadata: {labels: {a: b}}, spec: {nodeSelector: {%s}, containers: [{name: c, image: i}]}}}"
	for _, tt := range []struct {
		name, resource, document string
		theirs                   []string // one after another, forced
		disputed                 string
	}{
		{"declared empty", "configmaps", annotations, []string{"terraform ", "helm "}, ""},
		{"emptied", "configmaps", annotations, []string{"terraform a: v", "helm a: w", "helm "}, ""},
		{"with something in it", "configmaps", annotations, []string{"terraform ours: x"}, ".metadata.annotations.ours belongs to terraform"},
		{"owned as a whole", "replicationcontrollers", selector, []string{"terraform "}, ".spec.template.spec.nodeSelector belongs to terraform"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachLook(t, func(t *testing.T, l *looker, ns string) {
				document := func(inside string) string {
					return strings.ReplaceAll(fmt.Sprintf(tt.document, inside), "NS", ns)
				}
				objects := l.any.Resource(gvr("", tt.resource)).Namespace(ns)
				for _, s := range tt.theirs {
					manager, inside, _ := strings.Cut(s, " ")
					if _, err := objects.Apply(t.Context(), "a", unstructuredOf(t, document(inside)), metav1.ApplyOptions{FieldManager: manager, Force: true}); err != nil {
						t.Fatal(err)
					}
				}
				r := render(t, document("ours: z"))
				c := l.plan(t, r).Changes[0]
				if tt.disputed != "" {
					if c.Action != core.ActionBlocked || !strings.Contains(c.Reason, tt.disputed) {
						t.Errorf("%s, %s; want blocked: %s", c.Action, c.Reason, tt.disputed)
					}
					return
				}
				if c.Action != core.ActionAdopt || len(c.Conflicts) > 0 || !c.Force {
					t.Errorf("%s, %s, conflicts %+v, force %t; want it adopted", c.Action, c.Reason, c.Conflicts, c.Force)
				}
				l.settle(t, r)
				wantAt(t, l.get(t, objects, "a"), ".metadata.annotations.ours", "z")
			})
		})
	}
}

// TestSameInOtherWords has another tool declare a quota as we do, in words that the
// server stores otherwise: nobody takes it from the other, until they disagree.
func TestSameInOtherWords(t *testing.T) {
	eachLook(t, func(t *testing.T, l *looker, ns string) {
		quotas := l.any.Resource(gvr("", "resourcequotas")).Namespace(ns)
		document := func(pods, beside string) string {
			return "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q, namespace: " + ns + "}\nspec: {hard: {pods: " + pods + ", requests.cpu: " + beside + "}}"
		}
		theirs := unstructuredOf(t, "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q, namespace: "+ns+"}\nspec: {hard: {pods: 10000m}}")
		declare := func() {
			t.Helper()
			if _, err := quotas.Apply(t.Context(), "q", theirs, metav1.ApplyOptions{FieldManager: "terraform"}); err != nil {
				t.Errorf("the other tool: %v", err)
			}
		}
		declare()
		for _, cpu := range []string{"1000m", "2000m"} {
			r := render(t, document("10000m", cpu))
			until(t, "it is planned", func() error {
				plan := l.plan(t, r)
				if len(plan.Changes) != 1 || plan.Changes[0].Action == core.ActionBlocked || len(plan.Changes[0].Conflicts) > 0 {
					return fmt.Errorf("%+v", plan.Changes)
				}
				return nil
			})
			l.settle(t, r)
			if m := owners(t, l.get(t, quotas, "q"), ".spec.hard.pods"); len(m) != 2 {
				t.Errorf("held by %v, want both", m)
			}
		}
		if plan := l.plan(t, render(t, document("11", "2"))); len(plan.Changes) != 1 || plan.Changes[0].Action != core.ActionBlocked {
			t.Errorf("another number: planned %+v, want it blocked", plan.Changes)
		}
	})
}

// owners are the managers that hold a field.
func owners(t *testing.T, object map[string]any, path string) (managers []string) {
	t.Helper()
	for _, e := range (&unstructured.Unstructured{Object: object}).GetManagedFields() {
		set := fieldpath.NewSet()
		if err := set.FromJSON(bytes.NewReader(e.FieldsV1.GetRawBytes())); err != nil {
			t.Fatal(err)
		}
		set.Iterate(func(p fieldpath.Path) {
			if p.String() == path {
				managers = append(managers, e.Manager)
			}
		})
	}
	return managers
}
