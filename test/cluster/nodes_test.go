package cluster_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"prumo.dev/prumo/test/cluster"
	"prumo.dev/prumo/test/cluster/clustertest"
)

// gpuNode is the manifest of a Node with GPUs.
func gpuNode(name string, gpus int) []byte {
	return fmt.Appendf(nil, `apiVersion: v1
kind: Node
metadata:
  name: %s
  labels: {kubernetes.io/hostname: %[1]s}
status:
  capacity: {cpu: "128", memory: 1Ti, pods: "110", nvidia.com/gpu: "%d"}
`, name, gpus)
}

// gpuPod is a Pod of a node that asks for GPUs.
func gpuPod(name, node string, gpus int) *corev1.Pod {
	limits := corev1.ResourceList{cluster.GPU: *resource.NewQuantity(int64(gpus), resource.DecimalSI)}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			NodeSelector: map[string]string{corev1.LabelHostname: node},
			Containers:   []corev1.Container{{Name: "train", Image: "train", Resources: corev1.ResourceRequirements{Limits: limits}}},
		},
	}
}

func createPod(t *testing.T, client kubernetes.Interface, pod *corev1.Pod) {
	t.Helper()
	if _, err := client.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// awaitPod waits until the Pod is as wanted.
func awaitPod(t *testing.T, client kubernetes.Interface, name string, is func(*corev1.Pod) bool) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		pod, err := client.CoreV1().Pods("default").Get(ctx, name, metav1.GetOptions{})
		if err == nil && !is(pod) {
			err = fmt.Errorf("pod %s: %+v", name, pod.Status)
		}
		return err
	})
}

func running(pod *corev1.Pod) bool { return pod.Status.Phase == corev1.PodRunning }

func unschedulable(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled {
			return c.Reason == corev1.PodReasonUnschedulable && strings.Contains(c.Message, "Insufficient nvidia.com/gpu")
		}
	}
	return false
}

func TestNodesRunPods(t *testing.T) {
	c := clustertest.Workloads(t)
	client := client(t, c.Config())
	if err := c.AddNodes(t.Context(), gpuNode("runs", 8)); err != nil {
		t.Fatal(err)
	}
	createPod(t, client, gpuPod("five", "runs", 5))
	awaitPod(t, client, "five", running)
	createPod(t, client, gpuPod("four-more", "runs", 4))
	awaitPod(t, client, "four-more", unschedulable)
	if err := client.CoreV1().Pods("default").Delete(t.Context(), "five", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitPod(t, client, "four-more", running)
}

func TestLostGPUStaysLost(t *testing.T) {
	c := clustertest.Workloads(t)
	client := client(t, c.Config())
	if err := c.AddNodes(t.Context(), gpuNode("loses", 8)); err != nil {
		t.Fatal(err)
	}
	if err := c.LoseGPU(t.Context(), "loses", 1); err != nil {
		t.Fatal(err)
	}
	// Make kwok write the status of the node, which is when it could come back.
	node, err := client.CoreV1().Nodes().Get(t.Context(), "loses", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range node.Status.Conditions {
		node.Status.Conditions[i].Status = corev1.ConditionUnknown
	}
	if _, err := client.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		node, err = client.CoreV1().Nodes().Get(ctx, "loses", metav1.GetOptions{})
		if err == nil && node.Status.Conditions[len(node.Status.Conditions)-1].Status == corev1.ConditionUnknown {
			err = fmt.Errorf("kwok leaves the node as it is: %+v", node.Status.Conditions)
		}
		return err
	})
	for name, list := range map[string]corev1.ResourceList{"capacity": node.Status.Capacity, "allocatable": node.Status.Allocatable} {
		if gpus := list[cluster.GPU]; gpus.Value() != 7 {
			t.Errorf("%s: %s GPUs, want 7", name, gpus.String())
		}
	}
	createPod(t, client, gpuPod("eight", "loses", 8))
	awaitPod(t, client, "eight", unschedulable)
	if err := c.LoseGPU(t.Context(), "loses", 8); err == nil || !strings.Contains(err.Error(), "it has 7 GPUs") {
		t.Errorf("taking more than there are: got %v", err)
	}
}

func TestNodesWithoutWorkloads(t *testing.T) {
	c := clustertest.Shared(t)
	two := slices.Concat([]byte("# two nodes\n---\n"), gpuNode("stored-0", 4), []byte("---\n"), gpuNode("stored-1", 4))
	if err := c.AddNodes(t.Context(), two, gpuNode("stored-2", 4)); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		node, err := client(t, c.Config()).CoreV1().Nodes().Get(t.Context(), fmt.Sprintf("stored-%d", i), metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if gpus := node.Status.Allocatable[cluster.GPU]; gpus.Value() != 4 || len(node.Spec.Taints) > 0 {
			t.Errorf("%s: %s GPUs and taints %v, want 4 and none", node.Name, gpus.String(), node.Spec.Taints)
		}
	}
}

func TestBadNodeManifests(t *testing.T) {
	c := clustertest.Shared(t)
	for name, test := range map[string]struct{ manifest, want string }{
		"other kind":    {"apiVersion: v1\nkind: Pod\n", "it is a v1 Pod, not a v1 Node"},
		"no capacity":   {"apiVersion: v1\nkind: Node\nmetadata: {name: a}\n", "node a has no status.capacity"},
		"unknown field": {"apiVersion: v1\nkind: Node\nmetdata: {name: a}\n", `unknown field "metdata"`},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.AddNodes(t.Context(), []byte(test.manifest))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestClaimsGetVolumes(t *testing.T) {
	c := clustertest.Workloads(t)
	client := client(t, c.Config())
	claims := client.CoreV1().PersistentVolumeClaims("default")
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "scratch"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Gi")},
			},
		},
	}
	if _, err := claims.Create(t.Context(), claim, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		got, err := claims.Get(ctx, "scratch", metav1.GetOptions{})
		if err == nil && got.Status.Phase != corev1.ClaimBound {
			err = fmt.Errorf("claim: %+v", got.Status)
		}
		return err
	})
	if err := claims.Delete(t.Context(), "scratch", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		volumes, err := client.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
		if err == nil && len(volumes.Items) > 0 {
			err = fmt.Errorf("%d volumes are left: %+v", len(volumes.Items), volumes.Items[0].Status)
		}
		return err
	})
}
