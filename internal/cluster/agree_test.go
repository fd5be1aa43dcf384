package cluster_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/diff"
)

const workload = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: thing, namespace: NS, labels: {app: app, keep: "yes"}}
spec:
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      volumes: [{name: tmp, emptyDir: {}}]
      containers:
      - name: main
        image: example/main:1
        args: [--a, --b]
        env: [{name: ONE, value: "1"}, {name: TWO, value: "2"}]
        ports: [{containerPort: 8080}, {containerPort: 53, protocol: UDP}]
        resources: {requests: {cpu: 1000m, memory: 1Gi}, limits: {cpu: "2", memory: 2048Mi}}
        volumeMounts: [{name: tmp, mountPath: /tmp}]
      - {name: side, image: example/side:1}`

// TestRestartAsksOnlyInDoubt has a daemon without a memory meet what was applied
// before: what surely is as it should be (defaults, keys with defaults and quantities
// included) costs no request, all else is asked about, and the plan is the one that is made by asking about everything.
func TestRestartAsksOnlyInDoubt(t *testing.T) {
	patch := func(body string, manager string) func(*world, *testing.T, dynamic.ResourceInterface, string) {
		return func(_ *world, t *testing.T, r dynamic.ResourceInterface, name string) {
			t.Helper()
			if _, err := r.Patch(t.Context(), name, types.StrategicMergePatchType, []byte(body), metav1.PatchOptions{FieldManager: manager}); err != nil {
				t.Fatal(err)
			}
		}
	}
	force := func(document string) func(*world, *testing.T, dynamic.ResourceInterface, string) {
		return func(_ *world, t *testing.T, r dynamic.ResourceInterface, name string) {
			t.Helper()
			u := unstructuredOf(t, strings.ReplaceAll(document, "NS", instanceOf(t)))
			if _, err := r.Apply(t.Context(), name, u, metav1.ApplyOptions{FieldManager: "terraform", Force: true}); err != nil {
				t.Fatal(err)
			}
		}
	}
	service := "apiVersion: v1\nkind: Service\nmetadata: {name: thing, namespace: NS}\nspec: {selector: {app: app}, ports: [{name: web, port: 80, targetPort: web}]}"
	quota := "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: thing, namespace: NS}\nspec: {hard: {pods: \"10\", requests.cpu: 1500m, requests.memory: 1024Mi}}"
	tests := []struct {
		name, before string
		change       func(*world, *testing.T, dynamic.ResourceInterface, string)
		old, new     string // replaced in the manifest
		asked        bool
	}{
		{name: "a workload", before: workload},
		{name: "a quota", before: quota},
		{name: "a service", before: service},
		{name: "an empty value",
			before: "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: thing, namespace: NS}\nspec: {podSelector: {}, ingress: [], policyTypes: [Ingress]}"},
		{name: "an empty value removed", asked: true, change: patch(`{"data":{"a":null}}`, "kubectl"), old: ", b: x", new: "",
			before: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: thing, namespace: NS}\ndata: {a: \"\", b: x}"},
		{name: "others beside us", before: workload, change: patch(`{"metadata":{"labels":{"theirs":"x"}},"spec":{"paused":true}}`, "kubectl")},
		{name: "others say the same", before: service, change: force(service)},

		{name: "field edited", before: workload, change: patch(`{"metadata":{"labels":{"keep":"no"}}}`, "kubectl"), asked: true},
		{name: "item edited", before: workload, change: patch(`{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"example/side:2"}]}}}}`, "kubectl"), asked: true},
		{name: "item added by others", before: workload, change: patch(`{"spec":{"template":{"spec":{"containers":[{"name":"spy","image":"example/spy:1"}]}}}}`, "kubectl"), asked: true},
		{name: "item added at the end", before: workload, change: patch(`{"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"main"},{"name":"side"},{"name":"spy"}],`+
			`"containers":[{"name":"spy","image":"example/spy:1"}]}}}}`, "kubectl"), asked: true},
		{name: "taken by another tool", before: quota, change: force(strings.Replace(quota, `"10"`, `"11"`, 1)), asked: true},
		{name: "mark removed", before: workload, change: patch(`{"metadata":{"annotations":{"prumo.dev/id":null}}}`, "kubectl"), asked: true},
		{name: "written in our name", before: workload, change: patch(`{"metadata":{"annotations":{"webhook.example/was-here":"x"}}}`, core.FieldManager), asked: true},
		{name: "held in deletion", before: workload, change: func(w *world, t *testing.T, r dynamic.ResourceInterface, name string) {
			patch(`{"metadata":{"finalizers":["example.org/held"]}}`, "kubectl")(w, t, r, name)
			if err := r.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}, asked: true},
		{name: "quantity changed", before: workload, old: "cpu: 1000m", new: "cpu: 1001m", asked: true},
		{name: "value changed", before: workload, old: "example/side:1", new: "example/side:2", asked: true},
		{name: "no quantity", before: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: thing, namespace: NS}\ndata: {cpu: 1000m}", old: "1000m", new: `"1"`, asked: true},
		{name: "order changed", before: workload, old: `{name: ONE, value: "1"}, {name: TWO, value: "2"}`, new: `{name: TWO, value: "2"}, {name: ONE, value: "1"}`, asked: true},
		{name: "list changed", before: workload, old: "[--a, --b]", new: "[--a]", asked: true},
		{name: "label dropped", before: workload, old: `, keep: "yes"`, new: "", asked: true},
		{name: "item dropped", before: workload, old: "      - {name: side, image: example/side:1}", new: "", asked: true},
		{name: "part of a key dropped", before: workload, old: ", protocol: UDP", new: "", asked: true},
		{name: "field added", before: workload, old: "spec:\n  selector", new: "spec:\n  paused: true\n  selector", asked: true},
		{name: "map emptied", before: workload, old: "emptyDir: {}", new: "emptyDir: {medium: Memory}", asked: true},
		{name: "default inside a value", asked: true,
			before: "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: thing, namespace: NS}\nspec: {podSelector: {}, ingress: [{ports: [{port: 80}]}]}"},
		{name: "said by another version", old: "apiVersion: autoscaling/v1", new: "apiVersion: autoscaling/v2", asked: true,
			before: "apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: {name: thing, namespace: NS}\nspec: {maxReplicas: 3, scaleTargetRef: {kind: Deployment, name: app, apiVersion: apps/v1}}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			ns := w.namespace(t)
			before := render(t, strings.ReplaceAll(tt.before, "NS", ns))
			w.put(t, before)
			if tt.change != nil {
				tt.change(w, t, w.client(before.Objects[0]), before.Objects[0].ID.Name)
			}
			if tt.old != "" && !strings.Contains(tt.before, tt.old) {
				t.Fatal("nothing to replace")
			}
			w.restarted(t, render(t, strings.ReplaceAll(strings.Replace(tt.before, tt.old, tt.new, 1), "NS", ns)), tt.asked)
		})
	}
}

// client is how people reach the kind of an object.
func (w *world) client(o core.Object) dynamic.ResourceInterface {
	gv, _ := schema.ParseGroupVersion(o.Fields["apiVersion"].(string))
	plural := strings.Replace(strings.ToLower(o.ID.Kind)+"s", "ys", "ies", 1)
	return w.any.Resource(gv.WithResource(plural)).Namespace(o.ID.Namespace)
}

// restarted observes with a daemon that knows nothing, and says whether it should
// have asked.
func (w *world) restarted(t *testing.T, r core.Rendering, asked bool) {
	t.Helper()
	want := diff.Make(core.Revision{}, w.observe(t, r), diff.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	view := w.Watch(ctx, time.Hour)
	defer func() { cancel(); view.Wait() }()
	w.log.reset()
	seen, err := view.ObserveToApply(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	got := diff.Make(core.Revision{}, seen, diff.Options{})
	if got.Hash != want.Hash || got.Unchanged != want.Unchanged || len(got.Changes) != len(want.Changes) {
		t.Errorf("the plan differs (-asked about all +restarted)\n%s", cmp.Diff(fmt.Sprintf("%+v", want.Changes), fmt.Sprintf("%+v", got.Changes)))
	}
	if n := w.log.count("PATCH", "") + w.log.count("GET", "/"+r.Objects[0].ID.Name); (n > 0) != asked {
		t.Errorf("%d requests about the object, want any: %v; sent %v", n, asked, w.log.sent())
	}
	for _, path := range w.log.watched() {
		if sent := w.log.sent(); slices.Contains(sent, "GET "+path) {
			t.Errorf("%s is listed although it is watched; sent %v", path, sent)
		}
	}
}

// TestRestartLooksAtTaints proves that a Node is in doubt as soon as a taint of ours
// is not as it should be, and costs nothing before.
func TestRestartLooksAtTaints(t *testing.T) {
	w := newWorld(t)
	name := instanceOf(t)
	nodes := w.people.CoreV1().Nodes()
	w.foreign(t, "apiVersion: v1\nkind: Node\nmetadata: {name: "+name+"}\nspec: {taints: [{key: theirs, effect: NoSchedule}]}")
	r := render(t, "apiVersion: v1\nkind: Node\nmetadata: {name: "+name+", labels: {rack: r1}}\nspec: {taints: [{key: gpu, value: present, effect: NoSchedule}]}")
	w.put(t, r)
	w.restarted(t, r, false)
	for _, taints := range []string{`[{"key":"theirs","effect":"NoSchedule"}]`, `[{"key":"gpu","value":"absent","effect":"NoSchedule"}]`} {
		if _, err := nodes.Patch(t.Context(), name, types.MergePatchType, []byte(`{"spec":{"taints":`+taints+`}}`), metav1.PatchOptions{FieldManager: "kubectl"}); err != nil {
			t.Fatal(err)
		}
		w.restarted(t, r, true)
	}
}
