package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/yaml"
)

// GPU is the resource by which NVIDIA's device plugin publishes whole GPUs.
const GPU corev1.ResourceName = "nvidia.com/gpu"

// AddNodes creates the Nodes of the manifests (YAML or JSON; each may hold
// several documents) with their status, whose capacity is required; allocatable
// is the same if left out. It returns when all are Ready. With
// Options.Workloads kwok keeps them so and runs the pods that are bound to them.
func (c *Cluster) AddNodes(ctx context.Context, manifests ...[]byte) error {
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return err
	}
	nodes, err := parseNodes(bytes.Join(manifests, []byte("\n---\n")))
	if err != nil {
		return err
	}
	for _, node := range nodes {
		if !c.opts.Workloads {
			node.Status.Conditions = ready() // there is no kwok to say so
		}
		if err := addNode(ctx, client, node); err != nil {
			return fmt.Errorf("add node %s: %w", node.Name, err)
		}
	}
	for _, node := range nodes {
		if err := c.awaitNode(ctx, client, node.Name); err != nil {
			return err
		}
	}
	return nil
}

func parseNodes(manifests []byte) (nodes []*corev1.Node, err error) {
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifests)))
	for i := 1; ; i++ {
		manifest, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nodes, nil
		}
		var node *corev1.Node
		if err == nil {
			node, err = parseNode(manifest)
		}
		if err != nil {
			return nil, fmt.Errorf("node manifest, document %d: %w", i, err)
		}
		if node != nil {
			nodes = append(nodes, node)
		}
	}
}

// parseNode returns nil for a document that holds nothing.
func parseNode(manifest []byte) (*corev1.Node, error) {
	var node *corev1.Node
	if err := yaml.UnmarshalStrict(manifest, &node); err != nil || node == nil {
		return nil, err
	}
	if node.Kind != "Node" || node.APIVersion != "v1" {
		return nil, fmt.Errorf("it is a %s %s, not a v1 Node", node.APIVersion, node.Kind)
	}
	if len(node.Status.Capacity) == 0 {
		return nil, fmt.Errorf("node %s has no status.capacity: nothing could run on it", node.Name)
	}
	if node.Status.Allocatable == nil {
		node.Status.Allocatable = node.Status.Capacity.DeepCopy()
	}
	return node, nil
}

// addNode creates a Node and writes its status, which a create drops.
func addNode(ctx context.Context, client kubernetes.Interface, node *corev1.Node) error {
	if _, err := client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
		return err
	}
	return updateNodeStatus(ctx, client, node.Name, func(status *corev1.NodeStatus) error {
		status.Capacity, status.Allocatable = node.Status.Capacity, node.Status.Allocatable
		if len(node.Status.Conditions) > 0 {
			status.Conditions = node.Status.Conditions
		}
		return nil
	})
}

// LoseGPU makes count GPUs disappear from the capacity and the allocatable
// resources of a Node, as when the driver loses them. Nothing brings them back.
func (c *Cluster) LoseGPU(ctx context.Context, node string, count int) error {
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return err
	}
	err = updateNodeStatus(ctx, client, node, func(status *corev1.NodeStatus) error {
		for _, list := range []corev1.ResourceList{status.Capacity, status.Allocatable} {
			left := list[GPU]
			if int64(count) < 1 || left.Value() < int64(count) {
				return fmt.Errorf("it has %s GPUs", left.String())
			}
			list[GPU] = *resource.NewQuantity(left.Value()-int64(count), resource.DecimalSI)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("take %d GPUs from node %s: %w", count, node, err)
	}
	return nil
}

// updateNodeStatus changes the status of a Node, again if another write came
// between.
func updateNodeStatus(ctx context.Context, client kubernetes.Interface, name string, change func(*corev1.NodeStatus) error) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		node, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if err := change(&node.Status); err != nil {
			return err
		}
		_, err = client.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{FieldManager: "kubelet"})
		return err
	})
}

// awaitNode waits until a Node is Ready and may be scheduled to.
func (c *Cluster) awaitNode(ctx context.Context, client kubernetes.Interface, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return c.await(ctx, "node "+name, func(ctx context.Context) error {
		node, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err == nil && !isReady(node) {
			err = errors.New("it is not Ready")
		}
		return err
	})
}

func isReady(node *corev1.Node) bool {
	for _, taint := range node.Spec.Taints {
		if taint.Key == corev1.TaintNodeNotReady {
			return false
		}
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func ready() []corev1.NodeCondition {
	now := metav1.Now()
	return []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady",
		Message: "simulated", LastHeartbeatTime: now, LastTransitionTime: now,
	}}
}
