package schemas_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/diff"
	"prumo.dev/prumo/test/cluster/clustertest"
)

const nodesFile = "../test/fixtures/nodes.yaml"

// resources are where the kinds that we render to are served, in the order in
// which the example is applied.
var resources = []struct {
	kind string
	schema.GroupVersionResource
	namespaced bool
}{
	{"Node", corev1.SchemeGroupVersion.WithResource("nodes"), false},
	{"Namespace", corev1.SchemeGroupVersion.WithResource("namespaces"), false},
	{"PriorityClass", schema.GroupVersionResource{Group: "scheduling.k8s.io", Version: "v1", Resource: "priorityclasses"}, false},
	{"ResourceQuota", corev1.SchemeGroupVersion.WithResource("resourcequotas"), true},
	{"LimitRange", corev1.SchemeGroupVersion.WithResource("limitranges"), true},
	{"NetworkPolicy", schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies"}, true},
	{"PersistentVolume", corev1.SchemeGroupVersion.WithResource("persistentvolumes"), false},
	{"PersistentVolumeClaim", corev1.SchemeGroupVersion.WithResource("persistentvolumeclaims"), true},
	{"ServiceAccount", corev1.SchemeGroupVersion.WithResource("serviceaccounts"), true},
	{"ConfigMap", corev1.SchemeGroupVersion.WithResource("configmaps"), true},
	{"Service", corev1.SchemeGroupVersion.WithResource("services"), true},
	{"Deployment", schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, true},
	{"StatefulSet", schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"}, true},
}

// TestExampleRuns applies the example to a real control plane: the API server
// knows every field, admission lets every pod in, quotas have room, volumes bind,
// and the scheduler finds a machine for each pod.
func TestExampleRuns(t *testing.T) {
	c := clustertest.Workloads(t)
	nodes, err := os.ReadFile(nodesFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AddNodes(t.Context(), nodes); err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	rendering := rendered(t, example(t))
	if problems := told(rendering); len(problems) > 0 {
		t.Fatalf("the example has problems:\n%s", strings.Join(problems, "\n"))
	}
	applied := 0
	for _, res := range resources {
		for _, o := range rendering.Objects {
			if o.ID.Kind != res.kind {
				continue
			}
			applied++
			var to dynamic.ResourceInterface = client.Resource(res.GroupVersionResource)
			if res.namespaced {
				to = client.Resource(res.GroupVersionResource).Namespace(o.ID.Namespace)
			}
			if err := apply(t.Context(), to, o); err != nil {
				t.Errorf("apply %s: %v", o.ID, err)
			}
		}
	}
	if applied != len(rendering.Objects) {
		t.Errorf("applied %d of %d objects: add the missing kinds to resources", applied, len(rendering.Objects))
	}
	if t.Failed() {
		return
	}
	api, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	awaitReady(t, api)
	wantPlaces(t, api)
}

// apply sends an object with strict validation. It takes fields by force, because
// a Node exists before us; merging its taints is the engine's and tested there.
func apply(ctx context.Context, to dynamic.ResourceInterface, o core.Object) error {
	body, err := json.Marshal(o.Fields)
	if err != nil {
		return err
	}
	force := true
	opts := metav1.PatchOptions{FieldManager: core.FieldManager, FieldValidation: metav1.FieldValidationStrict, Force: &force}
	_, err = to.Patch(ctx, o.ID.Name, types.ApplyPatchType, body, opts)
	return err
}

// awaitReady waits until each Deployment and StatefulSet has all its pods.
func awaitReady(t *testing.T, api kubernetes.Interface) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var waiting []string
	for ; ctx.Err() == nil; time.Sleep(200 * time.Millisecond) {
		var err error
		if waiting, err = unready(ctx, api); err == nil && len(waiting) == 0 {
			return
		}
	}
	for _, p := range pods(t, api) {
		for _, cond := range p.Status.Conditions {
			if cond.Status != corev1.ConditionTrue {
				t.Logf("pod %s/%s: %s: %s", p.Namespace, p.Name, cond.Type, cond.Message)
			}
		}
	}
	t.Fatalf("not ready: %s", strings.Join(waiting, ", "))
}

func unready(ctx context.Context, api kubernetes.Interface) ([]string, error) {
	var out []string
	deployments, err := api.AppsV1().Deployments("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, d := range deployments.Items {
		if d.Status.ReadyReplicas != *d.Spec.Replicas {
			out = append(out, fmt.Sprintf("Deployment %s/%s %v", d.Namespace, d.Name, d.Status.Conditions))
		}
	}
	sets, err := api.AppsV1().StatefulSets("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, s := range sets.Items {
		if s.Status.ReadyReplicas != *s.Spec.Replicas {
			out = append(out, fmt.Sprintf("StatefulSet %s/%s", s.Namespace, s.Name))
		}
	}
	return out, nil
}

func pods(t *testing.T, api kubernetes.Interface) []corev1.Pod {
	t.Helper()
	list, err := api.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// wantPlaces looks where pods ended up: in their zone, on GPUs only if they ask,
// and the quota counts them.
func wantPlaces(t *testing.T, api kubernetes.Interface) {
	t.Helper()
	got := map[string]string{}
	for _, p := range pods(t, api) {
		name := p.Labels["app.kubernetes.io/name"]
		if slices.Contains([]string{"vllm", "qdrant", "label-studio", "mlflow"}, name) {
			// Of machines that are alike any will do.
			got[name] = strings.TrimRight(p.Spec.NodeName, "0123456789")
		}
	}
	want := map[string]string{"vllm": "gpu-l40s-", "qdrant": "cpu-", "label-studio": "cpu-", "mlflow": "cpu-"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("nodes of the tools' pods (-want +got):\n%s", diff)
	}
	quota, err := api.CoreV1().ResourceQuotas("nlp-serving").Get(t.Context(), "inference", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if used := quota.Status.Used["requests.nvidia.com/gpu"]; used.Value() != 2 {
		t.Errorf("the quota of nlp-serving counts %s GPUs, want the 2 of vllm", used.String())
	}
}

// TestExpectsMatchFixtures holds what the example expects of machines against the
// machines that tests and demo have.
func TestExpectsMatchFixtures(t *testing.T) {
	src, err := os.ReadFile(nodesFile)
	if err != nil {
		t.Fatal(err)
	}
	live := map[string]map[string]any{}
	for doc := range strings.SplitSeq(string(src), "\n---\n") {
		var node map[string]any
		if err := yaml.UnmarshalStrict([]byte(doc), &node); err != nil {
			t.Fatal(err)
		}
		live["Node/"+at(node, "metadata", "name").(string)] = node
	}
	rendering := rendered(t, example(t))
	var declared []string
	for _, o := range rendering.Objects {
		if o.ID.Kind == "Node" {
			declared = append(declared, o.ID.String())
		}
	}
	if diff := cmp.Diff(declared, sortedKeys(live)); diff != "" {
		t.Errorf("nodes (-declared +fixtures):\n%s", diff)
	}
	if len(rendering.Expects) != 7 {
		t.Errorf("%d expectations, want one for each of the 7 GPU nodes", len(rendering.Expects))
	}
	for _, o := range rendering.Expects {
		if found := differing(o, live[o.ID.String()]); len(found) > 0 {
			t.Errorf("%s differs from its fixture: %v", o.ID, found)
		}
	}
}

// TestExpectsOfHardware breaks one machine of the fixtures in one way after the
// other: each is seen, and what GPU feature discovery does not say is not missed.
func TestExpectsOfHardware(t *testing.T) {
	src, err := os.ReadFile(nodesFile)
	if err != nil {
		t.Fatal(err)
	}
	expects := byID(rendered(t, example(t)).Expects)
	for _, tt := range []struct{ what, node, from, to, want string }{
		{"a GPU is gone", "gpu-h100-01", `nvidia.com/gpu: "8"`, `nvidia.com/gpu: "7"`, `.status.allocatable["nvidia.com/gpu"] .status.capacity["nvidia.com/gpu"]`},
		{"a GPU is gone from the labels", "gpu-h100-01", `gpu.count: "8"`, `gpu.count: "7"`, `.metadata.labels["nvidia.com/gpu.count"]`},
		{"another product", "gpu-h100-01", "NVIDIA-H100-80GB-HBM3", "NVIDIA-H100-NVL", `.metadata.labels["nvidia.com/gpu.product"]`},
		{"the product with a suffix", "gpu-h100-01", "NVIDIA-H100-80GB-HBM3", "NVIDIA-H100-80GB-HBM3-SHARED", ""},
		{"another driver", "gpu-h100-01", `"580"`, `"570"`, `.metadata.labels["nvidia.com/cuda.driver-version.major"]`},
		{"no feature discovery", "gpu-h100-01", "nvidia.com/gpu.", "other.example/", ""},
		{"a MIG instance is gone", "gpu-a100-01", `nvidia.com/mig-2g.20gb: "12"`, `nvidia.com/mig-2g.20gb: "11"`, `.status.allocatable["nvidia.com/mig-2g.20gb"] .status.capacity["nvidia.com/mig-2g.20gb"]`},
		{"a MIG instance is gone from the labels", "gpu-a100-01", `mig-2g.20gb.count: "12"`, `mig-2g.20gb.count: "11"`, `.metadata.labels["nvidia.com/mig-2g.20gb.count"]`},
		{"the layout was not made", "gpu-a100-01", "state: success", "state: failed", `.metadata.labels["nvidia.com/mig.config.state"]`},
	} {
		t.Run(tt.what, func(t *testing.T) {
			id := core.ObjectID{Kind: "Node", Name: tt.node}
			var live map[string]any
			for doc := range strings.SplitSeq(string(src), "\n---\n") {
				if strings.Contains(doc, "name: "+tt.node+"\n") {
					if !strings.Contains(doc, tt.from) {
						t.Fatalf("the fixture has no %s", tt.from)
					}
					if err := yaml.UnmarshalStrict([]byte(strings.ReplaceAll(doc, tt.from, tt.to)), &live); err != nil {
						t.Fatal(err)
					}
				}
			}
			found := strings.Join(differing(core.Object{ID: id, Fields: expects[id.String()]}, live), " ")
			if diff := cmp.Diff(tt.want, found); diff != "" {
				t.Errorf("differing (-want +got):\n%s", diff)
			}
		})
	}
}

// differing are the fields at which a machine is not as expected.
func differing(o core.Object, live map[string]any) []string {
	plan := diff.Make(core.Revision{}, core.Observation{Expects: []core.Observed{{Object: o, Live: live}}}, diff.Options{})
	var paths []string
	for _, c := range plan.Changes {
		for _, f := range c.Fields {
			paths = append(paths, f.Path)
		}
	}
	return paths
}
