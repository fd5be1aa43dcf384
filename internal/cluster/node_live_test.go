package cluster_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"prumo.dev/prumo/internal/cluster"
	"prumo.dev/prumo/internal/core"
)

const notReady = "node.kubernetes.io/not-ready"

// join makes a Node as a kubelet does, with a taint of the node controller.
func (w *world) join(t *testing.T) string {
	t.Helper()
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: instanceOf(t)},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: notReady, Effect: corev1.TaintEffectNoSchedule}}},
	}
	if _, err := w.people.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{FieldManager: "kubelet"}); err != nil {
		t.Fatal(err)
	}
	return node.Name
}

func (w *world) taints(t *testing.T, node string) []string {
	t.Helper()
	n, err := w.people.CoreV1().Nodes().Get(t.Context(), node, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var taints []string
	for _, x := range n.Spec.Taints {
		taints = append(taints, x.ToString())
	}
	return taints
}

func (w *world) patchTaints(t *testing.T, node, taints string) {
	t.Helper()
	patch := []byte(`{"spec":{"taints":` + taints + `}}`)
	if _, err := w.people.CoreV1().Nodes().Patch(t.Context(), node, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "kube-controller-manager"}); err != nil {
		t.Fatal(err)
	}
}

func nodeSpec(name, taints string) string {
	return "apiVersion: v1\nkind: Node\nmetadata: {name: " + name + ", labels: {example.org/rack: r1}}\nspec: {taints: [" + taints + "]}"
}

func TestNodeTaintsAreMergedByKey(t *testing.T) {
	w := newWorld(t)
	name := w.join(t)
	gpu := render(t, nodeSpec(name, "{key: nvidia.com/gpu, value: present, effect: NoSchedule}, {key: zone, effect: NoExecute}"))

	got := one(t, w.observe(t, gpu), "Node")
	if n := len(at(got.Predicted, "spec", "taints").([]any)); n != 3 {
		t.Errorf("predicted %d taints; want the live one and ours, 3", n)
	}
	w.put(t, gpu)
	want := []string{notReady + ":NoSchedule", "nvidia.com/gpu=present:NoSchedule", "zone:NoExecute"}
	if diff := cmp.Diff(want, w.taints(t, name)); diff != "" {
		t.Errorf("after the first apply (-want +got)\n%s", diff)
	}

	w.log.reset()
	w.put(t, gpu)
	if n := w.log.count("PATCH", "/nodes/"); n != 2 { // the dry-run, and the apply
		t.Errorf("%d patches for a Node that is as it should be; want 2", n)
	}

	// The controller lifts its taint and sets another; a person takes one of ours.
	w.patchTaints(t, name, `[{"key":"node.kubernetes.io/unreachable","effect":"NoExecute"},{"key":"zone","effect":"NoExecute"}]`)
	got = one(t, w.observe(t, gpu), "Node")
	if len(got.Conflicts) != 0 || !got.Ours {
		t.Errorf("conflicts %v, ours %v; want none, for taints are merged", got.Conflicts, got.Ours)
	}
	w.put(t, render(t, nodeSpec(name, "{key: nvidia.com/gpu, value: other, effect: NoSchedule}")))
	want = []string{"node.kubernetes.io/unreachable:NoExecute", "nvidia.com/gpu=other:NoSchedule"}
	if diff := cmp.Diff(want, w.taints(t, name)); diff != "" {
		t.Errorf("after ours changed (-want +got)\n%s", diff)
	}

	w.put(t, render(t, nodeSpec(name, "")))
	if diff := cmp.Diff(want[:1], w.taints(t, name)); diff != "" {
		t.Errorf("after ours were removed (-want +got)\n%s", diff)
	}
}

// The node controller acts between our reading and our writing.
func TestNodeTaintRace(t *testing.T) {
	var between sync.Once
	var w *world
	var name string
	w = newWorld(t, func(cfg *rest.Config) {
		cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
			return roundTrip(func(q *http.Request) (*http.Response, error) {
				if q.Header.Get("Content-Type") == string(types.MergePatchType) {
					between.Do(func() { w.patchTaints(t, name, `[{"key":"node.kubernetes.io/unreachable","effect":"NoExecute"}]`) })
				}
				return next.RoundTrip(q)
			})
		})
	})
	name = w.join(t)
	w.put(t, render(t, nodeSpec(name, "{key: nvidia.com/gpu, effect: NoSchedule}")))
	want := []string{"node.kubernetes.io/unreachable:NoExecute", "nvidia.com/gpu:NoSchedule"}
	if diff := cmp.Diff(want, w.taints(t, name)); diff != "" {
		t.Errorf("taints (-want +got)\n%s", diff)
	}
	if n := w.log.count("PATCH", "/nodes/"); n != 4 { // dry-run, apply, merge, merge again
		t.Errorf("%d patches; want 4: the first merge must have been refused", n)
	}
}

// Whoever may annotate a Node must not make us lift the taints of others.
func TestNodeTaintAnnotationIsNotBelieved(t *testing.T) {
	w := newWorld(t)
	name := w.join(t)
	w.put(t, render(t, nodeSpec(name, "{key: nvidia.com/gpu, effect: NoSchedule}")))
	patch := []byte(`{"metadata":{"annotations":{"prumo.dev/taints":"node.kubernetes.io/not-ready:NoSchedule,nvidia.com/gpu:NoSchedule"}}}`)
	if _, err := w.people.CoreV1().Nodes().Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "kubectl-annotate"}); err != nil {
		t.Fatal(err)
	}
	w.put(t, render(t, nodeSpec(name, "{key: nvidia.com/gpu, effect: NoSchedule}")))
	want := []string{notReady + ":NoSchedule", "nvidia.com/gpu:NoSchedule"}
	if diff := cmp.Diff(want, w.taints(t, name)); diff != "" {
		t.Errorf("taints (-want +got)\n%s", diff)
	}
}

func TestNodeIsNeverCreated(t *testing.T) {
	w := newWorld(t)
	name := w.join(t)
	got := one(t, w.observe(t, render(t, nodeSpec(name, "{key: a, effect: NoSchedule}"))), "Node")
	if err := w.people.CoreV1().Nodes().Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := w.Apply(t.Context(), got.Manifest, cluster.ApplyOptions{Force: true})
	if why, refused := cluster.Refusal(err, got.Object.ID); !refused || !strings.Contains(why.Reason, "changed since") {
		t.Errorf("applying to a Node that has left: %v (%v)", err, why)
	}
	delete(got.Manifest["metadata"].(map[string]any), "uid")
	if _, err := w.Apply(t.Context(), got.Manifest, cluster.ApplyOptions{Force: true}); err == nil {
		t.Error("a manifest without uid was sent")
	}
	if err := w.Delete(t.Context(), got.Live); err == nil {
		t.Error("a Node can be deleted")
	}
	if _, err := w.people.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{}); err == nil {
		t.Error("the Node was created")
	}
}

func TestReleaseNode(t *testing.T) {
	w := newWorld(t)
	name := w.join(t)
	w.put(t, render(t, nodeSpec(name, "{key: nvidia.com/gpu, effect: NoSchedule}")))
	orphans := w.observe(t, core.Rendering{}).Orphans
	if len(orphans) != 1 || orphans[0]["kind"] != "Node" || at(orphans[0], "metadata", "annotations", core.AnnotationOrigin) != core.OriginAdopted {
		t.Fatalf("orphans: %v; want the Node, adopted", orphans)
	}
	live, err := w.Get(t.Context(), orphans[0])
	if err != nil {
		t.Fatal(err)
	}
	after, err := w.Release(t.Context(), live)
	if err != nil {
		t.Fatal(err)
	}
	if labels := at(after, "metadata", "labels"); labels != nil {
		t.Errorf("labels stay: %v", labels)
	}
	if notes := at(after, "metadata", "annotations"); notes != nil {
		t.Errorf("marks stay: %v", notes)
	}
	if diff := cmp.Diff([]string{notReady + ":NoSchedule"}, w.taints(t, name)); diff != "" {
		t.Errorf("taints (-want +got)\n%s", diff)
	}
}
