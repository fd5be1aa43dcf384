package cluster_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"prumo.dev/prumo/internal/cluster"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/reconcile"
)

// TestPods asks for the pods that a change hits, by one list each.
func TestPods(t *testing.T) {
	w := newWorld(t)
	ns := w.namespace(t)
	for name, spec := range map[string]string{
		"train": `nodeName: pods-1, containers: [{name: a, image: x, resources: {limits: {nvidia.com/gpu: "4"}}}, {name: b, image: x, resources: {limits: {nvidia.com/mig-1g.10gb: "2"}}}]`,
		"stays": `nodeName: pods-1, tolerations: [{key: zone, operator: Exists, effect: NoExecute}], containers: [{name: a, image: x, resources: {limits: {nvidia.com/gpu: "1"}}}]`,
		"later": `nodeName: pods-1, tolerations: [{key: zone, operator: Exists, effect: NoExecute, tolerationSeconds: 60}], containers: [{name: a, image: x}]`,
		"other": `nodeName: pods-2, containers: [{name: a, image: x, resources: {limits: {nvidia.com/gpu: "8"}}}], volumes: [{name: v, persistentVolumeClaim: {claimName: home}}]`,
		"ended": `nodeName: pods-1, containers: [{name: a, image: x, resources: {limits: {nvidia.com/gpu: "1"}}}]`,
	} {
		w.pod(t, ns, name, name, spec)
	}
	pods := w.any.Resource(gvr("", "pods")).Namespace(ns)
	if _, err := pods.Patch(t.Context(), "ended", "application/merge-patch+json", []byte(`{"status":{"phase":"Succeeded"}}`), metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	owner := `{"metadata":{"labels":{"pod-template-hash":"abc"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"%s","name":"%s","uid":"1"}]}}`
	for name, by := range map[string][]any{"later": {"ReplicaSet", "web-abc"}, "train": {"StatefulSet", "train"}, "other": {"ReplicaSet", "web-x-abc"}} {
		if err := edit(pods, name, fmt.Sprintf(owner, by...))(); err != nil {
			t.Fatal(err)
		}
	}
	for name, rack := range map[string]string{"pods-1": "a", "pods-2": "b"} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"rack": rack, "test": ns}}}
		if _, err := w.people.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = w.people.CoreV1().Nodes().Delete(context.Background(), name, metav1.DeleteOptions{}) })
	}
	racked := func(name string) any { return map[string]any{"rack": name, "test": ns} }
	run := func(kind, name string) core.ObjectID {
		return core.ObjectID{Group: "apps", Kind: kind, Namespace: ns, Name: name}
	}
	zone := map[string]any{"key": "zone", "value": "x", "effect": "NoExecute"}
	selects := func(app string) any { return map[string]any{"matchLabels": map[string]any{"app": app}} }
	for _, tt := range []struct {
		name  string
		query core.PodQuery
		want  []core.Pod
	}{
		{"on some nodes", core.PodQuery{GPUs: true, Nodes: []any{racked("b")}}, []core.Pod{{Namespace: ns, Name: "other", GPUs: 8}}},
		{"on some nodes or others", core.PodQuery{GPUs: true, Nodes: []any{racked("a"), racked("b")}}, []core.Pod{
			{Namespace: ns, Name: "other", GPUs: 8}, {Namespace: ns, Name: "stays", GPUs: 1}, {Namespace: ns, Name: "train", GPUs: 6}}},
		{"on no node", core.PodQuery{GPUs: true, Nodes: []any{racked("c")}}, nil},
		{"on a node, with GPUs", core.PodQuery{Node: "pods-1", GPUs: true}, []core.Pod{{Namespace: ns, Name: "stays", GPUs: 1}, {Namespace: ns, Name: "train", GPUs: 6}}},
		{"driven from a node", core.PodQuery{Node: "pods-1", GPUs: true, Taint: zone}, []core.Pod{{Namespace: ns, Name: "later"}, {Namespace: ns, Name: "train", GPUs: 6}}},
		{"selected", core.PodQuery{Namespace: ns, Selector: selects("later")}, []core.Pod{{Namespace: ns, Name: "later"}}},
		{"with a claim", core.PodQuery{Namespace: ns, Claim: "home"}, []core.Pod{{Namespace: ns, Name: "other", GPUs: 8}}},
		{"of a Deployment", core.PodQuery{Namespace: ns, Owner: run("Deployment", "web")}, []core.Pod{{Namespace: ns, Name: "later"}}},
		{"of a StatefulSet", core.PodQuery{Namespace: ns, Owner: run("StatefulSet", "train")}, []core.Pod{{Namespace: ns, Name: "train", GPUs: 6}}},
		{"of nobody", core.PodQuery{Namespace: ns, Selector: selects("nobody")}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.log.reset()
			got, err := w.Pods(t.Context(), tt.query)
			if err != nil {
				t.Fatal(err)
			}
			slices.SortFunc(got, func(a, b core.Pod) int { return strings.Compare(a.Name, b.Name) })
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if n := w.log.count("", ""); n != 1+len(tt.query.Nodes) {
				t.Errorf("%d requests, want 1, and one for each set of nodes", n)
			}
		})
	}
}

// TestPodsForbidden says why it cannot be told.
func TestPodsForbidden(t *testing.T) {
	c := &wire{banned: "/pods"}
	w := newWorld(t, func(cfg *rest.Config) { cfg.Wrap(c.wrap) })
	pods, err := w.Pods(t.Context(), core.PodQuery{Node: "x"})
	if _, refused := cluster.Refusal(err, core.ObjectID{Kind: "Pod"}); !refused || pods != nil {
		t.Errorf("%v, %v; want it refused", pods, err)
	}
}

// A rendered is a renderer of one rendering.
type rendered core.Rendering

func (r rendered) Render(context.Context, core.Tree) (core.Rendering, error) {
	return core.Rendering(r), nil
}

// TestHits plans changes of a Deployment: only one that stops its pods asks for
// them, and names them.
func TestHits(t *testing.T) {
	eachLook(t, func(t *testing.T, l *looker, ns string) {
		l.settle(t, render(t, web(ns, "one")))
		l.pod(t, ns, "web-1", "web", `containers: [{name: a, image: x, resources: {limits: {nvidia.com/gpu: "4"}}}]`)
		for _, tt := range []struct {
			document string
			want     *core.Hits
			asked    int
		}{
			{web(ns, "one"), nil, 0},
			{strings.Replace(web(ns, "one"), "replicas: 2", "replicas: 3", 1), nil, 0},
			{web(ns, "two"), &core.Hits{Total: 1, GPUs: 4, Pods: []core.Pod{{Namespace: ns, Name: "web-1", GPUs: 4}}}, 1},
		} {
			r := &reconcile.Reconciler{Source: reconcile.NoSource{}, Reporter: reconcile.NoReporter{}, Renderer: rendered(render(t, tt.document)),
				Cluster: l, Now: time.Now}
			l.log.reset()
			rep, err := r.Plan(t.Context(), core.Tree{})
			if err != nil {
				t.Fatal(err)
			}
			var got *core.Hits
			for _, c := range rep.Plan.Changes {
				got = c.Hits
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("hits (-want +got)\n%s", diff)
			}
			if n := l.log.count("GET", "/namespaces/"+ns+"/pods"); n != tt.asked {
				t.Errorf("asked for pods %d times, want %d", n, tt.asked)
			}
		}
	})
}

// Observe and ObserveToApply make a looker what passes see a cluster by.
func (l *looker) Observe(ctx context.Context, r core.Rendering) (core.Observation, error) {
	return l.observe(ctx, r)
}

func (l *looker) ObserveToApply(ctx context.Context, r core.Rendering) (core.Observation, error) {
	return l.observe(ctx, r)
}

func (w *world) pod(t *testing.T, ns, name, app, spec string) {
	t.Helper()
	u := unstructuredOf(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: "+name+", namespace: "+ns+", labels: {app: "+app+"}}\nspec: {"+spec+"}")
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	if _, err := w.people.CoreV1().ServiceAccounts(ns).Create(t.Context(), account, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	if _, err := w.any.Resource(gvr("", "pods")).Namespace(ns).Create(t.Context(), u, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}
